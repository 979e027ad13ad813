"""Anthropic's events in AWS's frames, and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metis.errors import CodecError
from metis.wire.bedrock_invoke import InvokeFramer, InvokeUnframer
from metis.wire.event_stream import (
    EventStreamDecoder,
    encode_event_frame,
    encode_exception_frame,
)
from metis.wire.sse import encode_event

EVENTS = st.lists(
    st.builds(
        lambda kind, text: (kind, json.dumps({"type": kind, "text": text}).encode()),
        st.sampled_from(["message_start", "content_block_delta", "unheard_of"]),
        st.text(max_size=30),
    ),
    max_size=8,
)


@given(EVENTS, st.integers(1, 50))
def test_there_and_back_again_cut_anywhere(events: list[tuple[str, bytes]], size: int):
    written = b"".join(encode_event(data, kind) for kind, data in events)
    framer, unframer = InvokeFramer(), InvokeUnframer()
    framed = b"".join(
        framer.feed(written[start : start + size]) for start in range(0, len(written), size)
    )
    back = b"".join(
        unframer.feed(framed[start : start + size]) for start in range(0, len(framed), size)
    )
    assert back == written


def test_a_ping_has_no_frame_and_an_error_is_an_exception():
    framer = InvokeFramer()
    assert framer.feed(encode_event(b'{"type":"ping"}', "ping")) == b""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    [frame] = EventStreamDecoder().feed(
        framer.feed(encode_event(json.dumps(error).encode(), "error"))
    )
    assert frame.headers[":exception-type"] == "serviceUnavailableException"
    assert json.loads(frame.payload) == {"message": "busy"}


def test_an_exception_is_an_error_event_in_its_own_words():
    frame = encode_exception_frame("throttlingException", b'{"message":"slow down"}')
    event = InvokeUnframer().feed(frame)
    assert event.startswith(b"event: error\ndata: ")
    error = json.loads(event.split(b"data: ")[1])["error"]
    assert (error["type"], error["message"]) == ("rate_limit_error", "slow down")
    assert b'"type":"error"' in InvokeUnframer().feed(encode_exception_frame("odd", b"no json"))


@pytest.mark.parametrize("payload", [b"{}", b'{"bytes":"%%%"}', b'{"bytes":"AAAA"}', b"[]"])
def test_a_frame_without_an_event_is_refused(payload: bytes):
    with pytest.raises(CodecError, match="no event"):
        InvokeUnframer().feed(encode_event_frame("chunk", payload))


def test_frames_of_other_events_are_passed_over():
    assert InvokeUnframer().feed(encode_event_frame("initial-response", b"{}")) == b""
