"""How often a target asks again: a bounded number of times, and never once the client has heard something."""

from __future__ import annotations

import json
from typing import Final

from metis.conformance.client import NoAnswer
from metis.conformance.judging import Failed, check
from metis.conformance.neutral import Answer, Prompt
from metis.conformance.scenario import Scenario
from metis.conformance.scenarios.errors import refuse
from metis.conformance.stage import Stage
from metis.conformance.upstream import Seen, Wire

_MOST: Final = 12


async def _bounded(stage: Stage) -> None:
    for status in (500, 529):
        before = len(stage.seen)
        body = stage.behind.error(status, "Try again later")
        try:
            reply = await stage.ask(Prompt(), script=refuse(status, body))
        except NoAnswer as exc:
            attempts = len(stage.seen) - before
            raise Failed("an answer after some attempts", f"{attempts} attempts, {exc}") from exc
        attempts = len(stage.seen) - before
        check(attempts <= _MOST, f"{_MOST} attempts at most", attempts)
        check(reply.status >= 400, "an error in the end", reply.status)


async def _once(stage: Stage) -> None:
    async def script(seen: Seen, wire: Wire) -> None:
        events = stage.behind.events(Answer(text="Said already, and only once."), seen.json)
        await wire.begin_stream()
        for event in events[:6]:
            await wire.piece(event)
        # The client must have it before the connection breaks.
        await wire.until_gone(0.5)
        wire.cut()

    reply = await stage.ask(Prompt(), script=script, stream=True)
    heard = b"Said" in reply.body
    if heard:
        check(len(stage.seen) == 1, "no second attempt after the first text", len(stage.seen))


async def _invalid(stage: Stage) -> None:
    body = stage.behind.error(400, "tools.0.name: String should match pattern")
    await stage.ask(Prompt(), script=refuse(400, body))
    attempts = [json.dumps(one.json, sort_keys=True) for one in stage.seen]
    check(
        len(set(attempts)) == len(attempts),
        "no request again that the upstream called invalid",
        f"{len(attempts)} attempts, the same body",
    )


RETRIES: Final = (
    Scenario(
        "bounded-attempts",
        "An upstream that always fails is asked a bounded number of times",
        "retries",
        _bounded,
        ("LiteLLM #23546", "LiteLLM PR #36148"),
        behind="any",
    ),
    Scenario(
        "no-second-start",
        "A stream that has begun is not asked for again",
        "retries",
        _once,
        ("LiteLLM #23546",),
        behind="any",
    ),
    Scenario(
        "no-retry-of-invalid",
        "A request that is invalid is not sent again as it is",
        "retries",
        _invalid,
        behind="any",
    ),
)
