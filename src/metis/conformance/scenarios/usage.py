"""What an answer says it used: the same streamed and whole, cached tokens told, nothing counted twice."""

from __future__ import annotations

import json
from typing import Final

from metis.conformance.json_values import Json, object_in
from metis.conformance.judging import Failed, equal
from metis.conformance.neutral import Answer, Prompt, Usage
from metis.conformance.scenario import Scenario
from metis.conformance.stage import Stage
from metis.conformance.upstream import Seen, Wire

_READ: Final = Usage(fresh=12, cache_read=400, output=7)
_WRITTEN: Final = Usage(fresh=12, cache_read=400, cache_write=30, output=7)


async def _told(stage: Stage, usage: Usage, *, stream: bool) -> Usage:
    answer = Answer(text="Hello.", usage=usage)
    told = stage.understood(await stage.answered(Prompt(), answer, stream=stream)).usage
    if told is None:
        raise Failed("usage", "none")
    return told


async def _alike(stage: Stage) -> None:
    whole = await _told(stage, _READ, stream=False)
    streamed = await _told(stage, _READ, stream=True)
    equal("the usage of the stream, as without one", vars(streamed), vars(whole))


async def _cached(stage: Stage) -> None:
    for stream in (False, True):
        told = await _told(stage, _READ, stream=stream)
        name = "stream" if stream else "whole"
        equal(f"cached tokens ({name})", told.cache_read, _READ.cache_read)
        equal(f"input tokens, all of them ({name})", told.input, _READ.input)
        equal(f"output tokens ({name})", told.output, _READ.output)


async def _writes(stage: Stage) -> None:
    """Tokens that were written to the cache are input too, once."""
    for stream in (False, True):
        told = await _told(stage, _WRITTEN, stream=stream)
        name = "stream" if stream else "whole"
        equal(f"input tokens, all of them ({name})", told.input, _WRITTEN.input)
        equal(f"cached tokens ({name})", told.cache_read, _WRITTEN.cache_read)


async def _details(stage: Stage) -> None:
    """Everything by which Anthropic's usage is priced."""
    usage: Json = {
        "input_tokens": 12,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 400,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 7,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
        "service_tier": "standard",
        "iterations": [
            {"type": "message", "input_tokens": 5, "cache_creation_input_tokens": 10},
            {"type": "message", "input_tokens": 7, "cache_creation_input_tokens": 20},
        ],
    }

    async def script(seen: Seen, wire: Wire) -> None:
        body = stage.behind.whole(Answer(text="Hello."), seen.json) | {"usage": usage}
        await wire.answer(200, json.dumps(body).encode())

    answer = stage.whole(await stage.ask(Prompt(), script=script), stream=False)
    seen = object_in(answer.get("usage"))
    equal("the usage's fields", {name: seen.get(name) for name in usage}, usage)


USAGE: Final = (
    Scenario(
        "usage-stream-as-whole",
        "A stream reports what the whole answer reports",
        "usage",
        _alike,
        ("LiteLLM #11789", "LiteLLM #36083", "LiteLLM #36168"),
        behind="any",
    ),
    Scenario(
        "usage-cached",
        "Cached tokens are told as the client's API tells them",
        "usage",
        _cached,
        ("LiteLLM #31069", "LiteLLM #36091", "LiteLLM #11789"),
        behind="any",
    ),
    Scenario(
        "usage-cache-writes",
        "Cache writes are input tokens, once",
        "usage",
        _writes,
        ("TensorZero PR #5746", "Bifrost #3451"),
        behind="any",
        upstreams=("anthropic",),
    ),
    Scenario(
        "usage-details",
        "Lifetimes of cache writes, server tools and iterations reach the client",
        "usage",
        _details,
        ("LiteLLM #42663", "Bifrost #3451"),
        shapes=("anthropic",),
    ),
)
