"""The watcher on the hot path: nothing changed, nothing held, everything known, whatever the chunks."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from metis.facts.usage import Usage
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES
from metis.wire.anthropic_messages.tap import MAX_HELD_BYTES
from metis.wire.codec import ResponseFacts


def event(name: str, **fields: Any) -> bytes:
    data = json.dumps({"type": name, **fields}, separators=(",", ":"))
    return f"event: {name}\ndata: {data}\n\n".encode()


def text(piece: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})


STREAM = b"".join(
    (
        event(
            "message_start",
            message={"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 4}},
        ),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
        text("Hello "),
        text("event: content_block_delta\ndata: {} \n\n"),
        event(
            "content_block_delta",
            index=0,
            delta={"type": "signature_delta", "signature": "s" * 500},
        ),
        event("content_block_stop", index=0),
        event("content_block_start", index=1, content_block={"type": "tool_use", "input": {}}),
        event("content_block_stop", index=1),
        event(
            "message_delta",
            delta={"stop_reason": "tool_use", "stop_sequence": None},
            usage={"output_tokens": 11},
        ),
        event("message_stop"),
    )
)
FACTS = ResponseFacts(
    response_id="msg_1",
    model="m",
    usage=Usage(input_tokens=4, output_tokens=11),
    stop="tool_use",
    stop_raw="tool_use",
    tool_calls=1,
    # By bytes: JSON's escapes of the second piece's four line breaks count too.
    output_characters=len("Hello ") + len("event: content_block_delta\ndata: {} \n\n") + 3,
    complete=True,
)


def fed(*chunks: bytes) -> Any:
    tap = ANTHROPIC_MESSAGES.tap(False)
    for chunk in chunks:
        assert tap.feed(chunk) is chunk
    return tap


def test_facts_are_the_same_for_the_whole_stream_and_for_single_bytes() -> None:
    assert fed(STREAM).facts == FACTS
    assert fed(*(STREAM[i : i + 1] for i in range(len(STREAM)))).facts == FACTS


@settings(max_examples=100, deadline=None)
@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12), crlf=st.booleans())
def test_facts_are_the_same_wherever_the_stream_is_cut(cuts: list[int], crlf: bool) -> None:
    stream = STREAM.replace(b"\n", b"\r\n") if crlf else STREAM
    places = [0, *sorted(cuts), len(stream)]
    tap = fed(*(stream[a:b] for a, b in itertools.pairwise(places)))
    assert tap.facts == FACTS
    assert tap.at_boundary


def test_a_keep_alive_may_stand_only_between_two_events() -> None:
    tap = ANTHROPIC_MESSAGES.tap(False)
    assert tap.at_boundary
    for chunk, boundary in (
        (text("a"), True),
        (text("b")[:-1], False),
        (b"\n", True),
        (b": comment\n", False),
        (b"\n", True),
        (b"event: ping\r\ndata: {}\r\n\r", False),
        (b"\n", True),
        (b"", True),
    ):
        tap.feed(chunk)
        assert tap.at_boundary is boundary, chunk


def test_events_without_their_event_line_are_read_too() -> None:
    stream = b"".join(line + b"\n\n" for line in STREAM.split(b"\n") if line.startswith(b"data:"))
    assert fed(stream).facts == FACTS


def test_an_error_event_is_known_with_its_words() -> None:
    facts = fed(event("error", error={"type": "overloaded_error", "message": "busy"})).facts
    assert facts.error is not None
    assert (facts.error.kind, facts.error.status, facts.error.message) == (
        "overloaded",
        529,
        "busy",
    )
    assert not facts.complete


def test_nonsense_is_relayed_and_leaves_the_facts_alone() -> None:
    for chunk in (
        b"<html>\n\n",
        b"data: {\n\n",
        b'data: {"type": 5}\n\n',
        b"data: \xff\n\n",
        b"\n\n\n",
    ):
        assert fed(chunk).facts == ResponseFacts()


def test_an_endless_event_is_relayed_in_bounded_memory_and_time() -> None:
    tap = ANTHROPIC_MESSAGES.tap(False)
    tap.feed(b"event: content_block_start\ndata: ")
    chunk = b"x" * 16_384
    began = time.perf_counter()
    for _ in range(3 * MAX_HELD_BYTES // len(chunk)):
        tap.feed(chunk)
    assert time.perf_counter() - began < 2
    assert not tap.at_boundary
    tap.feed(b"\n\n")
    assert tap.at_boundary
    tap.feed(event("message_stop"))
    assert tap.facts == ResponseFacts(complete=True)


@settings(max_examples=200, deadline=None)
@given(
    chunks=st.lists(
        st.sampled_from([b"\n", b"\r", b"\r\n", b"data:", b"data: {", b"}", b"event: x", b":"])
    )
)
def test_no_bytes_make_it_raise(chunks: list[bytes]) -> None:
    facts = fed(*chunks).facts  # and every chunk went on as it came
    assert (facts.usage, facts.response_id, facts.tool_calls) == (None, "", 0)
