"""The process that keeps the embedded model alive, and the shared page through which workers find it."""

from __future__ import annotations

import asyncio
import mmap
import signal
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
_RESTART_AFTER_S: Final = 1.0


class Whereabouts(msgspec.Struct, frozen=True):
    """Where the embedded model answers, and the secret that every request to it needs."""

    base_url: str
    secret: str
    model: str
    context_window: int


class SharedPage:
    """A page of anonymous memory that forks share: the secret lies on no disk and in no argument list."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, _PAGE)

    def write(self, whereabouts: Whereabouts) -> None:
        payload = msgspec.json.encode(whereabouts)
        self._page[4 : 4 + len(payload)] = payload
        self._page[:4] = len(payload).to_bytes(4, "little")

    def read(self) -> Whereabouts | None:
        """None until the model has come up."""
        length = int.from_bytes(self._page[:4], "little")
        return msgspec.json.decode(self._page[4 : 4 + length], type=Whereabouts) if length else None


@dataclass(frozen=True, slots=True)
class EmbeddedPlan:
    settings: EmbeddedSettings
    page: SharedPage
    generations: Generations


def run_embedded(plan: EmbeddedPlan, end: ChildEnd) -> None:
    """Keep the model up until SIGTERM or the supervisor's death."""
    asyncio.run(_keep_up(plan, end))


async def _keep_up(plan: EmbeddedPlan, end: ChildEnd) -> None:
    """Raises EmbeddedModelError when the first start fails: then there is nothing to serve with."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(end.lifeline_fd, stop.set)
    said_ready = False
    while not stop.is_set():
        process = EmbeddedProcess(plan.settings)
        try:
            model = await process.start()
            plan.page.write(
                Whereabouts(model.base_url, model.secret, model.model, model.context_window)
            )
            if said_ready:
                plan.generations.bump_config()  # workers look the new port up
            else:
                end.say_ready()
                said_ready = True
            died = asyncio.ensure_future(process.wait())
            stopped = asyncio.ensure_future(stop.wait())
            await asyncio.wait((died, stopped), return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not stop.is_set():
                log.error("embedded.died", last_words=process.last_words[-3:])
                await asyncio.sleep(_RESTART_AFTER_S)
        finally:
            await process.stop()
    loop.remove_reader(end.lifeline_fd)
