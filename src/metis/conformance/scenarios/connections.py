"""Connections to the upstream: ones it closed are not used again, and what it compressed is opened for the client."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Final

from metis.conformance.judging import check, equal
from metis.conformance.neutral import Answer, Prompt
from metis.conformance.scenario import Scenario
from metis.conformance.stage import Stage
from metis.conformance.upstream import Seen, Wire, say

_TIMES: Final = 4
_SETTLED_S: Final = 0.2


async def _closed(stage: Stage) -> None:
    """The upstream closes each connection a moment after its answer, as servers do with idle ones."""

    async def script(seen: Seen, wire: Wire) -> None:
        await say(Answer(text="Hello."))(seen, wire)
        await wire.until_gone(_SETTLED_S / 4)
        seen.connection.writer.close()

    for _ in range(_TIMES):
        reply = await stage.ask(Prompt(), script=script)
        equal("the status", reply.status, 200)
        await asyncio.sleep(_SETTLED_S)


async def _compressed(stage: Stage) -> None:
    """The client says nothing of compression, so it can read none."""

    async def script(seen: Seen, wire: Wire) -> None:
        body = json.dumps(stage.behind.whole(Answer(text="Hello."), seen.json)).encode()
        lines = [("content-type", "application/json")]
        if "gzip" in (seen.head.header("accept-encoding") or ""):
            body = gzip.compress(body)
            lines.append(("content-encoding", "gzip"))
        await wire.answer(200, body, lines)

    reply = await stage.ask(Prompt(), script=script)
    encoding = reply.head.header("content-encoding") or "identity"
    check(encoding == "identity", "an answer that is not compressed", encoding)
    equal("the text", stage.understood(stage.whole(reply, stream=False)).visible, "Hello.")


CONNECTIONS: Final = (
    Scenario(
        "closed-connection",
        "A connection that the upstream closed is not used for the next request",
        "connections",
        _closed,
        ("LiteLLM observatory",),
        behind="any",
    ),
    Scenario(
        "compressed-answer",
        "An answer that the upstream compressed can be read by a client that cannot decompress",
        "connections",
        _compressed,
        behind="any",
    ),
)
