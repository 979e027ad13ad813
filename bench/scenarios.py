"""The loads of `make bench`: what is sent, how much at a time, and what it may cost beside nginx. Values only."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from bench.answers import SHAPE_PATHS, Shape, compact

_REALISTIC_FROM: Final = 50_000
_MODELS: Final[dict[Shape, str]] = {
    "chat": "gpt-4o",
    "messages": "claude-sonnet-4-5",
    "responses": "gpt-4o",
}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One load. `per` says what CPU is divided by; `rate`, in requests a second, makes it an open loop.

    `limit` and `all_limit`: what one may cost in nginx's CPU, the worker alone and with all its family.
    `upstream`: the shape it crosses into. `quick`: part of the short form. `peers`: other gateways run it too.
    """

    name: str
    shape: Shape
    connections: int = 16
    rate: float = 0.0
    stream: bool = False
    pace_us: int = 0
    body_bytes: int = 1024
    upstream: Shape | None = None
    tls: bool = False
    limit: float | None = None
    quick: bool = False
    peers: bool = False

    @property
    def per(self) -> Literal["requests", "chunks"]:
        return "chunks" if self.stream else "requests"

    @property
    def path(self) -> str:
        return SHAPE_PATHS[self.shape]

    @property
    def model(self) -> str:
        if self.tls:
            return SECURE
        if self.upstream is None:
            return _MODELS[self.shape]
        return CROSSED[self.upstream]


# Aliases that lead a request into a shape that is not the client's.
CROSSED: Final[dict[Shape, str]] = {
    "chat": "claude-crossed",
    "messages": "gpt-crossed",
    "responses": "crossed-to-responses",
}
# An alias that leads to a provider behind TLS.
SECURE: Final = "gpt-secure"
_PAIRS: Final[tuple[tuple[Shape, Shape], ...]] = (
    ("messages", "chat"),
    ("chat", "messages"),
    ("responses", "chat"),
    ("responses", "messages"),
    ("messages", "responses"),
    ("chat", "responses"),
)


def _scenarios() -> Iterator[Scenario]:
    yield Scenario(name="sync 1 KB chat, c16", shape="chat", limit=2.5, quick=True, peers=True)
    yield Scenario(
        name="sync 1 KB messages, c16", shape="messages", limit=2.5, quick=True, peers=True
    )
    yield Scenario(name="sync 1 KB responses, c16", shape="responses", limit=2.5)
    for count in (1, 64, 256):
        yield Scenario(name=f"sync 1 KB chat, c{count}", shape="chat", connections=count)
    yield Scenario(name="open 40/s 1 KB chat", shape="chat", rate=40, quick=True, peers=True)
    yield Scenario(name="open 1000/s 1 KB chat", shape="chat", rate=1000)
    yield Scenario(name="sync 100 KB chat, c16", shape="chat", body_bytes=100_000)
    yield Scenario(
        name="sync 600 KB chat, c4",
        shape="chat",
        connections=4,
        body_bytes=600_000,
        quick=True,
        peers=True,
    )
    yield Scenario(
        name="sync 600 KB messages, c4", shape="messages", connections=4, body_bytes=600_000
    )
    yield Scenario(name="sync 5 MB chat, c2", shape="chat", connections=2, body_bytes=5_000_000)
    shapes: tuple[Shape, ...] = ("chat", "messages", "responses")
    for shape in shapes:
        yield Scenario(
            name=f"stream 200 paced, {shape} c16",
            shape=shape,
            stream=True,
            pace_us=5000,
            limit=1.4,
            quick=shape != "responses",
            peers=shape == "chat",
        )
    for shape in shapes:
        yield Scenario(
            name=f"stream 200 fast, {shape} c16",
            shape=shape,
            stream=True,
            quick=shape == "chat",
        )
    for shape, upstream in _PAIRS:
        pair = f"{shape}->{upstream}"
        first = (shape, upstream) == _PAIRS[0]
        yield Scenario(name=f"sync 1 KB {pair}, c16", shape=shape, upstream=upstream)
        yield Scenario(
            name=f"stream 200 paced, {pair} c16",
            shape=shape,
            upstream=upstream,
            stream=True,
            pace_us=5000,
            limit=3.0,
            quick=first,
        )
    yield Scenario(name="TLS upstream, sync 1 KB chat, c16", shape="chat", tls=True)
    yield Scenario(
        name="TLS upstream, stream 200 paced, chat c16",
        shape="chat",
        tls=True,
        stream=True,
        pace_us=5000,
    )


