"""The process that keeps the embedded model alive, and the shared page through which workers find it."""

from __future__ import annotations

import asyncio
import mmap
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from metis.accounts.ports import Generations
from metis.bootstrap.supervisor import ChildEnd
from metis.embedded.process import EmbeddedProcess
from metis.embedded.settings import EmbeddedSettings

log = structlog.get_logger("metis.embedded")
_PAGE: Final = 4096
_RESTART_AFTER_S: Final = 0.2


class Whereabouts(msgspec.Struct, frozen=True):
    """Where the embedded model answers, the secret that every request to it needs, its limits in tokens."""

    base_url: str
    secret: str
    context_window: int
    max_output_tokens: int


class SharedPage:
    """A page of anonymous memory that forks share: the secret lies on no disk and in no argument list."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, _PAGE)

    def write(self, whereabouts: Whereabouts | None) -> None:
        """One process writes. None: the model is down, and its port may soon be somebody else's."""
        self._page[:4] = bytes(4)
        if whereabouts is not None:
            payload = msgspec.json.encode(whereabouts)
            self._page[4 : 4 + len(payload)] = payload
            self._page[:4] = len(payload).to_bytes(4, "little")

    def read(self) -> Whereabouts | None:
        """None while the model is not up, also when it is just being written."""
        length = int.from_bytes(self._page[:4], "little")
        if not length:
            return None
        try:
            return msgspec.json.decode(self._page[4 : 4 + length], type=Whereabouts)
        except msgspec.DecodeError:
            return None  # the generation moves once it is written, and it will be read again


@dataclass(frozen=True, slots=True)
class EmbeddedPlan:
    settings: EmbeddedSettings
    page: SharedPage
    generations: Generations


def run_embedded(plan: EmbeddedPlan, end: ChildEnd) -> None:
    """Keep the model up until SIGTERM or the supervisor's death."""
    asyncio.run(_keep_up(plan, end))


async def _keep_up(plan: EmbeddedPlan, end: ChildEnd) -> None:
    """Raises EmbeddedModelError when the model does not start: the supervisor tries again, ever later."""
    stop = end.listen_for_stop()
    stopped = asyncio.ensure_future(stop.wait())
    said_ready = False
    while not stop.is_set():
        process = EmbeddedProcess(plan.settings)
        try:
            starting = asyncio.ensure_future(process.start())
            await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.wait((starting,))
                break
            model = starting.result()
            _announce(
                plan,
                Whereabouts(
                    model.base_url, model.secret, model.context_window, model.max_output_tokens
                ),
            )
            if not said_ready:
                end.say_ready()
                said_ready = True
            died = asyncio.ensure_future(process.wait())
            await asyncio.wait((died, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not stop.is_set():
                _announce(plan, None)
                log.error("embedded.died", last_words=process.last_words[-3:])
                await asyncio.sleep(_RESTART_AFTER_S)
        finally:
            await process.stop()


def _announce(plan: EmbeddedPlan, whereabouts: Whereabouts | None) -> None:
    """Tell the workers: they look again when the generation has moved."""
    plan.page.write(whereabouts)
    plan.generations.bump_config()
