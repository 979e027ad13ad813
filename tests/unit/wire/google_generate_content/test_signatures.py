"""Gemini's signatures through each client shape: they come back on the parts they stood on, and go to nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis.wire import SHAPES, UPSTREAM_SHAPES
from metis.wire.codec import FOREIGN_SIGNATURE, ReplyContext
from metis.wire.google_generate_content import GOOGLE_GENERATE_CONTENT
from metis.wire.google_generate_content.signatures import UNSIGNED

CONTEXT = ReplyContext(model="m", response_id="id_1", created=1)
BY_NAME = {shape.name: shape for shape in SHAPES}
MODEL = "gemini-3-pro"
THOUGHT = {"text": "let me see", "thought": True}
TEXT = {"text": "Looking.", "thoughtSignature": "SIG_TEXT"}
CALL = {"functionCall": {"name": "look", "args": {"at": "x"}}, "thoughtSignature": "SIG_CALL"}
SECOND = {"functionCall": {"name": "look", "args": {"at": "y"}}}
OWN_ID = {"functionCall": {"name": "look", "args": {}, "id": "g1"}, "thoughtSignature": "SIG_ID"}
EMPTY = {"text": "", "thoughtSignature": "SIG_END"}


def answered(shape: Any, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client of the shape is told of an answer of these parts."""
    content = {"parts": parts, "role": "model"}
    body = {
        "candidates": [{"content": content, "finishReason": "STOP"}],
        "responseId": "r1",
    }
    response = GOOGLE_GENERATE_CONTENT.decode_response(json.dumps(body).encode())
    return json.loads(shape.encode_response(response, CONTEXT).body)


def replayed(shape: Any, answer: dict[str, Any], *, without_reasoning: bool = False) -> bytes:
    """The client's next request: the answer as it came, and what its tools gave."""
    user = {"role": "user", "content": "hi"}
    match shape.name:
        case "anthropic_messages":
            content = answer["content"]
            results = [
                {"type": "tool_result", "tool_use_id": block["id"], "content": "seen"}
                for block in content
                if block["type"] == "tool_use"
            ]
            if without_reasoning:
                content = [block for block in content if block["type"] != "thinking"]
            said = {"role": "assistant", "content": content}
            back = {"role": "user", "content": results or "more"}
            body = {"max_tokens": 9, "messages": [user, said, back]}
        case "openai_chat":
            said = answer["choices"][0]["message"]
            if without_reasoning:
                said = {name: said[name] for name in ("role", "content", "tool_calls")}
            results = [
                {"role": "tool", "tool_call_id": call["id"], "content": "seen"}
                for call in said.get("tool_calls", [])
            ]
            body = {"messages": [user, said, *(results or [user])]}
        case _:
            output = answer["output"]
            if without_reasoning:
                output = [item for item in output if item["type"] != "reasoning"]
            results = [
                {"type": "function_call_output", "call_id": item["call_id"], "output": "seen"}
                for item in output
                if item["type"] == "function_call"
            ]
            body = {"input": [user, *output, *(results or [user])]}
    return json.dumps({"model": MODEL, **body}).encode()


def to_google(shape: Any, body: bytes) -> list[dict[str, Any]]:
    encoded = GOOGLE_GENERATE_CONTENT.encode_request(shape.decode_request(body))
    assert FOREIGN_SIGNATURE not in encoded.body.decode()
    return json.loads(encoded.body)["contents"]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize(
    "parts",
    [
        [THOUGHT, TEXT, CALL, SECOND],
        [CALL, SECOND],
        [OWN_ID],
        [TEXT],
        [{"text": "done"}, EMPTY],
        [{**THOUGHT, "thoughtSignature": "SIG_THOUGHT"}, {"text": "done"}],
    ],
    ids=["all", "calls", "own-id", "text", "empty-text", "thought"],
)
def test_every_signature_comes_back_where_it_stood(shape: Any, parts: list[dict[str, Any]]):
    contents = to_google(shape, replayed(shape, answered(shape, parts)))
    said = contents[1]
    assert said["role"] == "model"
    # Chat has no place for whose thoughts are that nobody signed; Gemini does not want those back.
    unsigned = [THOUGHT] if shape.name == "openai_chat" else []
    assert said["parts"] == [part for part in parts if part not in unsigned]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    results = [
        part["functionResponse"] for part in contents[2]["parts"] if "functionResponse" in part
    ]
    assert results == [
        {
            **{name: value for name, value in call.items() if name != "args"},
            "response": {"output": "seen"},
        }
        for call in calls
    ]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_signatures_go_to_no_other_model(shape: Any):
    body = replayed(shape, answered(shape, [THOUGHT, TEXT, CALL, SECOND, EMPTY]))
    assert b"SIG_" not in body  # wrapped
    for other in UPSTREAM_SHAPES:
        if other.name in (shape.name, "google_generate_content"):
            continue
        encoded = other.encode_request(shape.decode_request(body))
        text = encoded.body.decode()
        assert "SIG_" not in text
        assert FOREIGN_SIGNATURE not in text
        assert "let me see" not in text
        lost = [note for note in encoded.notes if "google_generate_content" in note.why]
        assert lost or other.name in ("openai_chat", "openai_responses")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_step_whose_signature_was_lost_says_so_to_gemini_3_alone(shape: Any):
    body = replayed(shape, answered(shape, [CALL, SECOND]), without_reasoning=True)
    request = shape.decode_request(body)
    encoded = GOOGLE_GENERATE_CONTENT.encode_request(request)
    parts = json.loads(encoded.body)["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [UNSIGNED, None]
    assert [note.path for note in encoded.notes if note.verb == "edited"] == ["contents"]
    older = shape.decode_request(body.replace(MODEL.encode(), b"gemini-2.5-pro"))
    assert UNSIGNED.encode() not in GOOGLE_GENERATE_CONTENT.encode_request(older).body


def test_a_signature_whose_call_is_gone_is_lost_and_one_whose_text_is_gone_stands_alone():
    shape = BY_NAME["anthropic_messages"]
    answer = answered(shape, [TEXT, CALL])
    answer["content"] = [block for block in answer["content"] if block["type"] == "thinking"]
    encoded = GOOGLE_GENERATE_CONTENT.encode_request(shape.decode_request(replayed(shape, answer)))
    said = json.loads(encoded.body)["contents"][1]["parts"]
    assert said == [{"text": "", "thoughtSignature": "SIG_TEXT"}]
    [note] = encoded.notes
    assert (note.verb, note.path) == ("lost", "messages[1].content[1]")
