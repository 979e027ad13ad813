"""What a client is told whose JSON cannot be read."""

from __future__ import annotations

import time

import msgspec
import pytest

from metis.errors import CodecError
from metis.wire.fields import load_json
from metis.wire.json_faults import fault_of
from metis.wire.openai_chat.fields import load
from metis.wire.openai_responses.fields import parse_object
from metis.wire.splice import read_body

READERS = (
    read_body,
    load_json,
    lambda body: load(body, "it"),
    lambda body: parse_object(body, "it"),
)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (rb'{"a":"\ud83d"}', r"\ud83d (byte 6) is one half of a surrogate pair"),
        (rb'{"a":"\uDE00, then text enough"}', r"\uDE00 (byte 6) is one half of a surrogate pair"),
        (rb'{"a":"\\\ud83d \ude00"}', r"\ud83d (byte 8) is one half of a surrogate pair"),
        (rb'{"a":"\ud83d\ude00\ud83d"}', r"\ud83d (byte 18) is one half of a surrogate pair"),
        (rb'{"a":"\\ud83d"', "truncated"),
        (rb'{"a":"\ud83d\ude00', "truncated"),
    ],
)
def test_a_lone_surrogate_is_said_to_be_one(read, body: bytes, words: str) -> None:
    with pytest.raises(CodecError) as raised:
        read(body)
    assert words in str(raised.value)


def test_what_is_in_order_is_read() -> None:
    assert load_json(rb'{"a":"\\ud83d \ud83d\ude00"}') == {"a": "\\ud83d \U0001f600"}


def test_looking_is_bounded() -> None:
    body = rb"\\ud83d" * 2_000_000
    began = time.monotonic()
    assert fault_of(body, msgspec.DecodeError("truncated")) == "truncated"
    assert time.monotonic() - began < 1
