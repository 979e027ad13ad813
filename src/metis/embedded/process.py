"""Starting, watching and stopping the embedded model's process. What runs in it is in `server`.

Restarting after a crash is the supervisor's business: it awaits `wait()` and starts anew.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import msgspec

from metis.embedded.server import Failed, Orders, Ready
from metis.embedded.settings import EmbeddedSettings
from metis.embedded.weights import locate, model_name
from metis.errors import EmbeddedModelError

_MOST_THREADS: Final = 4  # 135M parameters gain nothing from more
_LAST_WORDS: Final = 20  # lines of stderr kept for the error message
_LIBGOMP: Final = "libgomp"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedModel:
    """A running embedded model.

    `base_url` is the root (`http://127.0.0.1:PORT`), `secret` the bearer token or x-api-key that every
    request needs, `context_window` the tokens that prompt and answer share, `max_output_tokens` what
    to clamp a request's own limit to (the server does not).
    """

    base_url: str
    secret: str = field(repr=False)
    pid: int
    model: str
    context_window: int
    max_output_tokens: int


class EmbeddedProcess:
    """One start of the embedded model; a new start takes a new instance."""

    def __init__(self, settings: EmbeddedSettings | None = None) -> None:
        self._settings = settings or EmbeddedSettings()
        self._process: asyncio.subprocess.Process | None = None
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._drain: asyncio.Task[None] | None = None

    async def start(self) -> EmbeddedModel:
        """Start the process and wait until it answers.

        Call it from the main thread: on Linux the child dies with the thread that made it. Raises
        EmbeddedModelError, with the remedy, when a part is missing or the model does not come up.
        """
        orders = make_orders(self._settings)
        # -P: the current folder must not shadow the library.
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "metis.embedded.server"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None and process.stdout is not None
        self._drain = asyncio.create_task(self._keep_last_words(process))
        try:
            process.stdin.write(msgspec.json.encode(orders) + b"\n")
            await process.stdin.drain()
            line = await asyncio.wait_for(process.stdout.readline(), orders.start_timeout_s)
        except TimeoutError as exc:
            await self.stop()
            raise EmbeddedModelError(
                f"the embedded model did not answer within {orders.start_timeout_s:g} s; "
                "raise [embedded] start_timeout_s, or free some CPU"
            ) from exc
        except ConnectionError:
            line = b""
        except asyncio.CancelledError:
            await self.stop()
            raise
        return await self._believe(line, orders, process.pid)

    async def _believe(self, line: bytes, orders: Orders, pid: int) -> EmbeddedModel:
        word: Ready | Failed
        try:
            word = msgspec.json.decode(line, type=Ready | Failed)
        except msgspec.DecodeError:
            word = Failed(reason="it died without a word")
        match word:
            case Ready(base_url=base_url, context_window=context_window):
                return EmbeddedModel(
                    base_url=base_url,
                    secret=orders.secret,
                    pid=pid,
                    model=orders.model,
                    context_window=context_window,
                    max_output_tokens=orders.max_output_tokens,
                )
            case Failed(reason=reason):
                await self.stop()
                raise EmbeddedModelError(_explain(reason, self._last_words))

    async def wait(self) -> int:
        """Wait for the process to end; its exit code, negative for a signal (as subprocess has it)."""
        if self._process is None:
            raise EmbeddedModelError("the embedded model was never started")
        return await self._process.wait()

    async def stop(self, timeout_s: float = 2.0) -> None:
        """End the process: by closing its stdin, then by SIGKILL. Does nothing when it has ended."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._drain is not None:
            await self._drain

    @property
    def last_words(self) -> tuple[str, ...]:
        """What the process last wrote to stderr: why it died, if it knew."""
        return tuple(self._last_words)

    async def _keep_last_words(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while chunk := await process.stderr.read(4096):
            self._last_words.extend(chunk.decode("utf-8", "replace").splitlines())


def make_orders(settings: EmbeddedSettings) -> Orders:
    """What to tell the child; the secret is new each time. Raises as `locate` does."""
    return Orders(
        weights=str(locate(settings.weights)),
        model=model_name(settings.weights),
        secret=secrets.token_urlsafe(32),
        parent_pid=os.getpid(),
        threads=settings.threads or min(_MOST_THREADS, _usable_cores()),
        slots=settings.slots,
        context_window=settings.context_window,
        max_output_tokens=settings.max_output_tokens,
        start_timeout_s=settings.start_timeout_s,
    )


def _usable_cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _explain(reason: str, last_words: deque[str]) -> str:
    words = "".join(f"\n  {line}" for line in last_words)
    if _LIBGOMP in reason:
        return f"the embedded model needs the OpenMP runtime: install libgomp1 ({reason})"
    return (
        f"the embedded model did not start: {reason}; try 'metis doctor', or set a provider key "
        f"(ANTHROPIC_API_KEY, OPENAI_API_KEY, OPENROUTER_API_KEY){words}"
    )
