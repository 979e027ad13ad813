"""Whole answers of other shapes as messages, the stop reasons both ways, and the ledger's quick look."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message

from metis.errors import CodecError
from metis.facts.usage import Usage
from metis.ir.content import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall
from metis.ir.response import Response, StopReason
from metis.wire import carry
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES
from metis.wire.codec import ReplyContext, ResponseFacts

CONTEXT = ReplyContext(model="claude-shown", response_id="msg_made", created=0)


def foreign(*parts: Part, stop: StopReason = "end_turn", **fields: Any) -> Response:
    return Response(
        origin="openai_responses",
        response_id="resp_1",
        model="gpt",
        parts=parts,
        stop=stop,
        **fields,
    )


def encoded(response: Response) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    out = ANTHROPIC_MESSAGES.encode_response(response, CONTEXT)
    body = json.loads(out.body)
    Message.model_validate(body)
    return body, [(note.verb, note.path) for note in out.notes]


def test_a_foreign_answer_becomes_a_message() -> None:
    thought = Thinking(text="hm", signature="enc", origin="openai_responses", item_id="rs_1")
    body, notes = encoded(
        foreign(
            thought,
            Thinking(origin="openai_responses"),
            Text(text="a"),
            Text(text=""),
            ToolCall(call_id="call_1", name="f", arguments='{"x": 1}', namespace="ns"),
            ToolCall(call_id="call_2", name="p", arguments="*** x", kind="custom"),
            ToolCall(call_id="call_3", name="g", arguments=""),
            usage=Usage(
                input_tokens=5, cache_write_5m_tokens=2, cache_write_1h_tokens=3, output_tokens=4
            ),
        )
    )
    assert notes == [("lost", "output[4].namespace")]
    assert body == {
        "id": "resp_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-shown",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": carry.wrap(thought)},
            {"type": "text", "text": "a"},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "call_2", "name": "p", "input": {"input": "*** x"}},
            {"type": "tool_use", "id": "call_3", "name": "g", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 5,
            "cache_creation_input_tokens": 5,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
            "output_tokens": 4,
        },
    }


def test_what_a_message_cannot_hold_is_noted() -> None:
    body, notes = encoded(
        foreign(
            Opaque(shape="openai_responses", kind="computer_call", value={}),
            Media(kind="image", data="x"),
            Text(text="t", citations=({"url": "u"},)),
            ToolCall(call_id="c", name="f", arguments="{oops"),
            ToolCall(call_id="d", name="f", arguments="[1]"),
            ToolCall(call_id="e", name="f", arguments="null"),
            extras={"background": True, "conversation": None, "status": "completed"},
            choices=(foreign(Text(text="second")),),
        )
    )
    assert body["content"] == [
        {"type": "text", "text": "t"},
        {
            "type": "tool_use",
            "id": "c",
            "name": "f",
            "input": {"invalid_json_arguments": "{oops"},
        },
        {"type": "tool_use", "id": "d", "name": "f", "input": {"invalid_json_arguments": "[1]"}},
        {"type": "tool_use", "id": "e", "name": "f", "input": {}},
    ]
    assert notes == [
        ("lost", "output[0]"),
        ("lost", "output[1]"),
        ("lost", "output[2].annotations[0]"),
        ("mapped", "output[3].arguments"),
        ("mapped", "output[4].arguments"),
        ("lost", "choices"),
        ("lost", ""),
    ]
    response = foreign(extras={"background": True, "conversation": None, "status": "completed"})
    (note,) = ANTHROPIC_MESSAGES.encode_response(response, CONTEXT).notes
    assert note.why == "fields of the answer without a place here: background, status"


def test_reasoning_of_anthropic_that_came_round_is_written_with_its_own_signature() -> None:
    body, _ = encoded(
        foreign(
            Thinking(text="t", signature="sig", origin="anthropic_messages"),
            Thinking(signature="data", redacted=True, origin="anthropic_messages"),
        )
    )
    assert body["content"] == [
        {"type": "thinking", "thinking": "t", "signature": "sig"},
        {"type": "redacted_thinking", "data": "data"},
    ]


def test_a_refusal_is_text_with_its_own_stop_reason() -> None:
    body, _ = encoded(foreign(Refusal(text="no")))
    assert (body["content"], body["stop_reason"]) == ([{"type": "text", "text": "no"}], "refusal")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("[]", "must be an object, not a list"),
        ("{}", "content: is missing; it must be a list"),
        ('{"content": 1}', "content: must be a list, not a number"),
        ('{"content": [{"type": "text"}]}', "content[0].text: is missing; it must be a string"),
        ('{"content": [], "usage": 1}', "usage: must be an object, not a number"),
        ('{"content": [], "stop_reason": 1}', "stop_reason: must be a string, not a number"),
    ],
)
def test_malformed_answers_are_refused_with_their_path(body: str, complaint: str) -> None:
    with pytest.raises(CodecError) as caught:
        ANTHROPIC_MESSAGES.decode_response(body.encode())
    assert str(caught.value) == complaint


def test_facts_are_read_without_the_content() -> None:
    body = {
        "id": "msg_1",
        "type": "message",
        "model": "m",
        "content": [
            {"type": "thinking", "thinking": "1234", "signature": "long"},
            {"type": "text", "text": "56"},
            {"type": "tool_use", "id": "t", "name": "n", "input": {"a": 1}},
            {"type": "server_tool_use", "id": "s", "name": "n", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    assert ANTHROPIC_MESSAGES.facts_of(json.dumps(body).encode()) == ResponseFacts(
        response_id="msg_1",
        model="m",
        usage=Usage(input_tokens=1, output_tokens=2),
        stop="tool_use",
        stop_raw="tool_use",
        tool_calls=1,
        output_characters=4 + 2 + len('{"a": 1}'),
        complete=True,
    )


def test_facts_of_nonsense_are_empty_and_of_an_error_tell_it() -> None:
    for body in (b"", b"<html>", b"[]", b'{"content": 5}', b"[" * 10_000, b'"\xff"'):
        assert ANTHROPIC_MESSAGES.facts_of(body) == ResponseFacts()
    error = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    told = ANTHROPIC_MESSAGES.facts_of(error).error
    assert told is not None
    assert (told.kind, told.message) == ("overloaded", "Overloaded")
