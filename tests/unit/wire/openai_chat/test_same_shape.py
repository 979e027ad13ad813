"""What comes in this shape goes out in it equal, whatever server or client wrote it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis.ir.content import Media, Opaque, Text, Thinking, ToolCall, ToolResult
from metis.ir.request import OutputFormat, Reasoning, ToolChoice
from metis.wire.codec import ReplyContext
from metis.wire.openai_chat import OPENAI_CHAT


def reencoded(body: dict[str, Any]) -> dict[str, Any]:
    request = OPENAI_CHAT.decode_request(json.dumps(body).encode())
    encoded = OPENAI_CHAT.encode_request(request)
    assert encoded.notes == ()
    return json.loads(encoded.body)


def test_every_recorded_request_comes_out_equal(requests: list[dict[str, Any]]) -> None:
    assert len(requests) == 1344
    unequal = [r["id"] for r in requests if reencoded(r["request"]["body"]) != r["request"]["body"]]
    assert unequal == []


def test_every_recorded_answer_comes_out_equal(answers: list[dict[str, Any]]) -> None:
    assert len(answers) == 898
    unequal: list[str] = []
    for record in answers:
        body = record["response"]["body"]
        response = OPENAI_CHAT.decode_response(json.dumps(body).encode())
        context = ReplyContext(model=body["model"], response_id="unused", created=1)
        if json.loads(OPENAI_CHAT.encode_response(response, context).body) != body:
            unequal.append(record["id"])
    assert unequal == []


def test_facts_agree_with_the_decoded_answer(answers: list[dict[str, Any]]) -> None:
    for record in answers:
        body = json.dumps(record["response"]["body"]).encode()
        facts, response = OPENAI_CHAT.facts_of(body), OPENAI_CHAT.decode_response(body)
        assert (facts.response_id, facts.model, facts.usage, facts.stop, facts.stop_raw) == (
            response.response_id,
            response.model,
            response.usage,
            response.stop,
            response.stop_raw,
        )
        assert facts.complete


USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "hi"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "user", "content": []},
        {"role": "user", "content": None},
        {"role": "user", "content": "", "name": "ann"},
        {"role": "user", "content": "hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a", "cache_control": {"type": "x"}}],
        },
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"ttl": ""}}]},
        {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "mpeg"}}],
        },
        {"role": "user", "content": [{"type": "image_url", "image_url": "https://x/y.png"}]},
        {
            "role": "user",
            "content": [
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64,AA==", "detail": "low", "x": 1},
                }
            ],
        },
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]},
        {
            "role": "user",
            "content": [{"type": "file", "file": {"file_data": "QUJD", "filename": "a.pdf"}}],
        },
        {"role": "user", "content": [{"type": "file", "file": {"file_data": "https://x/y.pdf"}}]},
        {"role": "user", "content": [{"type": "file", "file": {"filename": "only.pdf"}}]},
        {
            "role": "user",
            "content": [
                {"type": "document_url", "document_url": "https://x/y.pdf", "document_name": "n"}
            ],
        },
        {"role": "user", "content": [{"type": "file_url", "file_url": {"url": "https://x/y.pdf"}}]},
        {
            "role": "user",
            "content": [{"type": "video_url", "video_url": {"url": "https://x/y.mp4"}}],
        },
        {"role": "user", "content": [{"type": "hologram", "beam": [1, {"a": None}]}]},
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": [{"type": "text", "text": "be brief"}]},
        {"role": "assistant"},
        {"role": "assistant", "content": None, "refusal": None, "audio": {"id": "audio_1"}},
        {"role": "assistant", "content": "", "refusal": "no"},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
            "refusal": "field",
        },
        {"role": "assistant", "content": [], "tool_calls": []},
        {
            "role": "assistant",
            "content": "x",
            "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}],
        },
        {"role": "assistant", "content": None, "annotations": [{"type": "url_citation"}]},
        {"role": "assistant", "content": "x", "reasoning": "because", "reasoning_content": ""},
        {"role": "assistant", "content": "x", "reasoning": "a", "reasoning_content": "a"},
        {
            "role": "assistant",
            "content": [
                {
                    "type": "thinking",
                    "thinking": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                    "closed": True,
                },
                {"type": "text", "text": "x"},
            ],
        },
        {"role": "assistant", "content": [{"type": "thinking", "thinking": []}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "index": 0,
                    "function": {"name": "f", "arguments": "{}", "y": 1},
                }
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "", "function": {"name": "f", "arguments": {"a": 1}}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "4+4"}}],
        },
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "42"},
        {"role": "tool", "tool_call_id": "c", "content": "42"},
        {"role": "tool", "tool_call_id": "c", "content": "", "name": "f"},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "42"}]},
        {"role": "tool", "tool_call_id": "c", "content": None},
        {"role": "tool", "content": []},
    ],
    ids=lambda message: json.dumps(message)[:70],
)
def test_message_forms_stay_apart(message: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [USER, message]}
    assert reencoded(body) == body


@pytest.mark.parametrize(
    "fields",
    [
        {"stop": "x"},
        {"stop": ["x"]},
        {"stop": []},
        {"stop": None},
        {"max_tokens": 1},
        {"max_completion_tokens": 1},
        {"max_tokens": 1, "max_completion_tokens": 2},
        {
            "temperature": 1,
            "top_p": 0.5,
            "top_k": 3,
            "seed": 1,
            "n": 2,
            "logit_bias": {"50256": -100},
        },
        {"stream": None, "stream_options": None},
        {"stream": True, "stream_options": {}},
        {"stream": True, "stream_options": {"include_usage": None}},
        {"stream": True, "stream_options": {"include_usage": False, "include_obfuscation": False}},
        {"tools": []},
        {"tools": None, "tool_choice": None},
        {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"},
        {
            "tools": [
                {"function": {"name": "f", "description": "", "parameters": {}, "strict": None}}
            ],
            "tool_choice": "any",
        },
        {"tools": [{"type": "custom", "custom": {"name": "f", "format": {"type": "text"}}}]},
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        "name": "f",
                        "format": {
                            "type": "grammar",
                            "grammar": {"syntax": "lark", "definition": "s: x"},
                        },
                    },
                }
            ],
            "tool_choice": {"type": "custom", "custom": {"name": "f"}},
        },
        {
            "tools": [{"type": "openrouter:web_search", "parameters": {}}],
            "tool_choice": {"type": "mystery", "x": 1},
        },
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": []},
            }
        },
        {"functions": [{"name": "f", "parameters": {}, "x": 1}], "function_call": {"name": "f"}},
        {"functions": [{"name": "f"}], "function_call": "auto"},
        {"response_format": {"type": "text"}},
        {"response_format": {"type": "json_object", "schema": {}}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "strict": None}}},
        {"tools": [{"function": {"name": "f"}}]},
        {"tools": [{"type": None, "function": {"name": "f"}}]},
        {"response_format": {"type": "grammar", "grammar": "x"}},
        {"response_format": None},
        {"reasoning_effort": "low"},
        {"reasoning_effort": None},
        {"reasoning": {"effort": "high", "max_tokens": 5, "exclude": True}},
        {"reasoning_effort": "low", "thinking": {"type": "enabled"}},
        {
            "user": "u",
            "metadata": {"a": "b"},
            "service_tier": "flex",
            "store": False,
            "prompt_cache_key": "k",
        },
        {"provider": {"order": ["x"]}, "transforms": [], "x_unknown": None},
    ],
    ids=lambda fields: json.dumps(fields)[:70],
)
def test_request_field_forms_stay_apart(fields: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [USER], **fields}
    assert reencoded(body) == body


def test_a_request_without_model_stays_without_one() -> None:
    body = {"messages": [USER]}
    assert reencoded(body) == body


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"model": "m", "object": "chat.completion", "created": 1.5},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": []}}]},
        {"choices": [{"index": 0, "message": {"role": "assistant"}, "finish_reason": None}]},
        {"choices": [{"index": 3, "message": {"content": 17}, "finish_reason": ""}]},
        {"choices": [{"message": {"role": "assistant", "content": "a", "tool_calls": ["odd"]}}]},
        {
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": [{"type": "text", "text": None}]},
                }
            ]
        },
        {"usage": None},
        {"usage": {"prompt_tokens": "many"}},
        {"service_tier": ""},
    ],
    ids=lambda change: json.dumps(change)[:70],
)
def test_odd_answers_are_read_and_come_out_as_they_were(change: dict[str, Any]) -> None:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
        ],
        **change,
    }
    response = OPENAI_CHAT.decode_response(json.dumps(body).encode())
    context = ReplyContext(model="m", response_id="unused", created=1)
    assert json.loads(OPENAI_CHAT.encode_response(response, context).body) == body


def test_a_request_becomes_these_neutral_values() -> None:
    body = {
        "model": "m",
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image_url",
                        "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"},
                    }
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "42"},
            {"role": "user", "content": [{"type": "hologram"}]},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
        "max_tokens": 9,
        "stop": "x",
        "stream_options": {"include_usage": True},
        "logprobs": True,
    }
    request = OPENAI_CHAT.decode_request(json.dumps(body).encode())
    assert [message.parts for message in request.messages] == [
        (Media(kind="image", media_type="image/png", data="AA==", detail="low"),),
        (
            Thinking(text="hm", origin="openai_chat"),
            ToolCall(call_id="c", name="f", arguments="{}"),
        ),
        (ToolResult(call_id="c", content=(Text(text="42"),), as_text=True),),
        (Opaque(shape="openai_chat", kind="hologram", value={"type": "hologram"}),),
    ]
    assert request.tool_choice == ToolChoice(kind="tool", name="f")
    assert request.reasoning == Reasoning(effort="low")
    assert request.output_format == OutputFormat(kind="json_schema", name="n", schema={})
    assert (request.max_tokens, request.max_tokens_field) == (9, "max_tokens")
    assert (request.stop, request.stop_text_form, request.include_usage) == (("x",), True, True)
    assert request.extras == {"logprobs": True}


def test_a_call_without_an_id_gets_one_that_other_shapes_can_use() -> None:
    body = b'{"id":"r","choices":[{"message":{"tool_calls":[{"id":"","function":{"name":"f","arguments":"{}"}}]}}]}'
    first, second = (OPENAI_CHAT.decode_response(body) for _ in range(2))
    (call,) = first.parts
    assert isinstance(call, ToolCall)
    assert call.call_id.startswith("call_")
    assert first.parts == second.parts
