"""Recorded and made-up streams become the right events, however their bytes arrive."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.wire.openai_chat.stream_reading import (
    bytewise,
    content_of,
    cut_at_random,
    events_of,
    eventwise,
    folded,
    plainly_read,
    whole,
)

from metis.errors import CodecError
from metis.facts.usage import Usage
from metis.ir.content import Text, Thinking, ToolCall
from metis.ir.response import ErrorInfo
from metis.ir.stream import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    CitationDelta,
    End,
    Finish,
    SignatureDelta,
    Start,
    StreamFailure,
    TextDelta,
    ThinkingDelta,
    UsageReport,
)
from metis.wire.openai_chat import OPENAI_CHAT

LONG = 40_000  # bytes; beyond it a stream is not cut up again
SHORT = 3_500


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    body = {"id": "r1", "model": "m", "created": 3, "choices": choices, **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
START = Start(origin="openai_chat", response_id="r1", model="m", created=3)


def test_every_recorded_stream_folds_to_what_it_says(streams: list[dict[str, Any]]) -> None:
    assert len(streams) == 461
    wrong = [
        record["id"]
        for record in streams
        if content_of(folded(events_of(whole(record["response"]["sse"].encode()))).result())
        != plainly_read(record["response"]["sse"])
    ]
    assert wrong == []


def test_recorded_streams_give_the_same_events_under_any_cutting(
    streams: list[dict[str, Any]],
) -> None:
    tried = 0
    for record in streams:
        data = record["response"]["sse"].encode()
        if len(data) > LONG:
            continue
        events = events_of(whole(data))
        assert events_of(cut_at_random(data)) == events, record["id"]
        assert events_of(eventwise(data)) == events, record["id"]
        if len(data) < SHORT:
            assert events_of(bytewise(data)) == events, record["id"]
            tried += 1
    assert tried > 50


def test_recorded_streams_fail_exactly_where_they_broke_off(streams: list[dict[str, Any]]) -> None:
    failed = {
        record["id"]: (fold.failure.status, fold.failure.kind, fold.failure.message[:32])
        for record in streams
        if (fold := folded(events_of([record["response"]["sse"].encode()]))).failure
    }
    assert failed == {
        "openai-chat-d58d22ac86c5": (502, "api", "connection lost (premature close"),
        "openai-chat-a0bb4406af6d": (400, "invalid_request", "Tool call validation failed: too"),
        "openai-chat-5097e723f01e": (400, "invalid_request", "Tool choice is required, but mod"),
    }


def test_text_thinking_and_calls_become_blocks_in_order() -> None:
    stream = [
        chunk({"role": "assistant", "content": None, "reasoning_content": "hm"}),
        chunk({"content": "a"}),
        b": OPENROUTER PROCESSING\n\n",
        chunk({"content": "b", "tool_calls": None}),
        chunk(
            {"tool_calls": [{"index": 0, "id": "c0", "function": {"name": "f", "arguments": ""}}]}
        ),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        chunk({}, "tool_calls"),
        b'data: {"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1}}\n\n',
        DONE,
    ]
    raw = {"prompt_tokens": 2, "completion_tokens": 1}
    usage = Usage(input_tokens=2, output_tokens=1)
    assert events_of(stream) == [
        START,
        BlockStart(index=0, part=Thinking(origin="openai_chat")),
        ThinkingDelta(0, "hm"),
        BlockStop(0),
        BlockStart(index=1, part=Text(text="")),
        TextDelta(1, "a"),
        TextDelta(1, "b"),
        BlockStop(1),
        BlockStart(index=2, part=ToolCall(call_id="c0", name="f", arguments="")),
        ArgumentsDelta(2, "{}"),
        BlockStop(2),
        UsageReport(usage, raw),
        Finish(stop="tool_use", stop_raw="tool_calls", usage=usage, usage_raw=raw),
        End(),
    ]


def calls_of(*deltas: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    stream = [chunk({"tool_calls": calls}) for calls in deltas]
    result = folded(events_of([*stream, chunk({}, "tool_calls"), DONE])).result()
    return [(p.call_id, p.name, p.arguments) for p in result.parts if isinstance(p, ToolCall)]


def call(call_id: str | None, name: str | None, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"id": call_id, "function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (  # whole at once, two in one chunk
            [[call("a", "f", "{}", index=0), call("b", "g", "{}", index=1)]],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        (  # fragments that interleave
            [
                [call("a", "f", "", index=0)],
                [call("b", "g", "", index=1)],
                [call(None, None, "1", index=0), call(None, None, "2", index=1)],
                [call("", "", "1", index=0)],
            ],
            [("a", "f", "11"), ("b", "g", "2")],
        ),
        (  # no index anywhere
            [
                [call("a", "f", "1")],
                [call(None, None, "2")],
                [call("b", "g", "3")],
                [call("b", None, "4")],
            ],
            [("a", "f", "12"), ("b", "g", "34")],
        ),
        (  # every call under index 0
            [
                [call("a", "f", "1", index=0)],
                [call("b", "g", "2", index=0)],
                [call(None, None, "3", index=0)],
            ],
            [("a", "f", "1"), ("b", "g", "23")],
        ),
        ([[call("a", None, "1", index=0)], [call("a", "f", "2", index=0)]], [("a", "f", "12")]),
        ([[call("a", "f", {"x": 1}, index=0)]], [("a", "f", '{"x":1}')]),
        ([[call("a", "f", None, index=5)], [call(None, None, "{}", index=5)]], [("a", "f", "{}")]),
    ],
)
def test_tool_calls_come_together_however_servers_cut_them(
    deltas: list[list[dict[str, Any]]], expected: list[tuple[str, str, str]]
) -> None:
    assert calls_of(*deltas) == expected


def test_a_streamed_call_without_an_id_gets_one_that_is_the_same_each_time() -> None:
    first = calls_of([{"index": 0, "function": {"name": "f", "arguments": "{}"}}])
    second = calls_of([{"index": 0, "function": {"name": "f", "arguments": "{}"}}])
    assert first == second
    assert first[0][0].startswith("call_")


def test_custom_and_deprecated_calls_are_told_apart() -> None:
    stream = [
        chunk(
            {
                "tool_calls": [
                    {"index": 0, "id": "c", "type": "custom", "custom": {"name": "f", "input": "4"}}
                ]
            }
        ),
        chunk({"tool_calls": [{"index": 0, "custom": {"input": "+4"}}]}),
        chunk({"function_call": {"name": "old", "arguments": "{"}}),
        chunk({"function_call": {"arguments": "}"}}),
        chunk({}, "function_call"),
        DONE,
    ]
    result = folded(events_of(stream)).result()
    assert result.parts == (
        ToolCall(call_id="c", name="f", arguments="4+4", kind="custom"),
        ToolCall(call_id="call_legacy_function_0", name="old", arguments="{}"),
    )
    assert result.stop == "tool_use"


def details(*entries: dict[str, Any]) -> tuple[Any, ...]:
    stream = [chunk({"reasoning_details": [entry]}) for entry in entries]
    return folded(events_of([*stream, chunk({"content": "x"}, "stop"), DONE])).result().parts[:-1]


def test_reasoning_details_become_thinking_of_the_model_that_signed_it() -> None:
    anthropic = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    assert details(
        {**anthropic, "text": "a"}, {**anthropic, "text": "b"}, {**anthropic, "signature": "S"}
    ) == (Thinking(text="ab", signature="S", origin="anthropic_messages"),)
    redacted = {"type": "reasoning.encrypted", "format": "anthropic-claude-v1", "data": "D"}
    assert details(redacted) == (
        Thinking(signature="D", redacted=True, origin="anthropic_messages"),
    )
    responses = {"format": "openai-responses-v1", "index": 0}
    assert details(
        {**responses, "type": "reasoning.summary", "summary": "a"},
        {**responses, "type": "reasoning.summary", "summary": "b"},
        {**responses, "type": "reasoning.encrypted", "data": "D", "id": "rs_1"},
    ) == (
        Thinking(
            text="ab",
            signature="D",
            origin="openai_responses",
            item_id="rs_1",
            summary=True,
            summary_parts=("ab",),
        ),
    )


def test_reasoning_of_unknown_format_keeps_all_that_stood_beside_its_text() -> None:
    (thinking,) = details(
        {"type": "reasoning.text", "text": "", "signature": ""},
        {"type": "reasoning.text", "text": "a"},
        {"type": "reasoning.text", "signature": "S"},
    )
    assert (thinking.text, thinking.origin) == ("a", "openai_chat")
    assert json.loads(thinking.signature) == {"type": "reasoning.text", "signature": "S"}


def test_mistrals_thinking_blocks_are_thinking() -> None:
    stream = [
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]}),
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}]}),
        chunk({"content": "yes"}, "stop"),
        DONE,
    ]
    assert events_of(stream)[1:7] == [
        BlockStart(index=0, part=Thinking(origin="openai_chat")),
        ThinkingDelta(0, "h"),
        ThinkingDelta(0, "m"),
        SignatureDelta(0, '{"type":"thinking"}'),
        BlockStop(0),
        BlockStart(index=1, part=Text(text="")),
    ]


def test_what_the_events_have_no_word_for_stands_in_the_finish() -> None:
    citation = {"type": "url_citation", "url_citation": {"url": "u"}}
    early = {"type": "url_citation", "url_citation": {"url": "e"}}
    stream = [
        chunk({"annotations": [early]}, None, obfuscation="xx"),
        chunk({"content": "a", "annotations": [citation]}, None, system_fingerprint="fp"),
        b'data: {"choices":[{"index":0,"delta":{"audio":{"id":"a","data":"AA"}},"logprobs":{"content":[1]}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"audio":{"data":"BB"}},'
        b'"logprobs":{"content":[2]},"finish_reason":"stop"}]}\n\n',
        DONE,
    ]
    events = events_of(stream)
    assert [event for event in events if isinstance(event, CitationDelta)] == [
        CitationDelta(0, early),  # it came before any text, and belongs to the first
        CitationDelta(0, citation),
    ]
    assert events[-2] == Finish(
        stop="end_turn",
        stop_raw="stop",
        extras={
            "system_fingerprint": "fp",
            "choices": [
                {
                    "logprobs": {"content": [1, 2]},
                    "message": {"audio": {"id": "a", "data": "AABB"}},
                }
            ],
        },
    )


def test_other_choices_than_the_first_make_no_events() -> None:
    other = b'data: {"choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"length"}]}\n\n'
    events = events_of([chunk({"content": "yes"}), other, chunk({}, "stop"), DONE])
    result = folded(events).result()
    assert (result.parts, result.stop_raw) == ((Text(text="yes"),), "stop")


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"error":{"message":"boom","code":502}}\n\n',
        b'data: {"error":{"message":"boom","code":502},'
        b'"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}\n\n',
        b'event: error\ndata: {"message":"boom","code":502}\n\n',
    ],
)
def test_an_error_in_the_stream_ends_it(data: bytes) -> None:
    events = events_of([chunk({"content": "a"}), data, chunk({"content": "late"}), DONE])
    failure = events[-1]
    assert isinstance(failure, StreamFailure)
    assert (failure.error.status, failure.error.message, failure.error.kind) == (502, "boom", "api")
    assert TextDelta(0, "late") not in events


def test_a_stream_without_its_end_is_a_failure_and_one_without_done_is_whole() -> None:
    cut = ErrorInfo(
        status=502,
        kind="api",
        message="connection lost (premature close): the upstream's stream ended before its end",
        code="stream_cut",
    )
    assert events_of([chunk({"content": "a"})])[-1] == StreamFailure(cut)
    assert events_of([b""]) == [
        Start(origin="openai_chat", response_id="", model=""),
        StreamFailure(cut),
    ]
    assert events_of([chunk({"content": "a"}), chunk({}, "stop")])[-1] == End()


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert events_of([chunk({"content": "a"}, "stop"), b"data: [DONE]"])[-1] == End()


@pytest.mark.parametrize("data", [b"data: {oops\n\n", b"data: [1]\n\n", b"data: \xff\n\n"])
def test_nonsense_is_a_codec_error(data: bytes) -> None:
    with pytest.raises(CodecError):
        OPENAI_CHAT.stream_decoder().feed(data)
