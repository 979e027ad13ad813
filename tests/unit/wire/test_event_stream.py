"""AWS's binary event stream."""

from __future__ import annotations

import random
from binascii import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metis.errors import CodecError
from metis.wire.event_stream import (
    EventStreamDecoder,
    Frame,
    encode_event_frame,
    encode_exception_frame,
    encode_frame,
)

# AWS's published example of one header: "event-type" is "foo", the payload {'foo':'bar'}; its CRCs are the standard's.
PUBLISHED = bytes.fromhex(
    "0000003d0000002007fd8396"
    "0c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e"
    "7b27666f6f273a27626172277d8d9c08b1"
)
READ = Frame({"content-type": "application/json"}, b"{'foo':'bar'}")


def test_the_published_frame_is_read_and_written():
    assert EventStreamDecoder().feed(PUBLISHED) == [READ]
    assert encode_frame((("content-type", "application/json"),), b"{'foo':'bar'}") == PUBLISHED


@given(st.lists(st.binary(max_size=200), max_size=6), st.randoms(use_true_random=False))
def test_frames_are_the_same_however_the_bytes_are_cut(payloads: list[bytes], dice: random.Random):
    data = b"".join(encode_event_frame("chunk", payload) for payload in payloads)
    decoder, found = EventStreamDecoder(), []
    while data:
        size = dice.randint(1, 40)
        found += decoder.feed(data[:size])
        data = data[size:]
    assert [frame.payload for frame in found] == payloads
    assert decoder.at_boundary
    assert all(frame.headers[":event-type"] == "chunk" for frame in found)


@pytest.mark.parametrize("place", [0, 5, 9, 20, 50, 60])
def test_one_bit_that_fell_over_is_noticed(place: int):
    broken = bytearray(PUBLISHED)
    broken[place] ^= 0x10
    with pytest.raises(CodecError):
        EventStreamDecoder().feed(bytes(broken))


def test_a_frame_that_is_not_whole_waits():
    decoder = EventStreamDecoder()
    assert decoder.feed(PUBLISHED[:-1]) == []
    assert not decoder.at_boundary
    assert decoder.feed(PUBLISHED[-1:]) == [READ]


def test_headers_of_all_types_are_passed_over():
    headers = b"".join(
        b"%c%b%c%b" % (1, b"h", kind, value)
        for kind, value in (
            (0, b""),
            (1, b""),
            (2, b"x"),
            (3, b"xx"),
            (4, b"xxxx"),
            (5, b"x" * 8),
            (6, b"\0\3abc"),
            (8, b"x" * 8),
            (9, b"x" * 16),
            (7, b"\0\2ok"),
        )
    )
    lengths = (16 + len(headers)).to_bytes(4) + len(headers).to_bytes(4)
    body = lengths + crc32(lengths).to_bytes(4) + headers
    assert EventStreamDecoder().feed(body + crc32(body).to_bytes(4)) == [Frame({"h": "ok"}, b"")]


@pytest.mark.parametrize("headers", [b"\x05ab", b"\1h\x0c", b"\1h\7\0\5ab", b"\2\xff\xfe\1"])
def test_headers_that_are_none_are_refused(headers: bytes):
    lengths = (16 + len(headers)).to_bytes(4) + len(headers).to_bytes(4)
    body = lengths + crc32(lengths).to_bytes(4) + headers
    with pytest.raises(CodecError, match="headers"):
        EventStreamDecoder().feed(body + crc32(body).to_bytes(4))


def test_an_absurd_length_is_refused_before_anything_is_gathered():
    lengths = (0x7FFFFFFF).to_bytes(4) + bytes(4)
    with pytest.raises(CodecError, match="2147483647 bytes"):
        EventStreamDecoder().feed(lengths + crc32(lengths).to_bytes(4))


def test_an_exception_says_what_it_is():
    [frame] = EventStreamDecoder().feed(encode_exception_frame("throttlingException", b"{}"))
    assert frame.headers[":message-type"] == "exception"
    assert frame.headers[":exception-type"] == "throttlingException"
