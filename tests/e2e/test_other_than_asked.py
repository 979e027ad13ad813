"""Upstreams that answer in another form than was asked: a stream for a whole answer, a whole one for a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.answers import (
    completion,
    completion_events,
    events_for,
    message,
    message_events,
    response,
    usual,
    whole_for,
)
from tests.client import PATHS, Reply, request_for
from tests.two_providers import MODELS, Pair, ask, two_providers
from tests.upstream import Handler, Seen, Wire

SHAPES = list(PATHS)
WHOLE = {"anthropic_messages": message, "openai_chat": completion, "openai_responses": response}
# Client's shape and the model of an upstream of another one.
CROSSINGS = [("openai_chat", "claude-sonnet-4-5"), ("anthropic_messages", "gpt-4o")]
ANTHROPIC_ERROR = (
    b"event: error\n"
    b'data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
)
CHAT_ERROR = b'data: {"error":{"message":"Overloaded","type":"server_error","code":null}}\n\n'
RESPONSES_ERROR = (
    b"event: error\n"
    b'data: {"type":"error","sequence_number":9,"code":"server_error","message":"Overloaded"}\n\n'
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_providers(tmp_path_factory.mktemp("other"), "") as made:
        yield made


@pytest.fixture(autouse=True)
def _as_usual(pair: Pair) -> Iterator[None]:
    yield
    pair[1].handler = usual


def told(pair: Pair, reply: Reply) -> dict[str, Any]:
    """What the ledger has of the reply's call."""
    [row] = pair[0].rows(
        "SELECT outcome, http_status, usage_source, cost_nano_usd, failure, failure_cause, output_tokens"
        " FROM calls WHERE turn_id = ? AND state = 'closed'",
        reply.headers["x-metis-turn"],
    )
    return row


def asked(pair: Pair, shape: str, model: str, *, stream: bool) -> Reply:
    request = request_for(shape, model, stream=stream)
    return ask(pair[0], shape, json.dumps(request).encode())


def all_events(seen: Seen) -> list[bytes]:
    if seen.path.endswith("/chat/completions"):
        return completion_events(usage=True)
    return events_for(seen)


def streaming(*, kind: str, events: int | None = None, more: bytes = b"", cut: str = "") -> Handler:
    """Stream the usual answer, or its first events and what is `more`; `cut`: "hard" leaves the body unended."""

    async def handler(seen: Seen, wire: Wire) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        await wire.raw(head.encode())
        for event in all_events(seen)[:events]:
            await wire.chunk(event)
        if more:
            await wire.chunk(more)
        if cut == "hard":
            wire.writer.close()
        else:
            await wire.end_stream()

    return handler


def whole(body: bytes = b"", *, kind: str = "application/json; charset=utf-8") -> Handler:
    async def handler(seen: Seen, wire: Wire) -> None:
        await wire.answer(200, body or json.dumps(whole_for(seen.path)).encode(), kind=kind)

    return handler


KINDS = ["text/event-stream", "application/json"]


def cost(pair: Pair, shape: str, model: str) -> int:
    """What the usual answer costs."""
    pair[1].handler = usual
    return told(pair, asked(pair, shape, model, stream=False))["cost_nano_usd"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_stream_for_a_whole_answer_is_folded_in_its_own_shape(
    pair: Pair, shape: str, kind: str
) -> None:
    usual_cost = cost(pair, shape, MODELS[shape])
    pair[1].handler = streaming(kind=kind)
    reply = asked(pair, shape, MODELS[shape], stream=False)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    expected = WHOLE[shape]()
    assert {name: reply.json[name] for name in expected} == expected
    assert reply.headers["x-metis-fidelity"] == "mapped=1"
    row = told(pair, reply)
    assert (row["outcome"], row["usage_source"], row["cost_nano_usd"]) == (
        "ok",
        "reported",
        usual_cost,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "model"), CROSSINGS)
