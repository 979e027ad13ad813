"""The ledger's view of an answer: whole, and as a stream goes by."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.wire.openai_responses.reading import (
    final_response,
    split_at_every_byte,
    split_at_random,
)

from metis.errors import CodecError
from metis.facts.usage import Usage
from metis.ir.stream import End, Heartbeat, Start, StreamEvent, StreamFailure
from metis.wire.openai_responses import OPENAI_RESPONSES

Json = dict[str, Any]
SHAPE = OPENAI_RESPONSES


def watched(chunks: list[bytes]) -> Any:
    tap = SHAPE.tap(False)
    for chunk in chunks:
        assert tap.feed(chunk) is chunk
    return tap.facts


USAGES: list[tuple[Json, Usage]] = [
    ({}, Usage()),
    (
        {"input_tokens": 100, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 3}},
        Usage(input_tokens=100, output_tokens=7, reasoning_tokens=3),
    ),
    (
        {"input_tokens": 4020, "input_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 3000}},
        Usage(input_tokens=20, cache_read_tokens=1000, cache_write_5m_tokens=3000),
    ),
    (
        {
            "input_tokens": 100,
            "input_tokens_details": {
                "cache_write_tokens": 90,
                "cache_write_tokens_details": {"ttl_12h_tokens": 60, "ttl_30m_tokens": 30},
            },
        },
        Usage(input_tokens=10, cache_write_5m_tokens=30, cache_write_1h_tokens=60),
    ),
    (
        {"input_tokens": 5, "server_side_tool_usage_details": {"web_search_calls": 2, "mcp_calls": 0}},
        Usage(input_tokens=5, server_tools={"web_search_requests": 2}),
    ),
    ({"input_tokens": "many", "output_tokens": None, "input_tokens_details": []}, Usage()),
    (
        {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 9, "cache_write_tokens": 1}},
        Usage(cache_read_tokens=5),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "usage"), USAGES)
def test_usage_counts_fresh_cached_and_written_apart(raw: Json, usage: Usage) -> None:
    assert SHAPE.usage_of(raw) == usage


def test_searches_are_counted_as_billed() -> None:
    search = {"type": "web_search_call", "id": "ws", "action": {"type": "search"}}
    opened = {"type": "web_search_call", "id": "ws", "action": {"type": "open_page"}}
    answer = {"output": [search, search, opened], "usage": {"input_tokens": 1}}
    counted = Usage(input_tokens=1, server_tools={"web_search_requests": 2})
    told = {**answer, "tool_usage": {"web_search": {"num_requests": 1}}}
    for body, expected in (
        (answer, counted),
        (told, Usage(input_tokens=1, server_tools={"web_search_requests": 1})),
    ):
        raw = json.dumps(body).encode()
        assert SHAPE.facts_of(raw).usage == expected
        assert SHAPE.decode_response(raw).usage == expected


def test_facts_of_every_recorded_answer_agree_with_its_decoding(
    response_bodies: list[tuple[str, Json]],
) -> None:
    for name, body in response_bodies:
        raw = json.dumps(body).encode()
        facts, response = SHAPE.facts_of(raw), SHAPE.decode_response(raw)
        assert (facts.response_id, facts.model) == (response.response_id, response.model), name
        assert (facts.usage, facts.stop, facts.stop_raw) == (
            response.usage,
            response.stop,
            response.stop_raw,
        ), name
        assert facts.complete, name


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
REFUSED = {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}


def incomplete(reason: str) -> Json:
    return {"status": "incomplete", "incomplete_details": {"reason": reason}}


STATUSES: list[tuple[Json, str, str]] = [
    ({"status": "completed"}, "end_turn", "completed"),
    ({}, "end_turn", "completed"),
    ({"status": "completed", "output": [CALL]}, "tool_use", "completed"),
    ({"status": "completed", "output": [REFUSED]}, "refusal", "completed"),
    (incomplete("max_output_tokens"), "max_tokens", "max_output_tokens"),
    (incomplete("content_filter"), "content_filter", "content_filter"),
    (incomplete("steered"), "other", "steered"),
    ({"status": "incomplete", "incomplete_details": None}, "other", "incomplete"),
    ({"status": "failed", "error": {"code": "server_error", "message": "m"}}, "error", "failed"),
    ({"status": "cancelled"}, "error", "cancelled"),
    ({"status": "queued"}, "other", "queued"),
]


@pytest.mark.parametrize(("fields", "stop", "word"), STATUSES)
def test_every_status_has_its_stop(fields: Json, stop: str, word: str) -> None:
    raw = json.dumps({"output": [], **fields}).encode()
    facts, response = SHAPE.facts_of(raw), SHAPE.decode_response(raw)
    assert (facts.stop, facts.stop_raw) == (response.stop, response.stop_raw) == (stop, word)
    assert (facts.error is not None) == ("error" in fields)


def test_facts_of_nonsense_are_refused() -> None:
    for body in (b"", b"[]", b'{"usage":7}', b"\xff"):
        with pytest.raises(CodecError):
            SHAPE.facts_of(body)


def test_the_tap_learns_what_the_last_event_says(streams: list[tuple[str, bytes]]) -> None:
    seen = 0
    for name, stream in streams:
        final = final_response(stream)
        facts = watched([stream])
        if final is None:
            assert facts.error is not None, name
            continue
        expected = SHAPE.facts_of(json.dumps(final).encode())
        told = msgspec.structs.replace(facts, output_characters=expected.output_characters)
        assert told == expected, name
        seen += 1
    assert seen > 200


def test_the_tap_counts_about_as_many_characters_as_there_are(
    streams: list[tuple[str, bytes]],
) -> None:
    for name, stream in streams:
        deltas = [
            event["delta"]
            for line in stream.decode().splitlines()
            if line.startswith("data: {")
            for event in [json.loads(line[6:])]
            if isinstance(event.get("delta"), str)
        ]
        counted, real = watched([stream]).output_characters, sum(map(len, deltas))
        # Escapes and letters of several bytes count for more.
        assert real * 0.9 - 20 <= counted <= real * 1.8 + 40 + 25 * len(deltas), name
        events = [part + b"\n\n" for part in stream.split(b"\n\n") if part]
        assert abs(watched(events).output_characters - counted) <= 25 * len(deltas) + 8, name


def test_the_tap_sees_the_same_however_the_stream_is_cut(streams: list[tuple[str, bytes]]) -> None:
    for number, (name, stream) in enumerate(streams):
        if len(stream) > 150_000:
            continue
        whole = watched([stream])
        cut = watched(split_at_random(stream, number))
        assert msgspec.structs.replace(cut, output_characters=0) == msgspec.structs.replace(
            whole, output_characters=0
        ), name
    small = [stream for _, stream in streams if len(stream) < 12_000][:8]
    for stream in small:
        expected = msgspec.structs.replace(watched([stream]), output_characters=0)
        for form in (stream, stream.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")):
            facts = watched(split_at_every_byte(form))
            assert msgspec.structs.replace(facts, output_characters=0) == expected


EVENT = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a","item_id":"m"}\n\n'


@pytest.mark.parametrize(
    "form", [EVENT, EVENT.replace(b"\n", b"\r\n"), EVENT.replace(b"\n", b"\r")]
)
def test_the_tap_knows_when_it_stands_between_two_events(form: bytes) -> None:
    tap = SHAPE.tap(False)
    assert tap.at_boundary
    for stream in (form, form * 2):
        for cut in range(1, len(stream)):
            tap.feed(stream[:cut])
            inside = cut % len(form) != 0
            # The blank line may be there one byte before its own end (a CR before its LF).
            if stream[:cut] != stream[: cut // len(form) * len(form)].rstrip(b"\n"):
                assert tap.at_boundary != inside or cut % len(form) == len(form) - 1
            tap.feed(stream[cut:])
            assert tap.at_boundary


def test_a_stream_cut_before_its_end_is_not_complete() -> None:
    created = b'data: {"type":"response.created","response":{"id":"resp_1","model":"m","status":"in_progress"}}\n\n'
    done = b'data: {"type":"response.output_item.done","item":{"id":"fc","type":"function_call"},"output_index":0}\n\n'
    facts = watched([created, EVENT, done, EVENT[:40]])
    assert (facts.response_id, facts.model, facts.complete, facts.usage) == (
        "resp_1",
        "m",
        False,
        None,
    )
    assert (facts.tool_calls, facts.output_characters) == (1, 1)


SCRAPS = [EVENT, b"\n\n", b"data: {", b'"error"', b"data: response.completed\n\n"]


@settings(max_examples=200, deadline=None)
@given(chunks=st.lists(st.binary(max_size=30) | st.sampled_from(SCRAPS)))
def test_nonsense_passes_the_tap_untouched(chunks: list[bytes]) -> None:
    facts = watched(chunks)  # and every chunk went on as it came
    assert facts.usage is None and facts.response_id == ""


json_scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
event_types = st.sampled_from(
    [
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.output_text.delta",
        "response.refusal.delta",
        "response.output_text.annotation.added",
        "response.function_call_arguments.delta",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_text.delta",
        "response.completed",
        "response.failed",
        "error",
        "keepalive",
        "response.from_the_future",
    ]
)
items = st.sampled_from(
    [
        {"type": "message", "content": [{"type": "output_text", "text": "x"}]},
        {"type": "message"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c"},
        {"type": "reasoning", "summary": [{}]},
        {"type": "tool_search_call", "execution": "client", "call_id": "c"},
        {"type": "web_search_call"},
        {"type": 7},
        {},
    ]
)  # fmt: skip


responses = st.fixed_dictionaries(
    {},
    optional={
        "output": st.lists(items),
        "usage": st.just({}) | json_scalars,
        "created_at": st.floats(),
        "id": json_scalars,
        "error": st.just({}) | json_scalars,
    },
)


@st.composite
def odd_events(draw: st.DrawFn) -> bytes:
    fields = {
        "item": items | json_scalars,
        "part": st.just({"type": "output_text", "text": ""}) | json_scalars,
        "delta": st.text(max_size=3) | json_scalars,
        "output_index": st.integers(0, 2) | json_scalars,
        "content_index": st.integers(0, 2) | json_scalars,
        "annotation": st.just({}) | json_scalars,
        "response": responses | json_scalars,
    }
    event: Json = {"type": draw(event_types)}
    for name, values in fields.items():
        if draw(st.booleans()):
            event[name] = draw(values)
    return b"data: " + json.dumps(event).encode() + b"\n\n"


@settings(max_examples=400, deadline=None)
@given(events=st.lists(odd_events(), max_size=6))
def test_an_odd_stream_is_decoded_or_refused_in_words(events: list[bytes]) -> None:
    decoder, decoded = SHAPE.stream_decoder(), list[StreamEvent]()
    try:
        for event in events:
            decoded += decoder.feed(event)
        decoded += decoder.finish()
    except CodecError as refusal:
        assert str(refusal)
    spoken = [event for event in decoded if not isinstance(event, Heartbeat)]
    assert not any(isinstance(event, Start) for event in spoken[1:])
    assert not any(isinstance(event, End | StreamFailure) for event in decoded[:-1])
    facts = watched(events)
    assert facts.output_characters >= 0 and facts.tool_calls >= 0


def test_odd_item_does_not_cost_an_answer_its_usage() -> None:
    usage = b'{"input_tokens":5,"output_tokens":2,"total_tokens":7}'
    body = b'{"id":"resp_1","model":"m","status":"completed","output":[5],"usage":%b}' % usage
    facts = OPENAI_RESPONSES.facts_of(body)
    assert (facts.response_id, facts.complete) == ("resp_1", True)
    assert facts.usage == Usage(input_tokens=5, output_tokens=2)
