"""Long work in steps: one step each time round the event loop, so that a request waits for one at most. No I/O here."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

Step = Callable[[], None]


class TakingTurns:
    """A worker's queue of steps. A step that has another one to do puts it in again, behind the others."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: deque[Step] = deque()

    def put(self, step: Step) -> None:
        self._steps.append(step)
        if len(self._steps) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        try:
            self._steps[0]()
        finally:
            self._steps.popleft()
            if self._steps:
                asyncio.get_running_loop().call_soon(self._next)