def test_a_stream_for_a_whole_answer_is_folded_across_shapes(
    pair: Pair, shape: str, model: str, kind: str
) -> None:
    pair[1].handler = usual
    expected = asked(pair, shape, model, stream=False)
    pair[1].handler = streaming(kind=kind)
    reply = asked(pair, shape, model, stream=False)
    assert (reply.status, text_of(reply)) == (200, text_of(expected))
    assert told(pair, reply) == told(pair, expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_whole_answer_for_a_stream_passes_as_it_came_in_its_own_shape(
    pair: Pair, shape: str
) -> None:
    usual_cost = cost(pair, shape, MODELS[shape])
    body = json.dumps(WHOLE[shape](), indent=1).encode()
    pair[1].handler = whole(body)
    reply = asked(pair, shape, MODELS[shape], stream=True)
    assert (reply.status, reply.body) == (200, body)
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    row = told(pair, reply)
    assert (row["outcome"], row["usage_source"], row["cost_nano_usd"]) == (
        "ok",
        "reported",
        usual_cost,
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stream_of_another_label_is_still_a_stream(pair: Pair, shape: str) -> None:
    pair[1].handler = streaming(kind="application/json")
    reply = asked(pair, shape, MODELS[shape], stream=True)
    ends = b"[DONE]" if shape == "openai_chat" else b"_stop" if "ant" in shape else b".completed"
    assert (reply.status, ends in reply.body, told(pair, reply)["outcome"]) == (200, True, "ok")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("made", ["stream", "whole"])
@pytest.mark.parametrize(("shape", "model"), CROSSINGS)
def test_a_crossed_stream_goes_by_the_first_bytes(
    pair: Pair, shape: str, model: str, made: str, kind: str
) -> None:
    pair[1].handler = streaming(kind=kind) if made == "stream" else whole(kind=kind)
    reply = asked(pair, shape, model, stream=True)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert b"Hello" in reply.body
    assert b"error" not in reply.body
    row = told(pair, reply)
    assert (row["outcome"], row["usage_source"], row["output_tokens"]) == ("ok", "reported", 7)


# Client's shape, model, how many events come before the break (a word has been said), the upstream's own error.
BREAKS = [
    pytest.param("openai_chat", "claude-sonnet-4-5", 4, ANTHROPIC_ERROR, id="messages-to-chat"),
    pytest.param("anthropic_messages", "gpt-4o", 2, CHAT_ERROR, id="chat-to-messages"),
    pytest.param("anthropic_messages", "claude-sonnet-4-5", 4, ANTHROPIC_ERROR, id="messages"),
    pytest.param("openai_chat", "gpt-4o", 2, CHAT_ERROR, id="chat"),
    pytest.param("openai_responses", "gpt-4o", 4, RESPONSES_ERROR, id="responses"),
]


@pytest.mark.parametrize("cut", ["", "hard"])
@pytest.mark.parametrize(("shape", "model", "events", "error"), BREAKS)
def test_an_error_in_a_folded_stream_is_the_answer(
    pair: Pair, shape: str, model: str, events: int, error: bytes, cut: str
) -> None:
    pair[1].handler = streaming(kind=KINDS[0], events=events, more=error, cut=cut)
    reply = asked(pair, shape, model, stream=False)
    assert reply.status >= 500
    assert reply.json["error"]["message"] == "Overloaded"
    row = told(pair, reply)
    assert (row["outcome"], row["http_status"], row["usage_source"]) == ("error", 200, "estimated")


@pytest.mark.parametrize("cut", ["", "hard"])
@pytest.mark.parametrize(("shape", "model", "events", "error"), BREAKS)
def test_a_folded_stream_that_is_cut_is_an_error(
    pair: Pair, shape: str, model: str, events: int, error: bytes, cut: str
) -> None:
    pair[1].handler = streaming(kind=KINDS[0], events=events, cut=cut)
    reply = asked(pair, shape, model, stream=False)
    assert reply.status == 502
    assert reply.json["error"]["message"].startswith("connection lost (premature close)")
    row = told(pair, reply)
    known = (row["outcome"], row["usage_source"], row["failure"], row["failure_cause"])
    assert known == ("error", "estimated", "network", "cut")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_half_a_character_in_a_whole_answer_passes_and_is_priced(
    pair: Pair, shape: str, stream: bool
) -> None:
    usual_cost = cost(pair, shape, MODELS[shape])
    body = json.dumps(WHOLE[shape]()).encode().replace(b"Hello there", b"\\ud800Hello \\\\ud800")
    pair[1].handler = whole(body)
    reply = asked(pair, shape, MODELS[shape], stream=stream)
    assert (reply.status, reply.body) == (200, body)
    row = told(pair, reply)
    assert (row["usage_source"], row["cost_nano_usd"]) == ("reported", usual_cost)


def test_a_second_finish_of_the_upstream_is_told_once(pair: Pair) -> None:
    events = message_events()
    again = events[-2].replace(b'"output_tokens": 7', b'"output_tokens": 99')

    async def handler(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        for event in (*events[:-1], again, events[-1]):
            await wire.chunk(event)
        await wire.end_stream()

    pair[1].handler = handler
    request = request_for(
        "openai_chat",
        MODELS["anthropic_messages"],
        stream=True,
        stream_options={"include_usage": True},
    )
    reply = ask(pair[0], "openai_chat", json.dumps(request).encode())
    assert reply.body.count(b'"finish_reason":"stop"') == 1
    assert b'"completion_tokens":99' in reply.body
    assert told(pair, reply)["output_tokens"] == 99


def text_of(reply: Reply) -> str:
    body = reply.json
    if "choices" in body:
        return body["choices"][0]["message"]["content"]
    return body["content"][0]["text"]
