"""How things go wrong: in the upstream's words where the API is the same, and never looking like success."""

from __future__ import annotations

import json
from typing import Final

from metis.conformance.json_values import Json, object_in
from metis.conformance.judging import check, equal
from metis.conformance.neutral import Answer, Prompt
from metis.conformance.scenario import Scenario
from metis.conformance.stage import Stage
from metis.conformance.upstream import Headers, Script, Seen, Wire

_CONTRACT: Final = ("Claude Code gateway protocol",)
_TOO_LONG: Final = "prompt is too long: 210000 tokens > 200000 maximum"
_JSON: Final = ("content-type", "application/json")


def refuse(status: int, body: Json | bytes, headers: Headers = (_JSON,)) -> Script:
    """Always answer with this error."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def script(_seen: Seen, wire: Wire) -> None:
        await wire.answer(status, raw, headers)

    return script


async def _verbatim(stage: Stage) -> None:
    for status, words in (
        (400, _TOO_LONG),
        (404, "model: claude-of-next-year"),
        (413, "Request exceeds the maximum size"),
    ):
        body = stage.behind.error(status, words)
        reply = await stage.ask(Prompt(), script=refuse(status, body))
        equal("the status", reply.status, status)
        equal("the error as the upstream said it", reply.json.get("error"), body["error"])


async def _overloaded(stage: Stage) -> None:
    for status, words in ((529, "Overloaded"), (500, "Internal server error")):
        body = stage.behind.error(status, words)
        reply = await stage.ask(Prompt(), script=refuse(status, body))
        equal("the status", reply.status, status)
        equal("the error as the upstream said it", reply.json.get("error"), body["error"])


async def _words(stage: Stage) -> None:
    body = stage.behind.error(400, _TOO_LONG)
    body["error"] |= {"code": "context_length_exceeded", "param": "messages"}
    reply = await stage.ask(Prompt(), script=refuse(400, body))
    equal("the status", reply.status, 400)
    error = object_in(reply.json.get("error"))
    check(_TOO_LONG in str(error.get("message")), f"a message with: {_TOO_LONG}", error)
    equal("the error's code", error.get("code"), "context_length_exceeded")


async def _crossed(stage: Stage) -> None:
    """The client's SDK must find its own API's form of error, with the upstream's words inside."""
    body = stage.behind.error(400, _TOO_LONG)
    reply = await stage.ask(Prompt(), script=refuse(400, body))
    equal("the status", reply.status, 400)
    error = reply.json.get("error")
    check(isinstance(error, dict), "an error object", reply.body[:200].decode(errors="replace"))
    check(_TOO_LONG in str(error), f"the upstream's words: {_TOO_LONG}", error)
    if stage.shape.name == "anthropic":
        equal("the body's type", reply.json.get("type"), "error")


async def _retry_after(stage: Stage) -> None:
    body = stage.behind.error(429, "Rate limit reached")
    # Short, so that a target that waits as it is told does not wait for long.
    script = refuse(429, body, (_JSON, ("retry-after", "2")))
    reply = await stage.ask(Prompt(), script=script)
    equal("the status", reply.status, 429)
    like = [line for line in reply.head.headers if "retry" in line[0]]
    check(bool(reply.head.header("retry-after")), "a retry-after header", like or "none")


async def _no_json(stage: Stage) -> None:
    page = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
    reply = await stage.ask(Prompt(), script=refuse(502, page, (("content-type", "text/html"),)))
    check(500 <= reply.status < 600, "a status from 500 on", reply.status)


def _some_of(stage: Stage, seen: Seen, count: int) -> list[bytes]:
    """The first events of an answer that does not come to its end."""
    answer = Answer(text="This answer will not be finished.", piece_characters=5)
    return stage.behind.events(answer, seen.json)[:count]


async def _cut(stage: Stage) -> None:
    async def script(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        for event in _some_of(stage, seen, 6):
            await wire.piece(event)
        wire.cut()

    reply = await stage.ask(Prompt(), script=script, stream=True)
    _not_whole(stage, reply.status, reply.cut or bool(stage.shape.stream_faults(reply.events)))
    joined = reply.body.count(b"This ")
    check(joined <= 1, "a text that is not begun again", f"it begins {joined} times")


async def _error_event(stage: Stage) -> None:
    words = "The model failed in the middle."

    async def script(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        for event in _some_of(stage, seen, 6):
            await wire.piece(event)
        await wire.piece(stage.behind.error_event(words))
        await wire.end()

    reply = await stage.ask(Prompt(), script=script, stream=True)
    _not_whole(stage, reply.status, reply.cut or bool(stage.shape.stream_faults(reply.events)))
    if stage.shape is stage.behind:
        text = reply.body.decode(errors="replace")
        check(words in text, f"the upstream's words: {words}", text[-300:])


def _not_whole(_stage: Stage, status: int, broken: bool) -> None:
    """Raises Failed when the client could take the answer for a whole one."""
    if status == 200:
        check(broken, "a stream that shows it is not whole", "one with a good end")


ERRORS: Final = (
    Scenario(
        "error-verbatim",
        "An upstream's refusal reaches the client as it was said",
        "errors",
        _verbatim,
        _CONTRACT,
        shapes=("anthropic",),
    ),
    Scenario(
        "error-overloaded",
        "An upstream's failure reaches the client as it was said",
        "errors",
        _overloaded,
        _CONTRACT,
        shapes=("anthropic",),
    ),
    Scenario(
        "error-words",
        "An upstream's refusal keeps status, message and code",
        "errors",
        _words,
        shapes=("openai", "responses"),
    ),
    Scenario(
        "error-crossed",
        "An upstream's refusal reaches another API's client in that API's form",
        "errors",
        _crossed,
        behind="crossed",
    ),
    Scenario(
        "retry-after",
        "A 429 keeps its retry-after",
        "errors",
        _retry_after,
        behind="any",
    ),
    Scenario(
        "error-no-json", "A proxy's page of HTML is no success", "errors", _no_json, behind="any"
    ),
    Scenario(
        "stream-cut",
        "A stream that breaks off does not look whole, and is not begun again",
        "errors",
        _cut,
        behind="any",
    ),
    Scenario(
        "stream-error",
        "An error inside a stream does not look like its end, and keeps its words",
        "errors",
        _error_event,
        behind="any",
    ),
)
