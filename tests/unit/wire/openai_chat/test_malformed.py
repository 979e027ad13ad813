"""Bad input gets a sentence with a path, never another exception."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metis.errors import CodecError
from metis.ir.stream import Start
from metis.wire.codec import FOREIGN_SIGNATURE, ReplyContext
from metis.wire.openai_chat import OPENAI_CHAT


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the request body is not valid JSON: Input data was truncated"),
        (b"[]", "the request body must be a JSON object, not a list"),
        (b"{}", "messages: the list of messages is required"),
        (b'{"messages":{}}', "messages: the list of messages must be a list"),
        (b'{"messages":["hi"]}', "messages[0]: expected an object, got a string"),
        (b'{"messages":[{}]}', "messages[0].role: a message needs a role"),
        (
            b'{"messages":[{"role":"boss"}]}',
            "messages[0].role: unknown role 'boss'; roles are system, developer, user, assistant, tool",
        ),
        (b'{"messages":[{"role":7}]}', "messages[0].role: expected a string, got a whole number"),
        (
            b'{"messages":[{"role":"user","content":1}]}',
            "messages[0].content: expected a string or a list of parts, got a whole number",
        ),
        (
            b'{"messages":[{"role":"user","content":["x"]}]}',
            "messages[0].content[0]: expected an object, got a string",
        ),
        (
            b'{"messages":[{"role":"user","content":[{"text":"x"}]}]}',
            "messages[0].content[0].type: a content part needs a type",
        ),
        (
            b'{"messages":[{"role":"user","content":[{"type":"text"}]}]}',
            "messages[0].content[0].text: expected a string, got null",
        ),
        (
            b'{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}',
            "messages[0].content[0].image_url: expected an object, got null",
        ),
        (
            b'{"messages":[{"role":"assistant","tool_calls":[{"id":1}]}]}',
            "messages[0].tool_calls[0].id: expected a string, got a whole number",
        ),
        (
            b'{"messages":[{"role":"tool","tool_call_id":[],"content":""}]}',
            "messages[0].tool_call_id: expected a string, got a list",
        ),
        (b'{"messages":[],"model":5}', "model: expected a string, got a whole number"),
        (b'{"messages":[],"tools":{}}', "tools: expected a list, got an object"),
        (b'{"messages":[],"tools":[{}]}', "tools[0].type: a tool needs a type"),
        (
            b'{"messages":[],"tools":[{"type":"function","function":{}}]}',
            "tools[0].function.name: a tool needs a name",
        ),
        (b'{"messages":[],"tool_choice":7}', "tool_choice: expected an object, got a whole number"),
        (b'{"messages":[],"stop":[1]}', "stop[0]: expected a string"),
        (b'{"messages":[],"stop":1}', "stop: expected a list, got a whole number"),
        (b'{"messages":[],"temperature":"hot"}', "temperature: expected a number, got a string"),
        (b'{"messages":[],"max_tokens":1.5}', "max_tokens: expected a whole number, got a number"),
        (b'{"messages":[],"stream":"yes"}', "stream: expected true or false, got a string"),
        (
            b'{"messages":[],"stream_options":{"include_usage":1}}',
            "stream_options.include_usage: expected true or false, got a whole number",
        ),
    ],
)
def test_a_malformed_request_is_told_where_and_what(body: bytes, sentence: str) -> None:
    with pytest.raises(CodecError) as caught:
        OPENAI_CHAT.decode_request(body)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    "body", [b"[" * 5000, b'{"messages":' + b"[" * 5000, b'"\xff"', b'{"a":1e999}']
)
def test_absurd_json_is_a_codec_error(body: bytes) -> None:
    for decode in (OPENAI_CHAT.decode_request, OPENAI_CHAT.decode_response):
        with pytest.raises(CodecError):
            decode(body)
    assert OPENAI_CHAT.facts_of(body).complete is False
    assert OPENAI_CHAT.decode_error(500, body).status == 500


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":[1]}',
        b'{"choices":[{}]}',
        b'{"choices":[{"message":[]}]}',
    ],
)
def test_what_is_no_answer_is_a_codec_error(body: bytes) -> None:
    with pytest.raises(CodecError):
        OPENAI_CHAT.decode_response(body)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.just(1.5)
    | st.sampled_from(
        [
            "",
            "x",
            "text",
            "function",
            "auto",
            "user",
            "assistant",
            "tool",
            "data:a;base64,b",
            "reasoning.text",
            "reasoning.encrypted",
            "anthropic-claude-v1",
            "openai-responses-v1",
            "thinking",
            "custom",
            FOREIGN_SIGNATURE + "e30=",
        ]
    )
)
NAMES = st.sampled_from(
    [
        "role",
        "content",
        "type",
        "text",
        "image_url",
        "url",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "index",
        "custom",
        "input",
        "function_call",
        "reasoning_details",
        "reasoning",
        "reasoning_content",
        "format",
        "data",
        "signature",
        "summary",
        "thinking",
        "refusal",
        "annotations",
        "cache_control",
        "ttl",
        "tool_call_id",
        "message",
        "delta",
        "finish_reason",
        "usage",
        "prompt_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "error",
        "code",
        "file",
        "file_data",
        "input_audio",
        "logprobs",
        "audio",
        "x_groq",
        "detail",
    ]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
FUZZ = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
CONTEXT = ReplyContext(model="m", response_id="r", created=1)


def mutated(draw: st.DrawFn, value: Any) -> Any:
    """The value with some of its nodes replaced by others."""
    if draw(st.integers(0, 9)) == 0:
        return draw(VALUES)
    if isinstance(value, dict):
        return {key: mutated(draw, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [mutated(draw, inner) for inner in value]
    return value


REQUEST: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "u"}},
                {"type": "input_audio", "input_audio": {"data": "d", "format": "wav"}},
                {"type": "file", "file": {"file_data": "d"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning_details": [{"type": "reasoning.text", "text": "t", "format": "unknown"}],
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
            "function_call": {"name": "f", "arguments": ""},
        },
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "r"}]},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {}}},
        {
            "type": "custom",
            "custom": {
                "name": "g",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "d"}},
            },
        },
    ],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "functions": [{"name": "f"}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "reasoning": {"effort": "low", "max_tokens": 5},
    "stop": ["x"],
    "stream_options": {"include_usage": True},
}
ANSWER: dict[str, Any] = {
    "id": "r",
    "choices": [
        {"index": 0, "finish_reason": "stop", "logprobs": None, "message": REQUEST["messages"][2]}
    ],
    "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}},
}
CHUNK: dict[str, Any] = {
    "id": "r",
    "choices": [
        {
            "index": 0,
            "finish_reason": None,
            "delta": {
                **REQUEST["messages"][2],
                "content": "x",
                "refusal": "n",
                "annotations": [{}],
            },
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 1}},
}


@st.composite
def requests_like(draw: st.DrawFn) -> Any:
    return mutated(draw, REQUEST)


@st.composite
def answers_like(draw: st.DrawFn) -> Any:
    return mutated(draw, ANSWER)


@st.composite
def chunks_like(draw: st.DrawFn) -> list[Any]:
    return [mutated(draw, CHUNK) for _ in range(draw(st.integers(1, 4)))]


@FUZZ
@given(requests_like())
def test_any_request_is_refused_with_a_sentence_or_comes_out_equal(body: Any) -> None:
    with contextlib.suppress(CodecError):
        request = OPENAI_CHAT.decode_request(json.dumps(body).encode())
        assert json.loads(OPENAI_CHAT.encode_request(request).body) == body


@FUZZ
@given(answers_like())
def test_any_answer_is_refused_with_a_sentence_or_read(body: Any) -> None:
    data = json.dumps(body).encode()
    facts = OPENAI_CHAT.facts_of(data)
    assert facts.output_characters >= 0 and facts.tool_calls >= 0
    assert OPENAI_CHAT.decode_error(400, data).status == 400
    try:
        response = OPENAI_CHAT.decode_response(data)
    except CodecError as refusal:
        assert str(refusal)
    else:
        assert "choices" in json.loads(OPENAI_CHAT.encode_response(response, CONTEXT).body)


@FUZZ
@given(chunks_like())
def test_any_stream_is_refused_with_a_sentence_or_read(chunks: list[Any]) -> None:
    stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    for strips in (False, True):
        tap = OPENAI_CHAT.tap(strips)
        relayed = tap.feed(stream[:50]) + tap.feed(stream[50:])
        assert relayed == stream or (
            strips and set(relayed.split(b"\n\n")) <= set(stream.split(b"\n\n"))
        )
    decoder, encoder = OPENAI_CHAT.stream_decoder(), OPENAI_CHAT.stream_encoder(CONTEXT)
    written = b""
    try:
        for event in decoder.feed(stream) + decoder.finish():
            written += encoder.feed(event)
    except CodecError as refusal:
        assert str(refusal)
    for line in written.split(b"\n\n")[:-1]:
        payload = line.removeprefix(b"data: ")
        assert payload == b"[DONE]" or isinstance(json.loads(payload), dict)


@FUZZ
@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    OPENAI_CHAT.tap(True).feed(data)
    assert OPENAI_CHAT.tap(False).feed(data) == data
    assert OPENAI_CHAT.facts_of(data).usage is None
    assert OPENAI_CHAT.decode_error(500, data).status == 500
    decoder = OPENAI_CHAT.stream_decoder()
    with contextlib.suppress(CodecError):
        decoder.feed(b"data: " + data + b"\n\n")
        decoder.finish()
    for decode in (OPENAI_CHAT.decode_request, OPENAI_CHAT.decode_response):
        with pytest.raises(CodecError) as refused:
            decode(data)
        assert str(refused.value)


@pytest.mark.parametrize("created", [True, "now", 1.5, None])
def test_a_time_that_is_none_is_left_out_of_a_stream(created: Any) -> None:
    chunk = {"id": "c", "created": created, "model": "m", "choices": []}
    [start, *_] = OPENAI_CHAT.stream_decoder().feed(f"data: {json.dumps(chunk)}\n\n".encode())
    assert isinstance(start, Start)
    assert start.created == 0
    assert start.created is not False
