"""Requests of other shapes, their parts in short words, and what they become as Messages requests."""

from __future__ import annotations

import json
from typing import Any

from metis.ir.content import Part, Text, ToolCall, ToolResult
from metis.ir.request import Message, Request
from metis.wire.anthropic_messages import ANTHROPIC_MESSAGES

OLD = "claude-sonnet-4-5"
NEW = "claude-opus-4-8"


def request(*messages: Message, **fields: Any) -> Request:
    known: dict[str, Any] = {
        "origin": "openai_chat",
        "model": NEW,
        "max_tokens": 1_000,
        "messages": messages or (said("hi"),),
    }
    return Request(**{**known, **fields})


def said(text: str, role: Any = "user") -> Message:
    return Message(role=role, parts=(Text(text=text),), text_form=True)


def message(role: Any, *parts: Part, **fields: Any) -> Message:
    return Message(role=role, parts=parts, **fields)


def call(call_id: str, arguments: str = "{}", **fields: Any) -> ToolCall:
    return ToolCall(call_id=call_id, name="f", arguments=arguments, **fields)


def result(call_id: str, text: str = "ok", **fields: Any) -> ToolResult:
    return ToolResult(call_id=call_id, content=(Text(text=text),), as_text=True, **fields)


def block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def used(call_id: str, arguments: Any = None, name: str = "f") -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments or {}}


def answered(call_id: str, content: Any = "ok", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **fields}


def encoded(sent: Request) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    out = ANTHROPIC_MESSAGES.encode_request(sent)
    assert ANTHROPIC_MESSAGES.encode_request(sent) == out  # the same request, the same bytes
    ANTHROPIC_MESSAGES.decode_request(out.body)
    return json.loads(out.body), [(note.verb, note.path) for note in out.notes]


def messages_of(*messages: Message, **fields: Any) -> list[dict[str, Any]]:
    return encoded(request(*messages, **fields))[0]["messages"]
