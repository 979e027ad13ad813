"""Gemini's answers, whole and streamed: for the ledger, and as clients of other shapes are told them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis.errors import CodecError
from metis.facts.usage import Usage
from metis.ir.content import Opaque, Text, Thinking, ToolCall
from metis.ir.stream import Fold, StreamEvent, StreamFailure
from metis.wire import SHAPES
from metis.wire.codec import FOREIGN_SIGNATURE, Note, ReplyContext
from metis.wire.google_generate_content import GOOGLE_GENERATE_CONTENT
from metis.wire.google_generate_content.usage import NUMBERED, STOP_IN, stop_of, usage_of

NAME = "google_generate_content"
CONTEXT = ReplyContext(model="m", response_id="id_1", created=1)
BY_NAME = {shape.name: shape for shape in SHAPES}
USAGE = {
    "promptTokenCount": 1_000,
    "cachedContentTokenCount": 600,
    "toolUsePromptTokenCount": 70,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 12,
    "totalTokenCount": 1_112,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 900},
        {"modality": "AUDIO", "tokenCount": 100},
    ],
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 40}],
    "candidatesTokensDetails": [{"modality": 4, "tokenCount": 8}],
}
# 1,000 - 600 fresh and 70 of tools; 30 said and 12 thought; 100 - 40 fresh ones are audio.
COUNTED = Usage(
    input_tokens=470,
    cache_read_tokens=600,
    output_tokens=42,
    reasoning_tokens=12,
    input_audio_tokens=60,
    output_audio_tokens=8,
)
PARTS: list[dict[str, Any]] = [
    {"text": "let me see", "thought": True},
    {"text": "Looking.", "thoughtSignature": "SIG_TEXT"},
    {"functionCall": {"name": "look", "args": {"at": "x"}}, "thoughtSignature": "SIG_CALL"},
    {"functionCall": {"name": "look", "args": {"at": "y"}, "id": "own"}},
]
READ = (
    Thinking(text="let me see", origin=NAME, summary=True),
    Thinking(signature="SIG_TEXT", origin=NAME, item_id="text"),
    Text(text="Looking."),
    Thinking(signature="SIG_CALL", origin=NAME, item_id="call:gemini_call_r1_1"),
    ToolCall(call_id="gemini_call_r1_1", name="look", arguments='{"at":"x"}'),
    ToolCall(call_id="own", name="look", arguments='{"at":"y"}'),
)


def answer(parts: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    content = {"parts": parts, "role": "model"}
    candidate = {"content": content, "finishReason": "STOP", "index": 0, **more}
    return {
        "candidates": [candidate],
        "usageMetadata": USAGE,
        "modelVersion": "gemini-3-flash",
        "responseId": "r1",
    }


def piece(parts: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    content = {"parts": parts, "role": "model"}
    return {"candidates": [{"content": content, **more}], "responseId": "r1"}


PIECES = [
    piece([{"text": "let me ", "thought": True}]),
    piece([{"text": "see", "thought": True}]),
    piece([PARTS[1]]),
    piece([PARTS[2], PARTS[3]], index=0, safetyRatings=[{"category": "C"}]),
    {**piece([{"text": ""}], finishReason="STOP"), "usageMetadata": USAGE},
]


def as_events(pieces: list[dict[str, Any]]) -> bytes:
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(one).encode() for one in pieces)


def as_list(pieces: list[dict[str, Any]]) -> bytes:
    return json.dumps(pieces, indent=1).encode()


def decode(body: Any) -> Any:
    return GOOGLE_GENERATE_CONTENT.decode_response(json.dumps(body).encode())


def again(body: dict[str, Any]) -> tuple[Any, tuple[Note, ...]]:
    """The body decoded and encoded, and what was noted on the way."""
    encoded = GOOGLE_GENERATE_CONTENT.encode_response(decode(body), CONTEXT)
    return json.loads(encoded.body), encoded.notes


def events_of(pieces: list[bytes]) -> list[StreamEvent]:
    decoder = GOOGLE_GENERATE_CONTENT.stream_decoder()
    found = [event for one in pieces for event in decoder.feed(one)]
    return [*found, *decoder.finish()]


def folded(events: list[StreamEvent]) -> Fold:
    fold = Fold()
    for event in events:
        fold.feed(event)
    return fold


def test_signatures_stand_before_what_they_stand_on_and_calls_have_ids():
    response = decode(answer(PARTS))
    assert (response.parts, response.stop, response.usage) == (READ, "tool_use", COUNTED)
    assert (response.response_id, response.model) == ("r1", "gemini-3-flash")
    body = answer(PARTS)
    assert again(body) == (body, ())


@pytest.mark.parametrize("framed", [as_events, as_list])
def test_a_stream_says_the_same_cut_at_every_byte_in_both_framings(framed: Any):
    stream = framed(PIECES)
    whole = events_of([stream])
    assert events_of([stream[place : place + 1] for place in range(len(stream))]) == whole
    fold = folded(whole)
    response = fold.result()
    assert (response.parts, response.stop, response.usage) == (READ, "tool_use", COUNTED)
    assert response.extras == {"candidates[0].safetyRatings": [{"category": "C"}]}
    assert (fold.ended, fold.failure) == (True, None)


def test_quotes_backslashes_and_brackets_in_a_list_are_text():
    said = 'a "}]{[" b \\ "'
    [part] = (
        folded(events_of([as_list([piece([{"text": said}], finishReason="STOP")])])).result().parts
    )
    assert part == Text(text=said)
    assert decode([piece([{"text": said}], finishReason=1)]).parts == (Text(text=said),)


def test_texts_grow_until_something_else_comes():
    pieces = [
        piece([{"text": "a"}], finishReason="STOP"),
        piece([{"text": "b"}, {"text": "c", "thoughtSignature": "S"}, {"text": "d"}]),
        piece([{"text": "", "thoughtSignature": "T"}], finishReason="MAX_TOKENS"),
    ]
    response = folded(events_of([as_events(pieces)])).result()
    assert response.parts == (
        Text(text="ab"),
        Thinking(signature="S", origin=NAME, item_id="text"),
        Text(text="c"),
        Text(text="d"),
        Thinking(signature="T", origin=NAME, item_id="empty"),
    )
    assert (response.stop, response.stop_raw) == ("max_tokens", "MAX_TOKENS")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_client_is_told_the_stream_in_its_own_grammar(shape: Any):
    encoder = shape.stream_encoder(CONTEXT)
    written = b"".join(map(encoder.feed, events_of([as_events(PIECES)])))
    decoder = shape.stream_decoder()
    fold = folded([*decoder.feed(written), *decoder.finish()])
    assert (fold.ended, fold.failure) == (True, None)
    response = fold.result()
    assert response.stop == "tool_use"
    assert response.usage is not None
    assert response.usage.total_tokens == COUNTED.total_tokens
    calls = [part for part in response.parts if isinstance(part, ToolCall)]
    assert [json.loads(call.arguments) for call in calls] == [{"at": "x"}, {"at": "y"}]
    assert [call.call_id for call in calls] == ["gemini_call_r1_1", "own"]
    said = "".join(part.text for part in response.parts if isinstance(part, Text))
    assert said == "Looking."
    written_out = written.decode()
    assert written_out.count(FOREIGN_SIGNATURE) >= 2
    assert "SIG_" not in written_out


def test_a_stream_that_is_cut_fails_and_a_reason_makes_it_whole():
    *_, last = events_of([as_events(PIECES[:-1])])
    assert isinstance(last, StreamFailure)
    assert last.error.status == 502
    *_, last = events_of([as_list(PIECES)[:-40]])
    assert isinstance(last, StreamFailure)
    assert isinstance(events_of([b""])[-1], StreamFailure)


def test_an_error_ends_a_stream_wherever_it_stands():
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    for stream in (
        as_events([PIECES[0], error, PIECES[-1]]),
        as_list([PIECES[0], error, PIECES[-1]]),
        json.dumps(error, indent=2).encode(),
        as_list([error]),
    ):
        *_, last = events_of([stream])
        assert isinstance(last, StreamFailure)
        assert (last.error.status, last.error.kind) == (503, "overloaded")
        assert last.error.message == "The model is overloaded."


def test_bytes_that_are_no_answer_are_refused():
    with pytest.raises(CodecError, match="valid JSON"):
        events_of([b"data: {nonsense\n\n"])
    with pytest.raises(CodecError, match="needs candidates"):
        decode({})
    with pytest.raises(CodecError, match=r"candidates\[0\]"):
        decode({"candidates": [1]})
    with pytest.raises(CodecError, match="cannot be told"):
        other = BY_NAME["openai_chat"].decode_response(b'{"choices":[{"message":{}}]}')
        GOOGLE_GENERATE_CONTENT.encode_response(other, CONTEXT)
    assert GOOGLE_GENERATE_CONTENT.facts_of(b"<html>").usage is None


@pytest.mark.parametrize(
    "changed",
    [
        {"candidates": [{"finishReason": "MAX_TOKENS", "content": {"role": "model"}}]},
        {"candidates": [{"finishReason": "SAFETY", "index": 0}]},
        {"candidates": [{"finishReason": 3, "content": {}, "index": 0}]},
        {"candidates": [{"finishReason": "STOP", "content": {"parts": [], "role": "model"}}]},
        {"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "a"}]}}]},
        {"candidates": [], "promptFeedback": {"blockReason": "SAFETY"}},
        {"candidates": [{"content": {"parts": [{"text": "a"}], "role": "model", "x": 1}, "index": 2}]},
    ],
)  # fmt: skip
def test_whatever_an_answer_is_comes_out_again(changed: dict[str, Any]):
    body = {**answer(PARTS), **changed}
    assert again(body) == (body, ())


def test_a_prompt_that_is_blocked_is_filtered_content():
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": USAGE}
    assert again(body) == (body, ())
    response = decode(body)
    assert (response.stop, response.stop_raw) == ("content_filter", "PROHIBITED_CONTENT")
    streamed = folded(events_of([as_events([body])])).result()
    assert (streamed.stop, streamed.stop_raw) == ("content_filter", "PROHIBITED_CONTENT")
    told = json.loads(BY_NAME["openai_chat"].encode_response(response, CONTEXT).body)
    assert told["choices"][0]["finish_reason"] == "content_filter"


def test_several_candidates_are_several_choices_of_chat():
    body = answer([{"text": "one"}])
    more = {"content": {"parts": [{"text": "two"}], "role": "model"}, "finishReason": "MAX_TOKENS"}
    body["candidates"].append({**more, "index": 1, "avgLogprobs": -0.5})
    assert again(body) == (body, ())
    encoded = BY_NAME["openai_chat"].encode_response(decode(body), CONTEXT)
    told = json.loads(encoded.body)["choices"]
    assert [(one["index"], one["message"]["content"], one["finish_reason"]) for one in told] == [
        (0, "one", "stop"),
        (1, "two", "length"),
    ]
    assert [note.path for note in encoded.notes] == ["candidates[1].avgLogprobs"]
    for name in ("anthropic_messages", "openai_responses"):
        notes = BY_NAME[name].encode_response(decode(body), CONTEXT).notes  # type: ignore[index]
        assert "choices" in {note.path for note in notes if note.verb == "lost"}


def test_code_that_google_ran_rides_as_it_came_and_is_told_as_lost():
    code = {"executableCode": {"code": "1", "language": "PYTHON"}, "thoughtSignature": "S"}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}
    body = answer([code, result, {"text": "1"}], groundingMetadata={"webSearchQueries": ["q"]})
    assert again(body) == (body, ())
    response = decode(body)
    assert response.parts[:2] == (
        Opaque(shape=NAME, kind="executableCode", value=code),
        Opaque(shape=NAME, kind="codeExecutionResult", value=result),
    )
    notes = BY_NAME["openai_chat"].encode_response(response, CONTEXT).notes
    assert [note.path for note in notes if note.verb == "lost"] == [
        "candidates[0].groundingMetadata",
        "candidates[0].content.parts[0]",
        "candidates[0].content.parts[1]",
    ]


def test_usage_by_hand():
    assert usage_of(USAGE) == COUNTED
    assert COUNTED.total_tokens == USAGE["totalTokenCount"]
    assert usage_of({}) == Usage()
    assert usage_of({"promptTokenCount": None, "candidatesTokenCount": "3"}) == Usage()
    # What only the prompt of an aborted stream told.
    assert usage_of({"promptTokenCount": 7, "totalTokenCount": 7}) == Usage(input_tokens=7)


def test_facts_are_those_of_the_answer():
    facts = GOOGLE_GENERATE_CONTENT.facts_of(json.dumps(answer(PARTS)).encode())
    assert (facts.response_id, facts.model, facts.usage) == ("r1", "gemini-3-flash", COUNTED)
    assert (facts.stop, facts.stop_raw, facts.tool_calls) == ("tool_use", "STOP", 2)
    assert facts.output_characters == len('let me seeLooking.{"at":"x"}{"at":"y"}')
    assert facts.complete


def test_every_reason_to_stop_has_its_row():
    filtered = [
        *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
    ]
    failed = [
        *("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"),
        *("TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"),
    ]
    others = ["LANGUAGE", "OTHER", "NO_IMAGE", "IMAGE_OTHER"]
    expected = {"STOP": "end_turn", "MAX_TOKENS": "max_tokens"}
    expected |= dict.fromkeys(filtered, "content_filter") | dict.fromkeys(failed, "error")
    expected |= dict.fromkeys(others, "other")
    assert {raw: stop_of(raw, called=False) for raw in STOP_IN} == expected
    assert [stop_of(raw, called=True) for raw in ("STOP", "1", "MAX_TOKENS", "FINISH_LATER")] == [
        "tool_use",
        "tool_use",
        "max_tokens",
        "other",
    ]
    assert [stop_of(number, called=False) for number in ("1", "2", "3", "10", "99")] == [
        "end_turn",
        "max_tokens",
        "content_filter",
        "error",
        "other",
    ]
    assert set(NUMBERED.values()) <= set(STOP_IN)


BAD_KEY = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}
TOO_LONG = "The input token count (2) exceeds the maximum number of tokens allowed (1)."
REASON = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (400, {"message": "bad", "status": "INVALID_ARGUMENT"}, "invalid_request", "INVALID_ARGUMENT"),
        (400, {**BAD_KEY, "details": [REASON]}, "authentication", "API_KEY_INVALID"),
        (400, {"message": TOO_LONG, "status": "INVALID_ARGUMENT"}, "context_length", "INVALID_ARGUMENT"),
        (401, {"message": "no", "status": "UNAUTHENTICATED"}, "authentication", "UNAUTHENTICATED"),
        (403, {"message": "no", "status": "PERMISSION_DENIED"}, "permission", "PERMISSION_DENIED"),
        (404, {"message": "no", "status": "NOT_FOUND"}, "not_found", "NOT_FOUND"),
        (429, {"message": "slow", "status": "RESOURCE_EXHAUSTED"}, "rate_limit", "RESOURCE_EXHAUSTED"),
        (500, {"message": "oh", "status": "INTERNAL"}, "api", "INTERNAL"),
        (503, {"message": "busy", "status": "UNAVAILABLE"}, "overloaded", "UNAVAILABLE"),
        (504, {"message": "late", "status": "DEADLINE_EXCEEDED"}, "timeout", "DEADLINE_EXCEEDED"),
        (418, {"message": "new"}, "invalid_request", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("listed", [False, True])
def test_errors(status: int, error: dict[str, Any], kind: str, code: str | None, listed: bool):
    whole = {"error": error}
    body = json.dumps([whole] if listed else whole).encode()
    found = GOOGLE_GENERATE_CONTENT.decode_error(status, body)
    assert (found.status, found.kind, found.message) == (status, kind, error["message"])
    assert (found.code, found.original) == (code, whole)


def test_errors_that_are_none_of_googles():
    found = GOOGLE_GENERATE_CONTENT.decode_error(503, b"<html>")
    assert (found.kind, found.message) == ("overloaded", "<html>")
    found = GOOGLE_GENERATE_CONTENT.decode_error(500, b"")
    assert (found.kind, found.message) == ("api", "the upstream answered 500 without a body")
    assert GOOGLE_GENERATE_CONTENT.decode_error(429, b"[]").message == "[]"
