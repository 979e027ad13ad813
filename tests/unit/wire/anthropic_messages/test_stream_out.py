"""Whatever events come, the stream that goes out is one an Anthropic client can read to its end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.wire.anthropic_messages.reading import by_sdk, check_grammar, events_of, gathered

from metis.facts.usage import Usage
from metis.ir.content import Media, Opaque, Refusal, Text, Thinking, ToolCall
from metis.ir.response import ErrorInfo, Response
from metis.ir.stream import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    CitationDelta,
    End,
    Finish,
    Heartbeat,
    SignatureDelta,
    Start,
    StreamEvent,
    StreamFailure,
    TextDelta,
    ThinkingDelta,
    UsageReport,
    unfold,
)
from metis.wire import carry
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES
from metis.wire.codec import Note, ReplyContext

CONTEXT = ReplyContext(model="claude-shown", response_id="msg_made", created=0)
CHAT = "openai_chat"
START = Start(origin=CHAT, response_id="chatcmpl-1", model="gpt-x")
EMPTY_USAGE = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
}


def written(*events: StreamEvent) -> tuple[list[dict[str, Any]], list[Note]]:
    encoder = ANTHROPIC_MESSAGES.stream_encoder(CONTEXT)
    found = events_of(b"".join(encoder.feed(event) for event in events))
    check_grammar(found)
    return found, encoder.notes


def message(*events: StreamEvent) -> dict[str, Any]:
    found, _ = written(*events)
    assert by_sdk(found)["content"] == gathered(found)["content"]
    return gathered(found)


def test_a_chat_answer_is_told_in_anthropic_s_grammar_usage_held_until_it_is_known() -> None:
    found, notes = written(
        START,
        BlockStart(index=0, part=Text(text="")),
        TextDelta(0, "He"),
        TextDelta(0, "y"),
        BlockStop(0),
        Finish(stop="end_turn", stop_raw="stop"),
        UsageReport(
            Usage(input_tokens=7, cache_read_tokens=3, output_tokens=2, reasoning_tokens=1)
        ),
        End(),
    )
    assert notes == []
    assert found == [
        {
            "type": "message_start",
            "message": {
                "id": "chatcmpl-1",
                "type": "message",
                "role": "assistant",
                "model": "claude-shown",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": EMPTY_USAGE,
            },
        },
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "He"},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "y"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                **EMPTY_USAGE,
                "input_tokens": 7,
                "cache_read_input_tokens": 3,
                "output_tokens": 2,
                "output_tokens_details": {"thinking_tokens": 1},
            },
        },
        {"type": "message_stop"},
    ]


def test_interleaved_parallel_calls_are_told_one_after_the_other() -> None:
    told = message(
        START,
        BlockStart(index=0, part=ToolCall(call_id="a", name="f", arguments="")),
        ArgumentsDelta(0, '{"x":'),
        BlockStart(index=1, part=ToolCall(call_id="b", name="g", arguments="")),
        ArgumentsDelta(1, '{"y":2'),
        ArgumentsDelta(0, "1}"),
        BlockStart(index=2, part=ToolCall(call_id="c", name="h", arguments="")),
        ArgumentsDelta(1, "}"),
        BlockStop(1),
        BlockStop(0),
        ArgumentsDelta(2, "{}"),
        Finish(stop="tool_use"),
        End(),
    )
    assert told["content"] == [
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {"y": 2}},
        {"type": "tool_use", "id": "c", "name": "h", "input": {}},
    ]
    assert told["stop_reason"] == "tool_use"


def test_the_first_open_block_streams_while_others_wait() -> None:
    encoder = ANTHROPIC_MESSAGES.stream_encoder(CONTEXT)
    encoder.feed(START)
    assert encoder.feed(BlockStart(index=0, part=ToolCall(call_id="a", name="f", arguments="")))
    assert (
        encoder.feed(BlockStart(index=1, part=ToolCall(call_id="b", name="g", arguments=""))) == b""
    )
    assert encoder.feed(ArgumentsDelta(1, "{}")) == b""
    assert events_of(encoder.feed(ArgumentsDelta(0, "{}"))) == [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": "{}"},
        }
    ]


def test_foreign_reasoning_comes_with_its_proof_wrapped_in_the_signature() -> None:
    whole = Thinking(text="why", signature="enc", origin="openai_responses", item_id="rs_1")
    told = message(
        START,
        BlockStart(index=0, part=Thinking(origin="openai_responses", item_id="rs_1")),
        ThinkingDelta(0, "why"),
        BlockStop(0, whole),
        Finish(stop="end_turn"),
        End(),
    )
    (block,) = told["content"]
    assert block["thinking"] == "why"
    assert carry.unwrap(block["signature"], Thinking(text="why")) == whole


def test_reasoning_with_only_a_proof_is_an_empty_block_and_with_nothing_is_none() -> None:
    proof = Thinking(signature="enc", origin="openai_responses")
    told = message(
        START,
        BlockStart(index=0, part=Thinking(origin=CHAT)),
        BlockStop(0),
        BlockStart(index=1, part=Thinking(origin="openai_responses")),
        BlockStop(1, proof),
        BlockStart(index=2, part=Thinking(origin="openai_responses")),
        SignatureDelta(2, "en"),
        SignatureDelta(2, "c"),
        BlockStop(2),
        Finish(stop="end_turn"),
        End(),
    )
    first, second = told["content"]
    assert first == second == {
        "type": "thinking",
        "thinking": "",
        "signature": carry.wrap(proof),
    }  # fmt: skip


def test_a_custom_tool_s_text_becomes_one_escaped_property() -> None:
    call = ToolCall(call_id="a", name="apply_patch", arguments="", kind="custom")
    told = message(
        START,
        BlockStart(index=0, part=call),
        ArgumentsDelta(0, '*** "Begin"\n'),
        ArgumentsDelta(0, "\t\\é"),
        BlockStop(0),
        BlockStart(index=1, part=call),
        BlockStop(1),
        Finish(stop="tool_use"),
        End(),
    )
    assert [block["input"] for block in told["content"]] == [
        {"input": '*** "Begin"\n\t\\é'},
        {"input": ""},
    ]


def test_a_block_told_only_at_its_end_is_told() -> None:
    told = message(
        START,
        BlockStart(index=0, part=Text(text="")),
        BlockStop(0, Text(text="all at once")),
        BlockStart(index=1, part=ToolCall(call_id="a", name="f", arguments="")),
        BlockStop(1, ToolCall(call_id="a", name="f", arguments='{"x":1}')),
        Finish(stop="end_turn"),
        End(),
    )
    assert told["content"] == [
        {"type": "text", "text": "all at once"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
    ]
    assert told["stop_reason"] == "tool_use"  # the calls say so, though the server said stop


def test_refusals_are_text_with_their_own_stop_reason() -> None:
    told = message(
        START,
        BlockStart(index=0, part=Refusal(text="")),
        TextDelta(0, "no"),
        BlockStop(0),
        Finish(stop="end_turn"),
        End(),
    )
    assert told["content"] == [{"type": "text", "text": "no"}]
    assert told["stop_reason"] == "refusal"


def test_what_a_message_cannot_hold_is_noted_and_leaves_no_gap_in_the_indices() -> None:
    found, notes = written(
        START,
        BlockStart(index=0, part=Opaque(shape=CHAT, kind="web_search_call", value={})),
        BlockStop(0),
        BlockStart(index=1, part=Media(kind="audio", data="x")),
        BlockStop(1),
        BlockStart(index=2, part=Text(text="")),
        BlockStop(2),
        BlockStart(index=3, part=Text(text="seen")),
        CitationDelta(3, {"url": "u"}),
        BlockStop(3),
        Finish(stop="end_turn"),
        End(),
    )
    assert gathered(found)["content"] == [{"type": "text", "text": "seen"}]
    assert [(note.verb, note.path) for note in notes] == [
        ("lost", "choices[0].message.content[0]"),
        ("lost", "choices[0].message.content[1]"),
        ("lost", "choices[0].message.content[3].annotations[0]"),
    ]


def test_an_error_ends_the_stream_and_a_heartbeat_is_a_ping() -> None:
    encoder = ANTHROPIC_MESSAGES.stream_encoder(CONTEXT)
    error = ErrorInfo(status=529, kind="overloaded", message="busy")
    assert encoder.feed(Heartbeat()) == ANTHROPIC_MESSAGES.keepalive
    assert events_of(ANTHROPIC_MESSAGES.keepalive) == [{"type": "ping"}]
    encoder.feed(START)
    assert events_of(encoder.feed(StreamFailure(error))) == [
        {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    ]
    assert encoder.feed(End()) == b""
    assert encoder.feed(Heartbeat()) == b""


def test_missing_start_and_finish_are_made_up_for() -> None:
    assert message(End()) == {
        "id": "msg_made",
        "type": "message",
        "role": "assistant",
        "model": "claude-shown",
        "content": [],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": EMPTY_USAGE,
    }


@pytest.mark.parametrize(
    "part",
    [
        Text(text="a", citations=({"type": "page_location"},)),
        Thinking(text="t", signature="s", origin="anthropic_messages"),
        Thinking(signature="d", redacted=True, origin="anthropic_messages"),
        ToolCall(call_id="i", name="n", arguments='{"a":1}', extras={"caller": {"type": "direct"}}),
        Opaque(
            shape="anthropic_messages",
            kind="server_tool_use",
            value={"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}},
        ),
        Opaque(
            shape="anthropic_messages",
            kind="web_search_tool_result",
            value={"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        ),
    ],
)
def test_an_answer_of_this_shape_streams_to_what_it_encodes_to_whole(part: Any) -> None:
    response = Response(
        origin="anthropic_messages",
        response_id="msg_1",
        model="m",
        parts=(part,),
        stop="end_turn",
        stop_raw="end_turn",
        usage=Usage(output_tokens=3),
    )
    found, _ = written(*unfold(response))
    whole = json.loads(ANTHROPIC_MESSAGES.encode_response(response, CONTEXT).body)
    assert gathered(found) == whole


TEXTS = st.text(alphabet='ab"\\\n{}é😀', max_size=6)
PARTS = st.sampled_from(
    [
        Text(text=""),
        Text(text="x"),
        Refusal(text=""),
        Thinking(origin=CHAT),
        Thinking(origin="anthropic_messages", text="t"),
        Thinking(origin="anthropic_messages", signature="d", redacted=True),
        ToolCall(call_id="i", name="n", arguments=""),
        ToolCall(call_id="i", name="n", arguments="{}"),
        ToolCall(call_id="i", name="n", arguments="", kind="custom"),
        Opaque(shape="openai_responses", kind="k", value={}),
        Media(kind="image", url="u"),
    ]
)
INDEX = st.integers(0, 3)
EVENTS = st.one_of(
    st.builds(lambda i, p: BlockStart(index=i, part=p), INDEX, PARTS),
    st.builds(TextDelta, INDEX, TEXTS),
    st.builds(ThinkingDelta, INDEX, TEXTS),
    st.builds(SignatureDelta, INDEX, TEXTS),
    st.builds(lambda i: ArgumentsDelta(i, '{"a":1}'), INDEX),
    st.builds(lambda i: CitationDelta(i, {"type": "char_location"}), INDEX),
    st.builds(BlockStop, INDEX, st.none() | PARTS),
    st.just(Heartbeat()),
    st.just(Finish(stop="other")),
    st.just(UsageReport(Usage(output_tokens=1))),
)


@settings(max_examples=300, deadline=None)
@given(events=st.lists(EVENTS, max_size=30), origin=st.sampled_from([CHAT, "openai_responses"]))
def test_any_order_of_events_gives_a_valid_stream(events: list[Any], origin: str) -> None:
    start = Start(origin=origin, response_id="r", model="m")
    found, _ = written(start, *events, End())
    by_sdk([event for event in found if not _odd_json(event)])
    for event in found:
        if event["type"] == "content_block_start":
            assert event["content_block"]["type"] in (
                "text",
                "thinking",
                "redacted_thinking",
                "tool_use",
            )


def _odd_json(event: dict[str, Any]) -> bool:
    """Arguments that this test repeats are no JSON together, which the SDK refuses to parse."""
    return event.get("delta", {}).get("type") == "input_json_delta"
