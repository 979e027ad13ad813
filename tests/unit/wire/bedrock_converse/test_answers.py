"""Converse's answers, whole and streamed: for the ledger, and as clients of other shapes are told them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis.errors import CodecError
from metis.facts.usage import Usage
from metis.ir.content import Text, Thinking, ToolCall
from metis.ir.stream import End, Fold, StreamEvent, StreamFailure
from metis.wire import SHAPES
from metis.wire.bedrock_converse import BEDROCK_CONVERSE
from metis.wire.bedrock_converse.usage import STOP_IN, stop_of
from metis.wire.codec import ReplyContext
from metis.wire.event_stream import encode_event_frame, encode_exception_frame

CONTEXT = ReplyContext(model="m", response_id="id_1", created=1)


def frames(*events: tuple[str, dict[str, Any]]) -> bytes:
    return b"".join(encode_event_frame(name, json.dumps(body).encode()) for name, body in events)


def delta(index: int, **said: Any) -> tuple[str, dict[str, Any]]:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": said, "p": "abc"}


def stop(index: int) -> tuple[str, dict[str, Any]]:
    return "contentBlockStop", {"contentBlockIndex": index}


START = ("messageStart", {"role": "assistant", "p": "abcd"})
USAGE = {
    "inputTokens": 10,
    "outputTokens": 20,
    "totalTokens": 137,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 7,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 4}, {"ttl": "5m", "inputTokens": 3}],
    "serverToolUsage": {"web_search_requests": 2},
}
COUNTED = Usage(
    input_tokens=10,
    output_tokens=20,
    cache_read_tokens=100,
    cache_write_5m_tokens=3,
    cache_write_1h_tokens=4,
    server_tools={"web_search_requests": 2},
)
STREAM = frames(
    START,
    delta(0, reasoningContent={"text": "let me "}),
    delta(0, reasoningContent={"text": "see"}),
    delta(0, reasoningContent={"signature": "SIG"}),
    delta(0, reasoningContent={"signature": "NED"}),
    stop(0),
    delta(1, text="Look"),
    delta(1, text="ing."),
    stop(1),
    (
        "contentBlockStart",
        {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "look"}}},
    ),
    delta(2, toolUse={"input": '{"at":'}),
    delta(2, toolUse={"input": ' "x"}'}),
    stop(2),
    ("unheardOf", {"a": 1}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 3}}),
)
PARTS = (
    Thinking(text="let me see", signature="SIGNED", origin="anthropic_messages"),
    Text(text="Looking."),
    ToolCall(call_id="t1", name="look", arguments='{"at": "x"}'),
)


def events_of(pieces: list[bytes]) -> list[StreamEvent]:
    decoder = BEDROCK_CONVERSE.stream_decoder()
    found = [event for piece in pieces for event in decoder.feed(piece)]
    return [*found, *decoder.finish()]


def folded(events: list[StreamEvent]) -> Fold:
    fold = Fold()
    for event in events:
        fold.feed(event)
    return fold


def test_a_stream_says_the_same_cut_at_every_byte():
    whole = events_of([STREAM])
    assert events_of([STREAM[place : place + 1] for place in range(len(STREAM))]) == whole
    fold = folded(whole)
    response = fold.result()
    assert (response.parts, response.stop, response.usage) == (PARTS, "tool_use", COUNTED)
    assert fold.ended


def test_a_stream_costs_what_the_whole_answer_costs():
    body = {
        "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
        "stopReason": "end_turn",
        "usage": USAGE,
    }
    facts = BEDROCK_CONVERSE.facts_of(json.dumps(body).encode())
    assert (facts.usage, facts.stop, facts.complete) == (COUNTED, "end_turn", True)
    assert facts.usage == folded(events_of([STREAM])).usage


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_client_is_told_the_stream_in_its_own_grammar(shape: Any):
    encoder = shape.stream_encoder(CONTEXT)
    written = b"".join(map(encoder.feed, events_of([STREAM])))
    decoder = shape.stream_decoder()
    fold = folded([*decoder.feed(written), *decoder.finish()])
    assert (fold.ended, fold.failure) == (True, None)
    response = fold.result()
    assert response.stop == "tool_use"
    assert response.usage is not None
    assert response.usage.total_tokens - COUNTED.total_tokens in (0, -7)  # chat has no cache writes
    call = next(part for part in response.parts if isinstance(part, ToolCall))
    assert json.loads(call.arguments) == {"at": "x"}
    said = "".join(part.text for part in response.parts if isinstance(part, Text))
    assert said == "Looking."
    thought = next(part for part in response.parts if isinstance(part, Thinking))
    assert (thought.text, thought.signature, thought.origin) == (
        "let me see",
        "SIGNED",
        "anthropic_messages",
    )


def test_thinking_without_a_signature_is_nobodys_proof():
    stream = frames(START, delta(0, reasoningContent={"text": "hm"}), stop(0))
    [part] = folded(events_of([stream])).result().parts
    assert part == Thinking(text="hm", origin="bedrock_converse")


def test_redacted_thinking_comes_as_anthropics_data():
    pieces = [delta(0, reasoningContent={"redactedContent": half}) for half in ("U0VD", "UkVU")]
    [part] = folded(events_of([frames(START, *pieces, stop(0))])).result().parts
    assert part == Thinking(signature="SECRET", redacted=True, origin="anthropic_messages")


def test_an_exception_ends_the_stream_in_its_own_words():
    body = json.dumps({"message": "Too many tokens"}).encode()
    stream = frames(START, delta(0, text="Lo")) + encode_exception_frame(
        "throttlingException", body
    )
    *_, last = events_of([stream + frames(delta(0, text="never"))])
    assert isinstance(last, StreamFailure)
    assert (last.error.kind, last.error.message) == ("rate_limit", "Too many tokens")
    assert (last.error.code, last.error.status) == ("throttlingException", 429)


def test_a_stream_that_is_cut_fails_and_one_without_metadata_ends():
    *_, last = events_of([frames(START, delta(0, text="Lo"))])
    assert isinstance(last, StreamFailure)
    *_, last = events_of([frames(START, ("messageStop", {"stopReason": "end_turn"}))])
    assert last == End()


def test_bytes_that_are_no_frames_are_refused():
    with pytest.raises(CodecError, match="checksum"):
        events_of([b"data: {}\n\n" * 4])
    with pytest.raises(CodecError, match="starts twice"):
        start = ("contentBlockStart", {"contentBlockIndex": 0, "start": {}})
        events_of([frames(START, start, start)])


def test_every_stop_reason_of_the_api_has_its_row():
    assert {raw: stop_of(raw) for raw in [*STOP_IN, "unheard"]} == {
        "end_turn": "end_turn",
        "tool_use": "tool_use",
        "max_tokens": "max_tokens",
        "stop_sequence": "stop_sequence",
        "content_filtered": "content_filter",
        "guardrail_intervened": "content_filter",
        "model_context_window_exceeded": "context_window",
        "malformed_model_output": "error",
        "malformed_tool_use": "error",
        "unheard": "other",
    }


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, b'{"message":"bad"}', "invalid_request", "bad"),
        (
            400,
            b'{"message":"Input is too long for requested model."}',
            "context_length",
            "Input is too long for requested model.",
        ),
        (403, b'{"Message":"no"}', "permission", "no"),
        (
            400,
            b'{"__type":"com.amazon#ThrottlingException","message":"slow"}',
            "rate_limit",
            "slow",
        ),
        (429, b'{"message":"slow"}', "rate_limit", "slow"),
        (503, b"<html>", "overloaded", "<html>"),
        (500, b"", "api", "the upstream answered 500 without a body"),
    ],
)
def test_errors(status: int, body: bytes, kind: str, message: str):
    error = BEDROCK_CONVERSE.decode_error(status, body)
    assert (error.status, error.kind, error.message) == (status, kind, message)
