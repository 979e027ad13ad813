"""Proofs on their way back: as SDKs have accumulated them, and to chat servers that stand before their models."""

from __future__ import annotations

import json
from typing import Any

from metis.ir.content import Part, Text, Thinking
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES
from metis.wire.openai_chat import OPENAI_CHAT
from metis.wire.openai_chat.proofs import adopt_proofs
from metis.wire.openai_responses import OPENAI_RESPONSES

Json = dict[str, Any]
CLAUDE, GPT = "anthropic-claude-v1", "openai-responses-v1"


def replayed(*details: Json) -> tuple[Part, ...]:
    """The thinking of an assistant message that a chat client sends back."""
    message = {"role": "assistant", "content": "x", "reasoning_details": list(details)}
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}, message]}
    request = OPENAI_CHAT.decode_request(json.dumps(body).encode())
    return tuple(part for part in request.messages[1].parts if not isinstance(part, Text))


def test_a_format_that_an_accumulator_repeated_is_read_once() -> None:
    detail = {"type": "reasoning.text", "format": CLAUDE * 4, "index": 0, "text": "a"}
    (thinking,) = replayed({**detail, "signature": "S"})
    assert isinstance(thinking, Thinking)
    expected = ("a", "S", "anthropic_messages")
    assert (thinking.text, thinking.signature, thinking.origin) == expected


def test_a_proof_that_an_accumulator_put_into_its_summary_is_taken_out() -> None:
    merged = {"type": "reasoning.encrypted", "format": GPT * 3, "index": 0, "summary": "a"}
    assert replayed({**merged, "data": "D", "id": "rs_1"}) == (
        Thinking(
            text="a",
            signature="D",
            item_id="rs_1",
            origin="openai_responses",
            summary=True,
            summary_parts=("a",),
        ),
    )


def test_a_format_of_another_name_stays_as_it_is() -> None:
    for name in ("unknown", "unknownunknown", CLAUDE + "x", ""):
        detail = {"type": "reasoning.text", "format": name, "text": "a"}
        body = {
            "model": "m",
            "messages": [{"role": "assistant", "content": "x", "reasoning_details": [detail]}],
        }
        request = OPENAI_CHAT.decode_request(json.dumps(body).encode())
        assert json.loads(OPENAI_CHAT.encode_request(request).body) == body


def assistant_of(body: bytes) -> Json:
    return next(one for one in json.loads(body)["messages"] if one["role"] == "assistant")


def test_claudes_proof_is_sent_to_a_chat_server_that_takes_it() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "S"},
        {"type": "redacted_thinking", "data": "D"},
        {"type": "text", "text": "So."},
    ]
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": blocks},
            {"role": "user", "content": "go on"},
        ],
    }
    request = ANTHROPIC_MESSAGES.decode_request(json.dumps(body).encode())
    encoded = OPENAI_CHAT.encode_request(adopt_proofs(request))
    told = assistant_of(encoded.body)
    assert told["reasoning_details"] == [
        {"type": "reasoning.text", "format": CLAUDE, "index": 0, "text": "hm", "signature": "S"},
        {"type": "reasoning.encrypted", "format": CLAUDE, "index": 1, "data": "D"},
    ]
    assert [note for note in encoded.notes if note.verb == "lost"] == []
    plain = OPENAI_CHAT.encode_request(request)
    assert "reasoning_details" not in assistant_of(plain.body)


def test_an_openai_models_proof_is_sent_to_a_chat_server_that_takes_it() -> None:
    reasoning = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "E",
    }
    said = {"role": "assistant", "content": "So."}
    body = {"model": "m", "input": [{"role": "user", "content": "hi"}, reasoning, said]}
    request = OPENAI_RESPONSES.decode_request(json.dumps(body).encode())
    told = assistant_of(OPENAI_CHAT.encode_request(adopt_proofs(request)).body)
    assert told["reasoning_details"] == [
        {"type": "reasoning.summary", "format": GPT, "index": 0, "summary": "hm"},
        {"type": "reasoning.encrypted", "format": GPT, "index": 0, "data": "E", "id": "rs_1"},
    ]


def test_a_request_without_foreign_thinking_is_left_as_it_is() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    request = OPENAI_CHAT.decode_request(json.dumps(body).encode())
    assert adopt_proofs(request) is request
