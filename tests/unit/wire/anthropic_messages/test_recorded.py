"""Everything recorded goes through the codec and comes back equal: requests, answers, streams."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from tests.unit.wire.anthropic_messages.reading import (
    by_sdk,
    check_grammar,
    events_of,
    gathered,
)

from metis.errors import CodecError
from metis.ir.content import ToolCall
from metis.ir.stream import Fold, StreamEvent
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES
from metis.wire.codec import ReplyContext

Records = list[dict[str, Any]]
Streams = list[tuple[str, bytes]]


def context(model: str) -> ReplyContext:
    return ReplyContext(model=model, response_id="msg_none", created=0)


def test_every_recorded_request_encodes_equal(records: Records) -> None:
    seen = 0
    for record in records:
        request = record["request"]
        if request is None or not isinstance(request["body"], dict):
            continue
        if record["response"]["status"] == 400 and "expected shape" in str(record["response"]):
            with pytest.raises(CodecError, match=r"messages\[0\]"):
                ANTHROPIC_MESSAGES.decode_request(json.dumps(request["body"]).encode())
            continue
        decoded = ANTHROPIC_MESSAGES.decode_request(json.dumps(request["body"]).encode())
        encoded = ANTHROPIC_MESSAGES.encode_request(decoded)
        assert json.loads(encoded.body) == request["body"], record["id"]
        assert encoded.notes == (), record["id"]
        seen += 1
    assert seen > 650


def test_every_recorded_answer_encodes_equal(records: Records) -> None:
    seen = 0
    for record in records:
        response = record["response"]
        if response["status"] != 200 or "body" not in response:
            continue
        body = response["body"]
        decoded = ANTHROPIC_MESSAGES.decode_response(json.dumps(body).encode())
        encoded = ANTHROPIC_MESSAGES.encode_response(decoded, context(body["model"]))
        # Two recordings lack stop_sequence; it is written as null then.
        assert json.loads(encoded.body) == {"stop_sequence": None, **body}, record["id"]
        assert encoded.notes == ()
        seen += 1
    assert seen > 450


def test_every_recorded_answer_gives_the_same_facts_as_its_decoding(records: Records) -> None:
    for record in records:
        response = record["response"]
        if response["status"] != 200 or "body" not in response:
            continue
        body = json.dumps(response["body"]).encode()
        facts = ANTHROPIC_MESSAGES.facts_of(body)
        decoded = ANTHROPIC_MESSAGES.decode_response(body)
        told = (facts.response_id, facts.model, facts.usage, facts.stop, facts.stop_raw)
        assert told == (
            decoded.response_id,
            decoded.model,
            decoded.usage,
            decoded.stop,
            decoded.stop_raw,
        )
        blocks = [block["type"] for block in response["body"]["content"]]
        assert facts.tool_calls == blocks.count("tool_use")
        assert facts.complete
        assert facts.error is None


def decoded_whole(stream: bytes) -> list[StreamEvent]:
    decoder = ANTHROPIC_MESSAGES.stream_decoder()
    return decoder.feed(stream) + decoder.finish()


def test_every_recorded_stream_folds_to_its_content(streams: Streams) -> None:
    assert len(streams) > 200
    for name, stream in streams:
        fold = Fold()
        for event in decoded_whole(stream):
            fold.feed(event)
        assert fold.ended
        assert fold.failure is None
        response = fold.result()
        encoded = ANTHROPIC_MESSAGES.encode_response(response, context(response.model))
        expected = gathered([json.loads(line[5:]) for line in data_lines(stream)])
        assert plain(json.loads(encoded.body)) == plain({"stop_sequence": None, **expected}), name


def data_lines(stream: bytes) -> list[bytes]:
    return [line for line in stream.splitlines() if line.startswith(b"data:")]


def plain(message: dict[str, Any]) -> dict[str, Any]:
    """The message without empty citations, its usage as what it means."""
    message["usage"] = ANTHROPIC_MESSAGES.usage_of(message["usage"])
    for block in message["content"]:
        if block.get("citations") == []:
            del block["citations"]
    return message


def test_every_recorded_stream_gives_the_same_events_byte_by_byte(streams: Streams) -> None:
    for name, stream in streams:
        whole = decoded_whole(stream)
        decoder = ANTHROPIC_MESSAGES.stream_decoder()
        events: list[StreamEvent] = []
        for position in range(len(stream)):
            events += decoder.feed(stream[position : position + 1])
        events += decoder.finish()
        assert events == whole, name


def test_every_recorded_stream_gives_the_same_events_under_random_splits(streams: Streams) -> None:
    dice = random.Random(20261122)
    for name, stream in streams:
        whole = decoded_whole(stream)
        for newline in (b"\n", b"\r\n"):
            text = stream.replace(b"\n", newline)
            decoder = ANTHROPIC_MESSAGES.stream_decoder()
            events: list[StreamEvent] = []
            for piece in split(text, dice):
                events += decoder.feed(piece)
            assert events + decoder.finish() == whole, name


def split(text: bytes, dice: random.Random) -> list[bytes]:
    pieces: list[bytes] = []
    position = 0
    while position < len(text):
        size = dice.choice((1, 2, 7, 40, 300, 4_000))
        pieces.append(text[position : position + size])
        position += size
    return pieces


def test_every_recorded_stream_is_written_again_as_a_valid_one(streams: Streams) -> None:
    for name, stream in streams:
        encoder = ANTHROPIC_MESSAGES.stream_encoder(context("claude-shown"))
        written = b"".join(encoder.feed(event) for event in decoded_whole(stream))
        events = events_of(written)
        check_grammar(events)
        came = [json.loads(line[5:]) for line in data_lines(stream)]
        expected = {**gathered(came), "model": "claude-shown"}
        assert plain(gathered(events)) == plain(expected), name
        assert encoder.notes == []
        if b'"compaction_delta"' not in stream:  # the SDK's plain stream does not gather those
            ours, theirs = (by_sdk(said, validate=False) for said in (events, came))
            assert ours["content"] == theirs["content"]


def test_every_recorded_error_body_is_encoded_as_it_came(records: Records) -> None:
    seen = 0
    for record in records:
        response = record["response"]
        if response["status"] < 400:
            continue
        body = json.dumps(response["body"]).encode()
        error = ANTHROPIC_MESSAGES.decode_error(response["status"], body)
        assert error.message == response["body"]["error"]["message"]
        assert error.status == response["status"]
        assert json.loads(ANTHROPIC_MESSAGES.encode_error(error)) == response["body"]
        seen += 1
    assert seen > 10


def test_the_tap_reads_every_recorded_stream_as_the_decoder_does(streams: Streams) -> None:
    dice = random.Random(7)
    for name, stream in streams:
        # One recording, its framing rebuilt, lacks the last blank line; only the decoder's finish() forgives that.
        stream = stream.rstrip(b"\n") + b"\n\n"
        fold = Fold()
        for event in decoded_whole(stream):
            fold.feed(event)
        response = fold.result()
        whole = ANTHROPIC_MESSAGES.tap(False)
        assert whole.feed(stream) is stream
        pieces = ANTHROPIC_MESSAGES.tap(False)
        for piece in split(stream, dice):
            assert pieces.feed(piece) is piece
        by_event = ANTHROPIC_MESSAGES.tap(False)
        for event in stream.split(b"\n\n")[:-1]:
            by_event.feed(event + b"\n\n")
            assert by_event.at_boundary
        for tap in (whole, pieces, by_event):
            facts = tap.facts
            assert tap.at_boundary
            assert facts.complete
            assert facts.response_id == response.response_id
            assert facts.model == response.model
            assert facts.usage == response.usage, name
            assert (facts.stop, facts.stop_raw) == (response.stop, response.stop_raw)
            calls = [part for part in response.parts if isinstance(part, ToolCall)]
            assert facts.tool_calls == len(calls)
        assert whole.facts == pieces.facts == by_event.facts


def test_the_tap_knows_at_every_byte_whether_an_event_is_under_way(streams: Streams) -> None:
    for _, stream in streams[::6]:
        tap = ANTHROPIC_MESSAGES.tap(False)
        for position in range(len(stream)):
            tap.feed(stream[position : position + 1])
            so_far = stream[: position + 1]
            assert tap.at_boundary == (so_far.endswith(b"\n\n") or not so_far.strip())
