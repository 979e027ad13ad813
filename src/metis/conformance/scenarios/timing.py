"""When bytes come: as soon as the upstream sends them, and some all the time."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Final

from metis.conformance.judging import NotApplicable, check, equal
from metis.conformance.neutral import Answer, Prompt
from metis.conformance.scenario import Scenario
from metis.conformance.stage import Stage
from metis.conformance.upstream import Script, Seen, Wire

_LONGEST_S: Final = 15.0
# A timer that fires at fifteen seconds arrives a little later.
_GRACE_S: Final = 1.5
_PACE_S: Final = 0.1
_TEXT: Final = "One two three four five six seven eight."


def _silent(stage: Stage, after: int) -> Script:
    """A stream that says nothing for a while, after so many events."""

    async def script(seen: Seen, wire: Wire) -> None:
        events = stage.behind.events(Answer(text=_TEXT), seen.json)
        await wire.begin_stream()
        for event in events[:after]:
            await wire.piece(event)
        if await wire.until_gone(stage.target.silence_s):
            return
        for event in events[after:]:
            await wire.piece(event)
        await wire.end()

    return script


async def _silence(stage: Stage, after: int) -> None:
    if stage.target.silence_s <= _LONGEST_S + _GRACE_S:
        raise NotApplicable("needs a --silence of more than 16.5 s")
    prompt = Prompt()
    async with stage.watch(prompt, _silent(stage, after), stream=True) as exchange:
        while await exchange.next_piece():
            pass
        reply = exchange.reply
    equal("the status", reply.status, 200)
    times = [reply.sent_s, *(at for at, _ in reply.arrivals)]
    longest = max(later - before for before, later in itertools.pairwise(times))
    check(
        longest <= _LONGEST_S + _GRACE_S,
        f"bytes at least every {_LONGEST_S:g} s",
        f"none for {longest:.1f} s",
    )
    answer = stage.whole(reply, stream=True)
    equal("the text after the silence", stage.understood(answer).visible, _TEXT)


async def _silence_first(stage: Stage) -> None:
    await _silence(stage, 0)


async def _silence_within(stage: Stage) -> None:
    await _silence(stage, 4)


async def _pace(stage: Stage) -> None:
    """Pieces at a steady pace must not come in one burst."""
    sent: list[float] = []

    async def script(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        for event in stage.behind.events(Answer(text=_TEXT, piece_characters=5), seen.json):
            sent.append(time.monotonic())
            await wire.piece(event)
            await asyncio.sleep(_PACE_S)
        await wire.end()

    async with stage.watch(Prompt(), script, stream=True) as exchange:
        while await exchange.next_piece():
            pass
        reply = exchange.reply
    equal("the status", reply.status, 200)
    check(bool(reply.arrivals) and len(sent) > 1, "pieces", "none")
    sent_for, came_for = sent[-1] - sent[0], reply.arrivals[-1][0] - reply.arrivals[0][0]
    check(
        came_for >= sent_for / 2,
        f"pieces spread over the {sent_for:.1f} s in which they were sent",
        f"all within {came_for:.2f} s",
    )


TIMING: Final = (
    Scenario(
        "steady-pace",
        "A stream's pieces come as they are sent, not in one burst",
        "timing",
        _pace,
        ("LiteLLM #26102",),
        behind="any",
    ),
    Scenario(
        "silence-first",
        "Bytes come at least every 15 s while the upstream has not said anything yet",
        "timing",
        _silence_first,
        ("LiteLLM #34819",),
        behind="any",
        waits=True,
    ),
    Scenario(
        "silence-within",
        "Bytes come at least every 15 s while the upstream pauses",
        "timing",
        _silence_within,
        ("LiteLLM #34819",),
        behind="any",
        waits=True,
    ),
)
