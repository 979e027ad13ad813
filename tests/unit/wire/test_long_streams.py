"""What comes in very many pieces is whole at its end, is held once, and has a bound."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.wire.answers_with_usage import BY_NAME, folded, named

from metis.errors import CodecError
from metis.ir.content import Opaque, Text, Thinking, ToolCall
from metis.ir.stream import BlockStart, BlockStop, CitationDelta, Fold, TextDelta
from metis.wire.openai_chat import OPENAI_CHAT
from metis.wire.openai_chat.tap import MAX_TAIL_BYTES
from metis.wire.sse import MAX_EVENT_BYTES, SseDecoder

Json = dict[str, Any]


def chat(delta: Json, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: %b\n\n" % json.dumps({"id": "i", "model": "m", "choices": [choice]}).encode()


def test_a_block_of_an_unknown_kind_grows_by_its_texts() -> None:
    message = {"id": "i", "type": "message", "role": "assistant", "model": "m", "content": []}
    block = {"type": "new_kind", "text": "a", "count": 1}
    deltas: list[Json] = [{"text": "b"}, {"text": "c", "count": 2}, {"other": "d"}, {"other": "e"}]
    stream = named("message_start", message=message)
    stream += named("content_block_start", index=0, content_block=block)
    for delta in deltas:
        stream += named("content_block_delta", index=0, delta={"type": "new_delta", **delta})
    stream += named("content_block_stop", index=0) + named("message_stop")
    (part,) = folded(BY_NAME["anthropic_messages"], stream).parts
    assert isinstance(part, Opaque)
    assert part.value == {"type": "new_kind", "text": "abc", "count": 2, "other": "de"}


def test_arguments_that_come_before_their_calls_name_are_kept() -> None:
    pieces: list[Json] = [
        {"arguments": '{"a"'},
        {"arguments": ":1"},
        {"name": "f", "arguments": "}"},
    ]
    stream = b"".join(
        chat({"tool_calls": [{"index": 0, "id": "c", "function": piece}]}) for piece in pieces
    )
    (call,) = folded(OPENAI_CHAT, stream + chat({}, "tool_calls") + b"data: [DONE]\n\n").parts
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("f", '{"a":1}')


def test_reasoning_in_pieces_is_whole_when_its_proof_comes() -> None:
    form = {"format": "openai-responses-v1", "index": 0}
    texts = [{"type": "reasoning.summary", "summary": piece, **form} for piece in ("ab", "cd")]
    proof = {"type": "reasoning.encrypted", "data": "proof", "id": "rs_1", **form}
    stream = b"".join(chat({"reasoning_details": [detail]}) for detail in (*texts, proof))
    (part,) = folded(OPENAI_CHAT, stream + chat({}, "stop") + b"data: [DONE]\n\n").parts
    assert isinstance(part, Thinking)
    assert (part.text, part.signature, part.summary_parts) == ("abcd", "proof", ("abcd",))


def test_a_fold_joins_a_blocks_texts_and_drops_what_belongs_to_no_block() -> None:
    fold = Fold()
    fold.feed(BlockStart(index=0, part=Text(text="a")))
    for event in (
        TextDelta(0, "b"),
        CitationDelta(0, {"n": 1}),
        TextDelta(0, "c"),
        TextDelta(7, "x"),
    ):
        fold.feed(event)
    assert fold.result().parts == (Text(text="abc", citations=({"n": 1},)),)
    fold.feed(BlockStop(0, Text(text="whole")))
    assert fold.result().parts == (Text(text="whole"),)


def test_an_event_of_lines_without_an_end_is_refused() -> None:
    decoder, line = SseDecoder(), b"data: " + b"x" * 1_000_000 + b"\n"
    with pytest.raises(CodecError, match="one stream event is over"):
        for _ in range(MAX_EVENT_BYTES // 1_000_000 + 1):
            decoder.feed(line)


def test_events_after_a_long_one_are_still_read() -> None:
    usage = (
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}'
    )
    for end in (b"\n\n", b"\r\n\r\n", b"\r\r"):
        tap = OPENAI_CHAT.tap(False)
        for piece in (
            b"data: {",
            b"x" * MAX_TAIL_BYTES,
            *(end[n : n + 1] for n in range(len(end))),
        ):
            assert tap.feed(piece) == piece
        tap.feed(usage + end)
        assert tap.facts.usage is not None
        assert tap.facts.usage.prompt_tokens == 3


def test_what_is_too_long_for_usage_is_not_held_back() -> None:
    tap = OPENAI_CHAT.tap(True)
    first, more = b'data: {"id":"i","x":"', b"x" * 70_000
    assert tap.feed(first) == b""
    assert tap.feed(more) == first + more
    assert tap.feed(b'"}\n\n') == b'"}\n\n'
