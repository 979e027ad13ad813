"""Why answers end: each shape's words to the neutral reason, and each reason to the words of each shape."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from tests.unit.wire.answers_with_usage import BY_NAME, CONTEXT, folded, stream, watched, whole

from metis.ir.content import Text
from metis.ir.response import Response, StopReason
from metis.ir.stream import unfold
from metis.wire import SHAPES

# The shape's word (of Responses: its status, and after a colon the reason why it is incomplete), the neutral reason.
IN: list[tuple[str, str, StopReason]] = [
    ("anthropic_messages", "end_turn", "end_turn"),
    ("anthropic_messages", "max_tokens", "max_tokens"),
    ("anthropic_messages", "stop_sequence", "stop_sequence"),
    ("anthropic_messages", "tool_use", "tool_use"),
    ("anthropic_messages", "pause_turn", "pause_turn"),
    ("anthropic_messages", "refusal", "refusal"),
    ("anthropic_messages", "model_context_window_exceeded", "context_window"),
    ("anthropic_messages", "compaction", "other"),
    ("anthropic_messages", "who knows", "other"),
    ("openai_chat", "stop", "end_turn"),
    ("openai_chat", "length", "max_tokens"),
    ("openai_chat", "tool_calls", "tool_use"),
    ("openai_chat", "function_call", "tool_use"),
    ("openai_chat", "content_filter", "content_filter"),
    ("openai_chat", "error", "error"),  # OpenRouter
    ("openai_chat", "eos", "end_turn"),  # Together
    ("openai_chat", "eos_token", "end_turn"),  # Text Generation Inference
    ("openai_chat", "model_length", "context_window"),  # Mistral
    ("openai_chat", "sensitive", "content_filter"),  # Z.ai
    ("openai_chat", "network_error", "error"),  # Z.ai
    ("openai_chat", "insufficient_system_resource", "error"),  # DeepSeek
    ("openai_chat", "end_turn", "end_turn"),  # Anthropic's words, leaked
    ("openai_chat", "max_tokens", "max_tokens"),
    ("openai_chat", "stop_sequence", "stop_sequence"),
    ("openai_chat", "tool_use", "tool_use"),
    ("openai_chat", "refusal", "refusal"),
    ("openai_chat", "who knows", "other"),
    ("openai_responses", "completed", "end_turn"),
    ("openai_responses", "incomplete:max_output_tokens", "max_tokens"),
    ("openai_responses", "incomplete:max_tokens", "max_tokens"),
    ("openai_responses", "incomplete:content_filter", "content_filter"),
    ("openai_responses", "incomplete:who knows", "other"),
    ("openai_responses", "incomplete", "other"),
]

# The neutral reason in each shape, of an answer of text; the last is status and reason.
OUT: list[tuple[StopReason, str, str, tuple[str, str | None]]] = [
    ("end_turn", "end_turn", "stop", ("completed", None)),
    ("max_tokens", "max_tokens", "length", ("incomplete", "max_output_tokens")),
    ("stop_sequence", "stop_sequence", "stop", ("completed", None)),
    ("tool_use", "tool_use", "tool_calls", ("completed", None)),
    ("pause_turn", "pause_turn", "stop", ("completed", None)),
    ("refusal", "refusal", "content_filter", ("incomplete", "content_filter")),
    ("content_filter", "refusal", "content_filter", ("incomplete", "content_filter")),
    (
        "context_window",
        "model_context_window_exceeded",
        "length",
        ("incomplete", "max_output_tokens"),
    ),
    ("error", "end_turn", "length", ("failed", None)),
    ("other", "end_turn", "stop", ("completed", None)),
]


@pytest.mark.parametrize(("name", "word", "stop"), IN)
def test_each_word_comes_in_whole_and_streamed(name: str, word: str, stop: StopReason) -> None:
    shape = BY_NAME[name]
    answer, streamed = whole(name, {}, stop=word), stream(name, {}, stop=word)
    decoded, told = shape.decode_response(answer), folded(shape, streamed)
    seen, looked = watched(shape, [streamed]), shape.facts_of(answer)
    raw = word.partition(":")[2] or word
    for found in (decoded, told, seen, looked):
        assert (found.stop, found.stop_raw) == (stop, raw)


def words_in(name: str, answer: dict[str, Any]) -> Any:
    match name:
        case "anthropic_messages":
            return answer["stop_reason"]
        case "openai_chat":
            return answer["choices"][0]["finish_reason"]
        case _:
            details = answer["incomplete_details"]
            return answer["status"], details and details["reason"]


@pytest.mark.parametrize("row", OUT, ids=[row[0] for row in OUT])
def test_each_reason_goes_out_whole_and_streamed(
    row: tuple[StopReason, str, str, tuple[str, str | None]],
) -> None:
    stop, *expected = row
    answer = Response(
        origin="elsewhere", response_id="i", model="m", parts=(Text(text="x"),), stop=stop
    )
    for shape, word in zip(SHAPES, expected, strict=True):
        body = shape.encode_response(answer, CONTEXT).body
        assert words_in(shape.name, json.loads(body)) == word
        encoder = shape.stream_encoder(CONTEXT)
        streamed = b"".join(map(encoder.feed, unfold(answer)))
        told = shape.decode_response(body)
        heard = folded(shape, streamed)
        assert heard.stop == told.stop


def test_every_reason_has_its_row() -> None:
    assert [row[0] for row in OUT] == list(get_args(StopReason))
