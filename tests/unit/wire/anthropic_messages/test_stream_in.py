"""Reading streams that are odd, broken or cut: events or a plain refusal, never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metis.errors import CodecError
from metis.facts.usage import Usage
from metis.ir.content import Opaque, Text, Thinking, ToolCall
from metis.ir.response import ErrorInfo
from metis.ir.stream import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    End,
    Finish,
    Fold,
    Heartbeat,
    SignatureDelta,
    Start,
    StreamEvent,
    StreamFailure,
    TextDelta,
    ThinkingDelta,
    UsageReport,
)
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES

OWN = "anthropic_messages"
BEGIN: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 1},
    },
}
START = Start(
    origin=OWN, response_id="msg_1", model="m", usage=Usage(input_tokens=5, output_tokens=1)
)
CUT = StreamFailure(
    ErrorInfo(
        status=502,
        kind="api",
        message="connection lost (premature close): the upstream's stream ended before its end",
    )
)


def opened(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def stopped(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def read(*events: Any, names: bool = True) -> list[StreamEvent]:
    decoder = ANTHROPIC_MESSAGES.stream_decoder()
    out: list[StreamEvent] = []
    for event in events:
        name = f"event: {event['type']}\n" if names and isinstance(event, dict) else ""
        out += decoder.feed(f"{name}data: {json.dumps(event)}\n\n".encode())
    return out + decoder.finish()


FULL = (
    BEGIN,
    {"type": "ping"},
    opened(0, type="thinking", thinking="", signature=""),
    delta(0, type="thinking_delta", thinking="hm"),
    delta(0, type="signature_delta", signature="sig"),
    stopped(0),
    opened(1, type="text", text=""),
    delta(1, type="text_delta", text="a"),
    {"type": "an_event_made_tomorrow", "x": 1},
    delta(1, type="a_delta_made_tomorrow", text="b"),
    stopped(1),
    opened(2, type="tool_use", id="t", name="n", input={}),
    delta(2, type="input_json_delta", partial_json=""),
    delta(2, type="input_json_delta", partial_json='{"x"'),
    delta(2, type="input_json_delta", partial_json=":1}"),
    stopped(2),
    opened(3, type="tool_use", id="u", name="n", input={}),
    stopped(3),
    opened(4, type="tool_use", id="v", name="n", input={"all": "at once"}),
    stopped(4),
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None, "container": {"id": "c"}},
        "usage": {"output_tokens": 9},
        "context_management": {"applied_edits": []},
    },
    {"type": "message_stop"},
)


@pytest.mark.parametrize("names", [True, False])
def test_a_stream_is_read_into_events(names: bool) -> None:
    whole = ToolCall(call_id="v", name="n", arguments="")
    assert read(*FULL, names=names) == [
        START,
        Heartbeat(),
        BlockStart(index=0, part=Thinking(signature="", origin=OWN)),
        ThinkingDelta(0, "hm"),
        SignatureDelta(0, "sig"),
        BlockStop(0),
        BlockStart(index=1, part=Text(text="")),
        TextDelta(1, "a"),
        BlockStop(1),
        BlockStart(index=2, part=ToolCall(call_id="t", name="n", arguments="")),
        ArgumentsDelta(2, '{"x"'),
        ArgumentsDelta(2, ":1}"),
        BlockStop(2),
        BlockStart(index=3, part=ToolCall(call_id="u", name="n", arguments="")),
        ArgumentsDelta(3, "{}"),
        BlockStop(3),
        BlockStart(index=4, part=whole),
        ArgumentsDelta(4, '{"all":"at once"}'),
        BlockStop(4),
        Finish(
            stop="tool_use",
            stop_raw="tool_use",
            usage=Usage(input_tokens=5, output_tokens=9),
            usage_raw={"input_tokens": 5, "output_tokens": 9},
            extras={"container": {"id": "c"}, "context_management": {"applied_edits": []}},
        ),
        End(),
    ]


def test_blocks_of_unknown_kinds_are_gathered_whole() -> None:
    events = read(
        BEGIN,
        opened(0, type="server_tool_use", id="s", name="web_search", input={}),
        delta(0, type="input_json_delta", partial_json='{"query":'),
        delta(0, type="input_json_delta", partial_json='"x"}'),
        stopped(0),
        opened(1, type="compaction", content=None),
        delta(1, type="compaction_delta", content="a"),
        delta(1, type="compaction_delta", content="b"),
        stopped(1),
        {"type": "message_stop"},
    )
    fold = Fold()
    for event in events:
        fold.feed(event)
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}
    assert fold.result().parts == (
        Opaque(shape=OWN, kind="server_tool_use", value=search),
        Opaque(shape=OWN, kind="compaction", value={"type": "compaction", "content": "ab"}),
    )


def test_a_message_that_comes_whole_in_its_start_is_read() -> None:
    message = {
        **BEGIN["message"],
        "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {"x": 1}}],
        "stop_reason": "tool_use",
    }
    call = ToolCall(call_id="t", name="n", arguments='{"x":1}')
    assert read({"type": "message_start", "message": message}, {"type": "message_stop"}) == [
        START,
        BlockStart(index=0, part=call),
        BlockStop(0, call),
        Finish(
            stop="tool_use",
            stop_raw="tool_use",
            usage=START.usage,
            usage_raw=BEGIN["message"]["usage"],
        ),
        End(),
    ]


def test_an_error_event_ends_the_stream_with_the_upstream_s_words() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert read(BEGIN, error, {"type": "message_stop"}) == [
        START,
        StreamFailure(
            ErrorInfo(status=529, kind="overloaded", message="Overloaded", original=error)
        ),
    ]


def test_a_cut_stream_ends_in_a_failure_and_one_without_its_last_line_does_not() -> None:
    assert read(BEGIN) == [START, CUT]
    assert read() == [CUT]
    decoder = ANTHROPIC_MESSAGES.stream_decoder()
    decoder.feed(f"data: {json.dumps(BEGIN)}\n\n".encode())
    assert decoder.feed(b'data: {"type":"message_stop"}') == []
    assert decoder.finish() == [End()]


def test_a_usage_told_without_a_stop_reason_is_a_report() -> None:
    event = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 3}}
    assert read(BEGIN, event)[1] == UsageReport(
        Usage(input_tokens=5, output_tokens=3), {"input_tokens": 5, "output_tokens": 3}
    )


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        (["x"], "must be an object, not a string"),
        ([{}], "type: is missing"),
        ([{"type": "message_start"}], "message: must be an object, not null"),
        ([BEGIN, BEGIN], "a second message_start"),
        ([opened(0, type="text", text="")], "a block before message_start"),
        ([BEGIN, delta(0, type="text_delta", text="a")], "index: block 0 is not open"),
        ([BEGIN, stopped(0)], "index: block 0 is not open"),
        ([BEGIN, {"type": "content_block_stop"}], "index: is missing"),
        ([BEGIN, opened(0, type="text")], "content_block.text: is missing"),
        ([BEGIN, opened(0, type="text", text=""), opened(0, type="text", text="")], "starts twice"),
        (
            [BEGIN, opened(0, type="text", text=""), delta(0, type="text_delta", text=1)],
            "delta.text: must be a string, not a number",
        ),
    ],
)
def test_what_is_no_stream_of_this_shape_is_refused(events: list[Any], complaint: str) -> None:
    with pytest.raises(CodecError, match=complaint):
        read(*events, names=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    which=st.integers(0, len(FULL) - 1),
    key=st.sampled_from(["type", "index", "delta", "content_block", "message", "usage", "error"]),
    inner=st.sampled_from([None, "type", "text", "input", "id", "signature", "content", "usage"]),
    value=JSON,
    dropped=st.integers(0, len(FULL)),
)
def test_any_value_in_any_event_is_read_or_refused(
    which: int, key: str, inner: str | None, value: Any, dropped: int
) -> None:
    changed: Any = dict(FULL[which])
    if inner is None or not isinstance(changed.get(key), dict):
        changed[key] = value
    else:
        changed[key] = {**changed[key], inner: value}
    events = [changed if i == which else e for i, e in enumerate(FULL) if i != dropped]
    fold = Fold()
    try:
        for event in read(*events, names=False):
            fold.feed(event)
    except CodecError as error:
        assert str(error)


@settings(max_examples=200, deadline=None)
@given(chunks=st.lists(st.binary(max_size=20) | st.sampled_from([b"data: {", b"}\n\n", b"data:"])))
def test_any_bytes_are_read_or_refused(chunks: list[bytes]) -> None:
    decoder = ANTHROPIC_MESSAGES.stream_decoder()
    try:
        for chunk in chunks:
            decoder.feed(chunk)
        decoder.finish()
    except CodecError as error:
        assert str(error)