SCENARIOS: Final = tuple(_scenarios())


def body_for(scenario: Scenario, model: str | None = None) -> str:
    """The request body, of about `body_bytes`: filler where it is small, a coding agent's history where it is large."""
    body: dict[str, Any] = {"model": model or scenario.model}
    body["max_output_tokens" if scenario.shape == "responses" else "max_tokens"] = 256
    if scenario.stream:
        body["stream"] = True
        if scenario.shape == "chat":
            body["stream_options"] = {"include_usage": True}
    field = "input" if scenario.shape == "responses" else "messages"
    if scenario.body_bytes >= _REALISTIC_FROM:
        body[field] = _history(scenario.shape, scenario.body_bytes)
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    body[field] = [{"role": "user", "content": ""}]
    room = scenario.body_bytes - len(json.dumps(body))
    body[field] = [{"role": "user", "content": "a" * max(1, room - 40)}]
    return compact(body)


def _source_code() -> str:
    """Some hundred functions: quotes, newlines, escapes and a little beyond ASCII, as tool results hold them."""
    return "".join(
        f'    def handle_{n}(self, request: "Request", *, timeout_s: float = {n / 7:.1f}) -> Answer:\n'
        f'        """Answer request {n} — see §{n}."""\n'
        f'        path = "C:\\\\data\\\\{n}"\n'
        f'        return Answer({n}, path, note="a \\"quoted\\" word", ok=True)\n\n'
        for n in range(400)
    )


def _history(shape: Shape, size: int) -> list[dict[str, Any]]:
    """Turns of an agent that reads files: a call and its result, in the shape's own words, up to `size` bytes."""
    code, chance = _source_code(), random.Random(7)
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Mend the handlers."}]
    written = 0
    per_result = max(1500, min(24_000, size // 100))
    number = 0
    while written < size - per_result:
        number += 1
        at = chance.randrange(0, len(code) - 2)
        result = (code[at:] + code * (per_result // len(code) + 1))[:per_result]
        turn = _turn(shape, number, result)
        messages += turn
        written += len(json.dumps(turn, ensure_ascii=False).encode())
    return messages


def _turn(shape: Shape, number: int, result: str) -> list[dict[str, Any]]:
    call, words = f"call_{number:022d}", f"I read file {number} and look at its handler."
    arguments = {"path": f"src/file_{number}.py", "limit": 200}
    match shape:
        case "chat":
            function = {"name": "read", "arguments": json.dumps(arguments)}
            return [
                {
                    "role": "assistant",
                    "content": words,
                    "tool_calls": [{"id": call, "type": "function", "function": function}],
                },
                {"role": "tool", "tool_call_id": call, "content": result},
            ]
        case "messages":
            use = {"type": "tool_use", "id": call, "name": "read", "input": arguments}
            found = {
                "type": "tool_result",
                "tool_use_id": call,
                "content": [{"type": "text", "text": result}],
            }
            return [
                {"role": "assistant", "content": [{"type": "text", "text": words}, use]},
                {"role": "user", "content": [found]},
            ]
        case "responses":
            return [
                {"role": "assistant", "content": words},
                {
                    "type": "function_call",
                    "call_id": call,
                    "name": "read",
                    "arguments": json.dumps(arguments),
                },
                {"type": "function_call_output", "call_id": call, "output": result},
            ]
