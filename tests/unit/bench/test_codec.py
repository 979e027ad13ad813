"""The codec benchmark measures what it says: whole bodies of its sizes, and streams that fold to what was sent."""

from __future__ import annotations

import json

import pytest
from bench import codec
from bench.specials import FLOORS, LIMITS, bound

from metis.ir.content import Text, ToolCall
from metis.wire import SHAPES
from metis.wire.codec import Shape


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_bodies_and_streams_are_what_they_are_said_to_be(shape: Shape) -> None:
    body = codec.request_body(shape)
    assert 95_000 < len(body) < 105_000
    request = shape.decode_request(body)
    assert len(request.tools) == 24
    assert json.loads(shape.encode_request(request).body) == json.loads(body)
    pieces = codec.stream_pieces(shape)
    text, call = codec.fold_stream(shape, pieces).parts
    assert isinstance(text, Text)
    assert isinstance(call, ToolCall)
    assert text.text == "mends " * 400
    assert json.loads(call.arguments) == {"path": "a.py", "text": "mends " * 400}
    assert 900 < len(pieces) < 1000


def test_every_bound_belongs_to_a_figure() -> None:
    figures = codec.measure(1, 0.01)
    assert {name for name in (*LIMITS, *FLOORS) if "MB/s" in name or "an event" in name} <= {
        *figures
    }
    assert bound("chat: stream us an event", 12.5) == ("at most 12", False)
    assert bound("chat: decode answer MB/s", 39.0) == ("at least 40", False)
    assert bound("chat: encode answer MB/s", 1.0) == ("", True)
