"""Reading streams in tests: by plain means where the code under test must be judged, by chunks where it is fed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

from metis.ir.stream import Fold, StreamEvent
from metis.wire.codec import ReplyContext
from metis.wire.openai_responses import OPENAI_RESPONSES

Json = dict[str, Any]


def events_in(stream: bytes) -> list[Json]:
    """The JSON of a stream's data lines."""
    lines = stream.decode().replace("\r\n", "\n").split("\n")
    data = [line[5:].strip() for line in lines if line.startswith("data:")]
    return [json.loads(text) for text in data if text != "[DONE]"]


def final_response(stream: bytes) -> Json | None:
    """The response object of the stream's last event; None for a stream that failed or was cut."""
    found = [
        e for e in events_in(stream) if e["type"] in ("response.completed", "response.incomplete")
    ]
    return found[-1]["response"] if found else None


def split_at_every_byte(stream: bytes) -> list[bytes]:
    return [stream[index : index + 1] for index in range(len(stream))]


def split_at_random(stream: bytes, seed: int) -> list[bytes]:
    dice = random.Random(seed)
    chunks: list[bytes] = []
    place = 0
    while place < len(stream):
        size = dice.choice((1, 2, 3, 7, 64, 500, 4_000))
        chunks.append(stream[place : place + size])
        place += size
    return chunks


def decode(chunks: Iterable[bytes]) -> list[StreamEvent]:
    decoder = OPENAI_RESPONSES.stream_decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*events, *decoder.finish()]


def fold(events: Iterable[StreamEvent]) -> Fold:
    folded = Fold()
    for event in events:
        folded.feed(event)
    return folded


def context(**fields: Any) -> ReplyContext:
    return ReplyContext(**{"model": "gpt-test", "response_id": "resp_test", "created": 7, **fields})


def encode(events: Iterable[StreamEvent], ctx: ReplyContext | None = None) -> bytes:
    encoder = OPENAI_RESPONSES.stream_encoder(ctx or context())
    return b"".join(encoder.feed(event) for event in events)
