"""Other shapes' requests as Gemini's, and what of Gemini's own the recordings lack."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis.errors import CodecError
from metis.wire import SHAPES
from metis.wire.codec import Note
from metis.wire.google_generate_content import GOOGLE_GENERATE_CONTENT

BY_NAME = {shape.name: shape for shape in SHAPES}
FLASH, PRO, THREE, OLD = "gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash", "gemini-2.0-flash"
LITE = "gemini-2.5-flash-lite"
PNG = "iVBORw0KGgo="
HI = [{"role": "user", "content": "hi"}]
SAID = [{"role": "user", "parts": [{"text": "hi"}]}]
OPEN_API = {"name": "a", "parameters": {"type": 6}}
SNAKE = {"name": "b", "parameters_json_schema": {"type": "object"}, "behavior": "BLOCKING"}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


def crossed(shape: str, body: dict[str, Any]) -> tuple[dict[str, Any], tuple[Note, ...]]:
    request = BY_NAME[shape].decode_request(json.dumps(body).encode())  # type: ignore[index]
    encoded = GOOGLE_GENERATE_CONTENT.encode_request(request)
    assert encoded == GOOGLE_GENERATE_CONTENT.encode_request(request)
    return json.loads(encoded.body), encoded.notes


def from_chat(**more: Any) -> tuple[dict[str, Any], tuple[Note, ...]]:
    return crossed("openai_chat", {"model": FLASH, "messages": HI, **more})


def again(body: dict[str, Any]) -> tuple[Any, tuple[Note, ...]]:
    """The body decoded and encoded, and what was noted on the way."""
    request = GOOGLE_GENERATE_CONTENT.decode_request(json.dumps(body).encode())
    encoded = GOOGLE_GENERATE_CONTENT.encode_request(request)
    return json.loads(encoded.body), encoded.notes


def test_a_turn_with_tools_as_gemini_has_it():
    look = {"name": "look", "description": "Looks.", "input_schema": SCHEMA}
    body = {
        "model": PRO,
        "max_tokens": 64,
        "system": "You help.",
        "tools": [look, {"name": "nothing", "input_schema": {}}],
        "tool_choice": {"type": "tool", "name": "look"},
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "top_k": 5,
        "top_p": 0.9,
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "on it"},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"n": 1}},
                    {"type": "tool_use", "id": "t2", "name": "nothing", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t2", "content": "no", "is_error": True},
                    {"type": "tool_result", "tool_use_id": "t1", "content": [
                        {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                    {"type": "text", "text": "well?"},
                ],
            },
        ],
    }  # fmt: skip
    out, notes = crossed("anthropic_messages", body)
    assert notes == ()
    assert out == {
        "systemInstruction": {"parts": [{"text": "You help."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "on it"},
                    {"functionCall": {"name": "look", "id": "t1", "args": {"n": 1}}},
                    {"functionCall": {"name": "nothing", "id": "t2", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {
                        "functionResponse": {
                            "name": "look",
                            "id": "t1",
                            "response": {"output": "a\nb"},
                        }
                    },
                    {
                        "functionResponse": {
                            "name": "nothing",
                            "id": "t2",
                            "response": {"error": "no"},
                        }
                    },
                    {"text": "well?"},
                ],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "look", "description": "Looks.", "parametersJsonSchema": SCHEMA},
                    {"name": "nothing"},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
        "generationConfig": {
            "maxOutputTokens": 64,
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 5,
            "stopSequences": ["END"],
        },
    }


@pytest.mark.parametrize(
    ("choice", "mode"), [("auto", "AUTO"), ("required", "ANY"), ("none", "NONE")]
)
def test_tool_choice_has_a_mode(choice: str, mode: str):
    tool = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
    out, notes = from_chat(tools=[tool], tool_choice=choice)
    assert (out["toolConfig"], notes) == ({"functionCallingConfig": {"mode": mode}}, ())
    out, notes = from_chat(tools=[tool], parallel_tool_calls=False)
    assert "toolConfig" not in out
    assert [(note.verb, note.path) for note in notes] == [("lost", "parallel_tool_calls")]
    out, notes = from_chat(tool_choice=choice)
    assert "toolConfig" not in out


def test_chats_own_wishes_have_names_of_their_own():
    wishes = {"n": 3, "seed": 7, "presence_penalty": 0.5, "frequency_penalty": 0, "stop": "END"}
    out, notes = from_chat(**wishes, max_completion_tokens=9)
    assert notes == ()
    assert out["generationConfig"] == {
        "maxOutputTokens": 9,
        "seed": 7,
        "stopSequences": ["END"],
        "candidateCount": 3,
        "presencePenalty": 0.5,
    }
    out, notes = from_chat(n=3, stream=True)
    assert out == {"contents": SAID}
    assert [(note.verb, note.path) for note in notes] == [("lost", "n")]
    out, notes = from_chat(n=1, temperature=2.5, logprobs=True, user="u", service_tier="flex")
    assert out["generationConfig"] == {"temperature": 2}
    assert [(note.verb, note.path) for note in notes] == [
        ("mapped", "temperature"),
        ("lost", "service_tier"),
        ("lost", "user"),
        ("lost", "logprobs"),
    ]


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        (OLD, "high", None),
        (FLASH, "none", {"thinkingBudget": 0}),
        (FLASH, "low", {"includeThoughts": True, "thinkingBudget": 1_024}),
        (FLASH, "medium", {"includeThoughts": True, "thinkingBudget": 8_192}),
        (FLASH, "high", {"includeThoughts": True, "thinkingBudget": 24_576}),
        (PRO, "none", {"thinkingBudget": 128}),
        (THREE, "none", {"thinkingLevel": "minimal"}),
        (THREE, "minimal", {"includeThoughts": True, "thinkingLevel": "minimal"}),
        (THREE, "medium", {"includeThoughts": True, "thinkingLevel": "medium"}),
        ("gemini-3-pro-preview", "minimal", {"includeThoughts": True, "thinkingLevel": "low"}),
        ("gemini-3.1-pro", "xhigh", {"includeThoughts": True, "thinkingLevel": "high"}),
        ("gemini-flash-latest", "low", {"includeThoughts": True, "thinkingLevel": "low"}),
        (THREE, "enormous", {"includeThoughts": True}),
    ],
)
def test_an_effort_is_what_the_generation_takes(
    model: str, effort: str, config: dict[str, Any] | None
):
    out, notes = from_chat(model=model, reasoning_effort=effort)
    assert out.get("generationConfig", {}).get("thinkingConfig") == config
    exact = (FLASH, "none"), (THREE, "minimal"), (THREE, "medium"), ("gemini-flash-latest", "low")
    assert bool(notes) == ((model, effort) not in exact)


@pytest.mark.parametrize(
    ("model", "thinking", "config"),
    [
        (FLASH, {"type": "enabled", "budget_tokens": 2_048}, {"includeThoughts": True, "thinkingBudget": 2_048}),
        (FLASH, {"type": "enabled", "budget_tokens": 31_999}, {"includeThoughts": True, "thinkingBudget": 24_576}),
        (PRO, {"type": "enabled", "budget_tokens": 31_999}, {"includeThoughts": True, "thinkingBudget": 31_999}),
        (LITE, {"type": "enabled", "budget_tokens": 100}, {"includeThoughts": True, "thinkingBudget": 512}),
        (FLASH, {"type": "adaptive"}, {"includeThoughts": True, "thinkingBudget": -1}),
        (FLASH, {"type": "adaptive", "display": "omitted"}, {"thinkingBudget": -1}),
        (FLASH, {"type": "disabled"}, {"thinkingBudget": 0}),
        (THREE, {"type": "adaptive"}, {"includeThoughts": True}),
        (THREE, {"type": "enabled", "budget_tokens": 1_024}, {"includeThoughts": True, "thinkingLevel": "low"}),
        (THREE, {"type": "enabled", "budget_tokens": 4_000}, {"includeThoughts": True, "thinkingLevel": "medium"}),
        (THREE, {"type": "enabled", "budget_tokens": 31_999}, {"includeThoughts": True, "thinkingLevel": "high"}),
        (OLD, {"type": "disabled"}, None),
    ],
)  # fmt: skip
def test_a_budget_is_what_the_generation_takes(
    model: str, thinking: dict[str, Any], config: dict[str, Any] | None
):
    body = {"model": model, "max_tokens": 64_000, "messages": HI, "thinking": thinking}
    out, _ = crossed("anthropic_messages", body)
    assert out["generationConfig"].get("thinkingConfig") == config


def test_files_go_inside_or_by_address_and_what_cannot_is_told():
    urls = [
        "https://example.com/a.png?x=1",
        "gs://bucket/b.pdf",
        "https://example.com/c",
        "s3://b/d.png",
    ]
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{PNG}"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "report.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        *({"type": "image_url", "image_url": {"url": url}} for url in urls),
        {"type": "file", "file": {"file_id": "file-1"}},
    ]  # fmt: skip
    out, notes = from_chat(messages=[{"role": "user", "content": content}])
    assert out["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        {"fileData": {"mimeType": "image/png", "fileUri": urls[0]}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": urls[1]}},
        {"text": f"Image: {urls[2]}"},
        {"text": f"Image: {urls[3]}"},
    ]
    assert [(note.verb, note.path.removeprefix("messages[0].content")) for note in notes] == [
        ("lost", "[1]"),
        ("mapped", "[5]"),
        ("mapped", "[6]"),
        ("lost", "[7]"),
    ]
    assert "report.pdf" in notes[0].why


def test_documents_of_text_are_text():
    document = {
        "type": "document",
        "title": "Notes",
        "context": "of May",
        "source": {"type": "text", "media_type": "text/plain", "data": "all well"},
    }
    messages = [{"role": "user", "content": [document]}]
    out, notes = crossed(
        "anthropic_messages", {"model": FLASH, "max_tokens": 9, "messages": messages}
    )
    parts = [{"text": "Notes"}, {"text": "of May"}, {"text": "all well"}]
    assert out["contents"][0]["parts"] == parts
    assert [note.verb for note in notes] == ["mapped"]


@pytest.mark.parametrize(("model", "inside"), [(FLASH, False), (THREE, True)])
def test_an_image_of_a_tool_stands_where_the_generation_takes_it(model: str, inside: bool):
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    result = [{"type": "text", "text": "see"}, {"type": "image", "source": source}]
    use = {"type": "tool_use", "id": "t1", "name": "shot", "input": {}}
    messages = [
        *HI,
        {"role": "assistant", "content": [use]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": result}],
        },
    ]
    body = {"model": model, "max_tokens": 9, "messages": messages}
    out, _ = crossed("anthropic_messages", body)
    image = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    answered = {"name": "shot", "id": "t1", "response": {"output": "see"}}
    expected = (
        [{"functionResponse": {**answered, "parts": [image]}}]
        if inside
        else [{"functionResponse": answered}, image]
    )
    assert out["contents"][2]["parts"] == expected


def test_a_call_without_a_result_gets_one_that_says_so():
    call = {"id": "c 1", "type": "function", "function": {"name": "look", "arguments": "{"}}
    messages = [*HI, {"role": "assistant", "tool_calls": [call]}, *HI]
    out, notes = from_chat(messages=messages)
    [called] = out["contents"][1]["parts"]
    assert called["functionCall"]["args"] == {"invalid_json_arguments": "{"}
    answered = out["contents"][2]["parts"][0]["functionResponse"]
    assert (answered["name"], answered["id"]) == ("look", "c_1")
    assert answered["response"] == {"error": "No result of this call was recorded."}
    assert {note.verb for note in notes} == {"mapped", "edited"}


def test_structured_output_is_asked_for_by_the_api_or_in_words_beside_older_models_tools():
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    tool = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
    asked = {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    out, notes = from_chat(response_format=wanted)
    assert out["generationConfig"] == asked
    assert [(note.verb, note.path) for note in notes] == [
        ("mapped", "response_format.json_schema.name")
    ]
    out, _ = from_chat(model=THREE, response_format=wanted, tools=[tool])
    assert out["generationConfig"] == asked
    out, _ = from_chat(response_format=wanted, tools=[tool])
    assert "generationConfig" not in out
    assert json.dumps(SCHEMA, separators=(",", ":")) in out["systemInstruction"]["parts"][0]["text"]
    out, _ = from_chat(response_format={"type": "json_object"})
    assert out["generationConfig"] == {"responseMimeType": "application/json"}


def test_what_has_no_place_is_listed():
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    body = {
        "model": FLASH,
        "max_tokens": 9,
        "system": [{"type": "text", "text": "s", **mark}],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", **mark}]}],
        "metadata": {"user_id": "u"},
        "stop_sequences": list("abcdef"),
    }
    out, notes = crossed("anthropic_messages", body)
    assert set(out) == {"systemInstruction", "contents", "generationConfig"}
    assert [note.path for note in notes if note.verb == "lost"] == [
        "tools[0]",
        "system[0].cache_control",
        "messages[0].cache_control",
        "stop_sequences[5]",
        "metadata.user_id",
    ]


@pytest.mark.parametrize(
    "extra",
    [
        {"systemInstruction": {"parts": [{"text": "s"}]}},
        {"system_instruction": {"parts": [{"text": "s"}], "role": "system"}},
        {"systemInstruction": {}, "generationConfig": {}},
        {"generation_config": {"max_output_tokens": 5, "top_k": 40.0, "stop_sequences": []}},
        {"generationConfig": {"topK": 3, "top_p": 0.5, "seed": 1, "thinkingConfig": {"thinkingBudget": 1}}},
        {"tools": []},
        {"tools": [{"functionDeclarations": []}, {"googleSearch": {}}]},
        {"tools": [{"googleSearch": {}}, {"functionDeclarations": [OPEN_API]}, {"functionDeclarations": [SNAKE]}]},
        {"tools": [{"functionDeclarations": [SNAKE, OPEN_API]}]},
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a", "b"]}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a"]}}},
        {"toolConfig": {"functionCallingConfig": {"mode": 1}}, "tool_config": {}},
        {"model": "models/gemini-2.0-flash", "cachedContent": "c", "safetySettings": [{"category": 10}]},
        {"labels": {"a": "b"}, "unheard": [1, {"a": None}]},
    ],
)  # fmt: skip
def test_whatever_a_request_holds_comes_out_again(extra: dict[str, Any]):
    body = {"contents": SAID, **extra}
    assert again(body) == (body, ())


@pytest.mark.parametrize(
    "part",
    [
        {},
        {"text": "a", "unheard": 1},
        {"text": "a", "thought": True, "thought_signature": "S"},
        {"text": "", "thoughtSignature": "S", "unheard": 1},
        {"text": 1},
        {"functionCall": {"name": "f"}},
        {"functionCall": {"name": "f", "args": None, "id": ""}},
        {"function_call": {"name": "f", "args": {"a": 1.0}}, "thoughtSignature": "S"},
        {"functionCall": {"args": {}}, "thoughtSignature": "S"},
        {"functionResponse": {"name": "f", "response": {"a": [1]}, "willContinue": False}},
        {"function_response": {"name": "f", "id": "i", "parts": [{"inline_data": {}}]}},
        {"inlineData": {"mimeType": "image/png", "data": PNG, "displayName": "d"}},
        {"inline_data": {"mime_type": "image/png", "data": PNG}},
        {"inlineData": {"data": PNG}, "thoughtSignature": "S"},
        {"file_data": {"file_uri": "gs://a/b"}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "u"}, "videoMetadata": {"fps": 1}},
        {"fileData": None},
        {"executableCode": {"code": "1"}, "thoughtSignature": "S"},
        {"unheard": {"of": 1}},
    ],
)
def test_whatever_a_part_is_comes_out_again(part: dict[str, Any]):
    for role in ({"role": "model"}, {"role": "function"}, {"role": "odd"}, {}):
        body = {"contents": [{**role, "parts": [{"text": "x"}, part, {"text": "y"}]}, *SAID]}
        assert again(body) == (body, ())


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "contents"),
        ({"contents": [{"role": "user"}]}, r"contents\[0\].parts"),
        ({"contents": [{"parts": ["hi"]}]}, r"contents\[0\].parts\[0\]"),
        ({"contents": [], "generationConfig": {"maxOutputTokens": "5"}}, "generationConfig.maxOut"),
        ({"contents": [], "generationConfig": {"stopSequences": [1]}}, r"stopSequences\[0\]"),
        ({"contents": [], "tools": [{"functionDeclarations": [{}]}]}, "name"),
    ],
)
def test_what_no_request_can_hold_is_named(body: dict[str, Any], where: str):
    with pytest.raises(CodecError, match=where):
        GOOGLE_GENERATE_CONTENT.decode_request(json.dumps(body).encode())
