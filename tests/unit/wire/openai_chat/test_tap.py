"""The watcher changes no byte but the chunk it was told to leave out, and sees what the decoder sees."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.wire.openai_chat.stream_reading import (
    bytewise,
    cut_at_random,
    events_of,
    eventwise,
    folded,
    whole,
    without_usage_chunk,
)

from metis.ir.content import ToolCall
from metis.wire.codec import ResponseFacts
from metis.wire.openai_chat import OPENAI_CHAT

SHORT = 3_500
LONG = 40_000  # bytes; beyond it a stream is not cut up again
USAGE = b'data: {"id":"r","model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"


def text(said: str, usage: bytes = b',"usage":null') -> bytes:
    return (
        b'data: {"id":"r","model":"m","choices":[{"index":0,"delta":{"content":%b},'
        b'"finish_reason":null}]%b}\n\n' % (json.dumps(said).encode(), usage)
    )


def finish(reason: str) -> bytes:
    return (
        b'data: {"id":"r","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"%b"}]}\n\n'
        % reason.encode()
    )


def relayed(pieces: list[bytes], *, strip: bool) -> tuple[bytes, ResponseFacts]:
    tap = OPENAI_CHAT.tap(strip)
    out = b"".join([tap.feed(piece) for piece in pieces])
    return out, tap.facts


def test_recorded_streams_pass_untouched_piece_by_piece(streams: list[dict[str, Any]]) -> None:
    for record in streams:
        data = record["response"]["sse"].encode()
        tap = OPENAI_CHAT.tap(False)
        pieces = cut_at_random(data)
        assert all(tap.feed(piece) is piece for piece in pieces), record["id"]


def test_only_the_usage_chunk_is_left_out_of_recorded_streams(
    streams: list[dict[str, Any]],
) -> None:
    stripped = 0
    for record in streams:
        data = record["response"]["sse"].encode()
        if "\nerror: " in record["response"]["sse"] or len(data) > LONG:
            continue
        wanted = without_usage_chunk(data)
        stripped += wanted != data
        for cutting in (whole, eventwise, cut_at_random, bytewise):
            if cutting is bytewise and len(data) > SHORT:
                continue
            assert relayed(cutting(data), strip=True)[0] == wanted, (record["id"], cutting)
    assert stripped > 100


def test_facts_are_those_of_the_decoder(streams: list[dict[str, Any]]) -> None:
    for record in streams:
        data = record["response"]["sse"].encode()
        fold = folded(events_of([data]))
        result = fold.result()
        for cutting in (eventwise, cut_at_random):
            _, facts = relayed(cutting(data), strip=True)
            assert facts.usage == result.usage, record["id"]
            assert facts.stop_raw == result.stop_raw
            assert facts.complete == (b"[DONE]" in data)
            if "n_gt_1" not in record["features"]:
                calls = sum(isinstance(part, ToolCall) for part in result.parts)
                assert facts.tool_calls == calls, record["id"]
            if fold.failure is None:
                assert facts.stop == result.stop
            elif facts.error is not None:
                assert facts.error == fold.failure


def test_facts_of_a_stream_with_everything() -> None:
    delta = b'{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}'
    call = text("").replace(b'{"content":""}', delta)
    stream = [text("ab"), text("cd"), text('e"f'), call, finish("tool_calls"), USAGE, DONE]
    for pieces in (stream, [b"".join(stream)], bytewise(b"".join(stream))):
        out, facts = relayed(pieces, strip=True)
        assert out == b"".join([*stream[:5], DONE])
        assert facts.output_characters in (9, 10)  # an escape may count as two
        facts.output_characters = 0
        assert facts == ResponseFacts(
            response_id="r",
            model="m",
            usage=OPENAI_CHAT.usage_of({"prompt_tokens": 3, "completion_tokens": 2}),
            stop="tool_use",
            stop_raw="tool_calls",
            tool_calls=1,
            complete=True,
        )


def test_usage_on_a_chunk_with_choices_stays() -> None:
    last = text("x", b',"usage":{"prompt_tokens":3,"completion_tokens":2}')
    out, facts = relayed([text("a"), last, DONE], strip=True)
    assert out == text("a") + last + DONE
    assert facts.usage is not None


def test_the_very_object_comes_back_when_nothing_is_left_out() -> None:
    tap = OPENAI_CHAT.tap(True)
    for piece in (text("a"), text("b"), text("c") + text("d"), finish("stop"), DONE):
        assert tap.feed(piece) is piece


def test_an_ordinary_delta_is_held_only_until_its_choices_show() -> None:
    tap = OPENAI_CHAT.tap(True)
    data = text("hello")
    cut = data.index(b'"choices"')
    assert (tap.feed(data[:cut]), tap.at_boundary) == (b"", True)
    shown = data.index(b"hello")
    assert tap.feed(data[cut:shown]) == data[:shown]
    assert not tap.at_boundary
    assert tap.feed(data[shown:]) == data[shown:]
    assert tap.at_boundary


def test_a_split_usage_chunk_leaves_no_byte_behind() -> None:
    for cut in range(1, len(USAGE)):
        tap = OPENAI_CHAT.tap(True)
        out = tap.feed(text("a") + USAGE[:cut]) + tap.feed(USAGE[cut:] + DONE)
        assert out == text("a") + DONE, cut
        assert tap.at_boundary


def test_comments_and_crlf_pass() -> None:
    data = b": OPENROUTER PROCESSING\r\n\r\n" + text("a").replace(b"\n", b"\r\n")
    stream = data + USAGE.replace(b"\n", b"\r\n") + DONE.replace(b"\n", b"\r\n")
    for pieces in ([stream], bytewise(stream), cut_at_random(stream, longest=20)):
        out, facts = relayed(pieces, strip=True)
        assert out == data + b"data: [DONE]\r\n\r\n"
        assert facts.complete


def test_spaced_json_is_read_too() -> None:
    spaced = [
        b"data: " + json.dumps(json.loads(e[5:])).encode() + b"\n\n"
        for e in (text("ab"), finish("stop"), USAGE)
    ]
    out, facts = relayed([*spaced, DONE], strip=True)
    assert out == spaced[0] + spaced[1] + DONE
    assert (facts.stop, facts.output_characters, facts.usage is not None) == ("end_turn", 2, True)


def test_a_chunk_that_looks_like_the_last_one_but_tells_more_is_not_taken_for_it() -> None:
    padded = text("a", b',"usage":null,"obfuscation":"xyz"')
    more = text("b", b',"usage":null,"obfuscation":"xyz","usage":{"prompt_tokens":1}')
    _, facts = relayed([padded, padded, padded, more], strip=False)
    assert facts.usage is not None
    _, facts = relayed([text("a"), text("a"), text("b") + finish("length")], strip=False)
    assert facts.stop_raw == "length"


def test_text_that_speaks_of_usage_and_errors_is_only_text() -> None:
    said = 'is "usage":{ and "error" and "tool_calls" finish_reason":"stop" [DONE]?'
    _, facts = relayed([text("a"), text("b"), text(said)], strip=True)
    assert (facts.usage, facts.error, facts.tool_calls, facts.stop, facts.complete) == (
        None,
        None,
        0,
        "",
        False,
    )


def test_an_error_in_the_stream_is_a_fact() -> None:
    error = b'event: error\ndata: {"error":{"message":"boom","code":429}}\n\n'
    out, facts = relayed([text("a"), error], strip=True)
    assert out == text("a") + error
    assert facts.error is not None
    assert (facts.error.status, facts.error.kind, facts.error.message) == (
        429,
        "rate_limit",
        "boom",
    )


@pytest.mark.parametrize(
    "data",
    [
        b"data: {nonsense\n\n",
        b"\xff\xfe\n\n",
        b"data: []\n\n",
        b"\n\n\n",
        b'data: {"choices":7}\n\n',
    ],
)
def test_nonsense_is_relayed(data: bytes) -> None:
    for pieces in ([data], bytewise(data)):
        out, facts = relayed([*pieces, text("a"), DONE], strip=True)
        assert out == data + text("a") + DONE
        assert facts.complete


def test_an_endless_event_is_relayed_and_not_kept() -> None:
    tap = OPENAI_CHAT.tap(True)
    opening = b'data: {"model":"m'
    out = tap.feed(opening)
    sent = len(opening)
    for _ in range(80):
        out += tap.feed(b"x" * 65_536)
        sent += 65_536
    assert len(out) == sent
    assert tap.feed(b'"}\n\n' + DONE) == b'"}\n\n' + DONE
    assert tap.facts.complete
