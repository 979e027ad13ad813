"""Clients that hang up: the upstream must stop working for them."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from metis.conformance.judging import Failed, check
from metis.conformance.neutral import Answer, Prompt
from metis.conformance.scenario import Scenario
from metis.conformance.stage import Stage
from metis.conformance.upstream import Seen, Wire

_SOON_S: Final = 5.0
_PATIENCE_S: Final = 12.0


async def _gone(stage: Stage, left_s: float) -> None:
    """Wait until the target has hung up on the upstream; raises Failed when that takes too long."""
    check(bool(stage.seen), "a request at the upstream", "none")
    seen = stage.seen[-1]
    while seen.gone_s is None:
        if time.monotonic() - left_s > _SOON_S:
            raise Failed(f"the upstream's call ended within {_SOON_S:g} s", "it goes on")
        await asyncio.sleep(0.05)


async def _stream(stage: Stage) -> None:
    async def script(seen: Seen, wire: Wire) -> None:
        answer = Answer(text="word " * 400, piece_characters=5)
        await wire.begin_stream()
        for event in stage.behind.events(answer, seen.json):
            await wire.piece(event)
            if await wire.until_gone(0.1):
                return

    async with stage.watch(Prompt(), script, stream=True) as exchange:
        while len(exchange.reply.body) < 200 and await exchange.next_piece():
            pass
    await _gone(stage, time.monotonic())


async def _whole(stage: Stage) -> None:
    arrived = asyncio.Event()

    async def script(_seen: Seen, wire: Wire) -> None:
        arrived.set()
        await wire.until_gone(_PATIENCE_S)

    async def ask() -> None:
        async with stage.watch(Prompt(), script, stream=False):
            pass

    asking = asyncio.create_task(ask())
    waiting = asyncio.create_task(arrived.wait())
    await asyncio.wait({asking, waiting}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    asking.cancel()
    waiting.cancel()
    await asyncio.gather(asking, waiting, return_exceptions=True)
    await _gone(stage, time.monotonic())


_ISSUES: Final = ("LiteLLM #35958", "LiteLLM PR #36008", "LiteLLM #37140")
DISCONNECT: Final = (
    Scenario(
        "hang-up-in-stream",
        "A client that leaves a stream ends the upstream's",
        "disconnect",
        _stream,
        _ISSUES,
        behind="any",
    ),
    Scenario(
        "hang-up-while-waiting",
        "A client that leaves before the answer ends the upstream's call",
        "disconnect",
        _whole,
        _ISSUES,
        behind="any",
    ),
)
