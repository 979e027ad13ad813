"""Other shapes' requests as Converse's, and what of Converse's own the recordings lack."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis.errors import CodecError
from metis.wire import SHAPES
from metis.wire.bedrock_converse import BEDROCK_CONVERSE
from metis.wire.codec import Note

BY_NAME = {shape.name: shape for shape in SHAPES}
MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
POINT = {"cachePoint": {"type": "default"}}
HOUR_POINT = {"cachePoint": {"type": "default", "ttl": "1h"}}
PNG = "iVBORw0KGgo="
ALIAS = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdef"


def crossed(shape: str, body: dict[str, Any]) -> tuple[dict[str, Any], tuple[Note, ...]]:
    request = BY_NAME[shape].decode_request(json.dumps(body).encode())  # type: ignore[index]
    encoded = BEDROCK_CONVERSE.encode_request(request)
    assert encoded == BEDROCK_CONVERSE.encode_request(request)
    return json.loads(encoded.body), encoded.notes


def again(body: dict[str, Any]) -> tuple[Any, tuple[Note, ...]]:
    """The body decoded and encoded, and what was noted on the way."""
    request = BEDROCK_CONVERSE.decode_request(json.dumps(body).encode())
    encoded = BEDROCK_CONVERSE.encode_request(request)
    return json.loads(encoded.body), encoded.notes


@pytest.mark.parametrize(
    "model", ["claude-sonnet-4-5", ALIAS, "our-claude", "amazon.nova-pro-v1:0"]
)
def test_every_cache_marker_of_claude_code_becomes_a_cache_point_whatever_the_model_is_called(
    model,
):
    body = {
        "model": model,
        "max_tokens": 64,
        "system": [{"type": "text", "text": "You help.", **HOUR}],
        "tools": [
            {"name": "a", "input_schema": {"type": "object"}},
            {"name": "b", "input_schema": {"type": "object"}, **MARK},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi", **MARK}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "on it"},
                    {"type": "tool_use", "id": "t1", "name": "a", "input": {"x": 1}, **MARK},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "done", **MARK}
                ],
            },
        ],
    }
    out, notes = crossed("anthropic_messages", body)
    assert notes == ()
    assert json.dumps(body).count("cache_control") == json.dumps(out).count("cachePoint") == 5
    assert out["system"] == [{"text": "You help."}, HOUR_POINT]
    assert out["toolConfig"]["tools"][1:] == [
        {"toolSpec": {"name": "b", "inputSchema": {"json": {"type": "object"}}}},
        POINT,
    ]
    assert [message["content"][-1] for message in out["messages"]] == [POINT, POINT, POINT]


def test_thinking_of_claude_goes_out_again_and_thinking_of_others_does_not():
    thinking = [
        {"type": "thinking", "thinking": "", "signature": "SIGNED"},
        {"type": "redacted_thinking", "data": "SECRET"},
    ]
    said = [*thinking, {"type": "text", "text": "hello"}]
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": said},
        {"role": "user", "content": "go on"},
    ]
    body = {"model": ALIAS, "max_tokens": 9, "messages": messages}
    body |= {"thinking": {"type": "enabled", "budget_tokens": 2048}, "top_k": 5}
    out, notes = crossed("anthropic_messages", body)
    assert notes == ()
    assert out["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "", "signature": "SIGNED"}}},
        {"reasoningContent": {"redactedContent": "U0VDUkVU"}},
        {"text": "hello"},
    ]
    assert out["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "top_k": 5,
    }
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "OPENAI"}
    turns = [{"role": "user", "content": "hi"}, item, {"role": "assistant", "content": "hello"}]
    out, notes = crossed("openai_responses", {"model": ALIAS, "input": [*turns, turns[0]]})
    assert "OPENAI" not in json.dumps(out)
    assert [note.path for note in notes if note.verb == "lost"] == ["input[1]"]


def test_a_history_of_calls_has_its_tools_and_results_follow_their_calls():
    call = {"id": "call 1", "type": "function", "function": {"name": "look", "arguments": ""}}
    body = {
        "model": "amazon.nova-lite-v1:0",
        "messages": [
            {"role": "user", "content": "look"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "user", "content": "and then?"},
        ],
    }
    out, notes = crossed("openai_chat", body)
    assert out["toolConfig"]["tools"] == [
        {
            "toolSpec": {
                "name": "look",
                "inputSchema": {"json": {"type": "object", "properties": {}}},
            }
        }
    ]
    assert out["messages"][1]["content"] == [
        {"toolUse": {"toolUseId": "call_1", "name": "look", "input": {}}}
    ]
    result = out["messages"][2]["content"][0]["toolResult"]
    assert (result["toolUseId"], result["status"]) == ("call_1", "error")
    assert {note.verb for note in notes} == {"mapped", "edited"}


def test_files_go_as_the_words_of_their_formats_and_addresses_are_told():
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"filename": "a/b.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    ]  # fmt: skip
    body = {"model": "x", "messages": [{"role": "user", "content": content}]}
    out, notes = crossed("openai_chat", body)
    assert out["messages"][0]["content"] == [
        {"image": {"format": "png", "source": {"bytes": PNG}}},
        {"text": "Image: https://example.com/a.png"},
        {"document": {"format": "pdf", "name": "a-b-pdf", "source": {"bytes": "JVBERi0="}}},
    ]
    assert [(note.verb, note.path) for note in notes] == [
        ("mapped", "messages[0].content[1]"),
        ("mapped", "messages[0].content[2].title"),
    ]


def test_two_documents_do_not_share_a_name():
    document = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "x"},
    }
    body = {
        "model": "x",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [document] * 2}],
    }
    out, _ = crossed("anthropic_messages", body)
    names = [block["document"]["name"] for block in out["messages"][0]["content"]]
    assert names == ["Document", "Document 2"]


@pytest.mark.parametrize(
    ("choice", "out"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "f"}}, {"tool": {"name": "f"}}),
        ("none", None),
    ],
)
def test_tool_choices(choice: Any, out: Any):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    body = {"model": "x", "messages": [{"role": "user", "content": "hi"}], "tools": [tool]}
    made, notes = crossed("openai_chat", {**body, "tool_choice": choice})
    assert made["toolConfig"].get("toolChoice") == out
    assert bool(notes) == (out is None)


def test_wishes_go_into_the_inference_settings():
    body = {"model": "x", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 7}
    body |= {"temperature": 0.5, "top_p": 0.9, "stop": ["END", " "], "service_tier": "flex"}
    out, notes = crossed("openai_chat", body)
    assert out["inferenceConfig"] == {
        "maxTokens": 7,
        "temperature": 0.5,
        "topP": 0.9,
        "stopSequences": ["END"],
    }
    assert out["serviceTier"] == {"type": "flex"}
    assert [note.path for note in notes] == ["stop"]


def test_structured_output_is_sent_to_claude_and_asked_of_others():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    body = {"messages": [{"role": "user", "content": "hi"}], "response_format": wanted}
    out, _ = crossed("openai_chat", {"model": "anthropic.claude-sonnet-4-5-v1:0", **body})
    made = out["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert (made["name"], json.loads(made["schema"])) == ("answer", schema)
    out, notes = crossed("openai_chat", {"model": "amazon.nova-lite-v1:0", **body})
    assert "outputConfig" not in out
    assert json.dumps(schema, separators=(",", ":")) in out["system"][-1]["text"]
    assert "mapped" in {note.verb for note in notes}


@pytest.mark.parametrize(
    "extra",
    [
        {"system": []},
        {"inferenceConfig": {}},
        {"inferenceConfig": {"maxTokens": 5, "later": 1}},
        {"toolConfig": {"tools": []}},
        {"toolConfig": {"tools": [POINT, POINT, {"later": {}}], "toolChoice": {"later": {}}}},
        {"additionalModelRequestFields": {"thinking": {"type": "unheard"}, "top_k": 3}},
        {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "no json"}}}}},
        {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{ }"}}}}},
        {"requestMetadata": {"a": "b"}, "serviceTier": {"type": "flex"}, "unheard": [1, {"a": None}]},
        {"promptVariables": {"a": {"text": "b"}}},
    ],
)  # fmt: skip
def test_whatever_a_request_holds_comes_out_again(extra: dict[str, Any]):
    body = {"messages": [{"role": "user", "content": [{"text": "hi"}]}], **extra}
    assert again(body) == (body, ())


@pytest.mark.parametrize(
    "block",
    [
        {"cachePoint": {"type": "default"}},
        {"cachePoint": {"type": "unheard"}},
        {"text": "a", "more": 1},
        {},
        {"image": {"format": "tiff", "source": {"bytes": PNG}}},
        {"image": {"source": {"s3Location": {"uri": "s3://b/k", "bucketOwner": "1"}}}},
        {"document": {"name": "n", "source": {"content": [{"text": "x"}]}}},
        {"audio": {"format": "mp3", "source": {"bytes": "AAAA"}}},
        {"reasoningContent": {"redactedContent": "//79"}},
        {"reasoningContent": {"reasoningText": {"text": "t", "more": 1}}},
        {"citationsContent": {"content": [{"text": "a"}], "citations": []}},
        {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": [{}]}},
        {"toolResult": {"toolUseId": "t", "content": [{"json": [1.0, "x"]}, {"searchResult": {}}], "status": "odd"}},
        {"toolUse": {"toolUseId": "t", "name": "n", "input": "odd", "type": "server_tool_use"}},
        {"guardContent": {"text": {"text": "x"}}},
        {"unheard": {"of": 1}},
    ],
)  # fmt: skip
def test_whatever_a_block_is_comes_out_again(block: dict[str, Any]):
    body = {"messages": [{"role": "user", "content": [block, POINT, {"text": "then"}, HOUR_POINT]}]}
    assert again(body) == (body, ())


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "messages"),
        ({"messages": [{"role": "system", "content": []}]}, r"messages\[0\].role"),
        ({"messages": [{"role": "user", "content": "hi"}]}, r"messages\[0\].content"),
        ({"messages": [{"role": "user", "content": ["hi"]}]}, r"messages\[0\].content\[0\]"),
        ({"messages": [], "inferenceConfig": {"maxTokens": "5"}}, "inferenceConfig.maxTokens"),
        ({"messages": [], "toolConfig": {"tools": [{"toolSpec": {}}]}}, "name"),
    ],
)
def test_what_no_request_can_hold_is_named(body: dict[str, Any], where: str):
    with pytest.raises(CodecError, match=where):
        BEDROCK_CONVERSE.decode_request(json.dumps(body).encode())


def test_a_tools_long_name_is_shortened_everywhere_and_told_back():
    name = "mcp__" + "x" * 90
    call = {"type": "tool_use", "id": "t1", "name": name, "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
    body = {
        "model": ALIAS,
        "max_tokens": 9,
        "tools": [{"name": name, "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": name},
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
        ],
    }
    request = BY_NAME["anthropic_messages"].decode_request(json.dumps(body).encode())
    encoded = BEDROCK_CONVERSE.encode_request(request)
    [(short, long)] = encoded.renamed.items()
    assert (long, len(short)) == (name, 64)
    out = json.loads(encoded.body)
    assert out["toolConfig"]["tools"][0]["toolSpec"]["name"] == short
    assert out["toolConfig"]["toolChoice"] == {"tool": {"name": short}}
    assert out["messages"][1]["content"][0]["toolUse"]["name"] == short
    assert len(out["toolConfig"]["tools"]) == 1
