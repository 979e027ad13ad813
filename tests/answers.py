"""Answers of upstreams, spelled once for all tests: small, valid, in each API shape."""

from __future__ import annotations

import json
from typing import Any

from tests.upstream import Handler, Seen, Wire

ANTHROPIC_USAGE = {
    "input_tokens": 12,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 400,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 7,
}
CHAT_USAGE = {
    "prompt_tokens": 112,
    "completion_tokens": 7,
    "total_tokens": 119,
    "prompt_tokens_details": {"cached_tokens": 100},
}
RESPONSES_USAGE = {
    "input_tokens": 112,
    "input_tokens_details": {"cached_tokens": 100},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 119,
}


def message(model: str = "claude-sonnet-4-5", text: str = "Hello there.") -> dict[str, Any]:
    return {
        "id": "msg_01TestTestTest",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": ANTHROPIC_USAGE,
    }


def completion(model: str = "gpt-4o", text: str = "Hello there.") -> dict[str, Any]:
    return {
        "id": "chatcmpl-test",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": CHAT_USAGE,
    }


def response(model: str = "gpt-4o", text: str = "Hello there.") -> dict[str, Any]:
    return {
        "id": "resp_test",
        "object": "response",
        "created_at": 1_750_000_000,
        "status": "completed",
        "model": model,
        "output": [
            {
                "id": "msg_test",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
        ],
        "usage": RESPONSES_USAGE,
    }


def _named(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def message_events(text: str = "Hello there.") -> list[bytes]:
    start = {**message(), "content": [], "stop_reason": None}
    start["usage"] = {**ANTHROPIC_USAGE, "output_tokens": 1}
    words = [
        _named("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        for word in (text[:6], text[6:])
    ]
    return [
        _named("message_start", message=start),
        _named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        b'event: ping\ndata: {"type": "ping"}\n\n',
        *words,
        _named("content_block_stop", index=0),
        _named(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": 7},
        ),
        _named("message_stop"),
    ]


def completion_events(*, usage: bool, text: str = "Hello there.") -> list[bytes]:
    def chunk(**fields: Any) -> bytes:
        base = {"id": "chatcmpl-test", "object": "chat.completion.chunk", "created": 1_750_000_000}
        more = {"usage": None} if usage and "usage" not in fields else {}
        return (
            b"data: " + json.dumps({**base, "model": "gpt-4o", **fields, **more}).encode() + b"\n\n"
        )

    def choice(delta: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "finish_reason": finish}]

    events = [
        chunk(choices=choice({"role": "assistant", "content": ""})),
        chunk(choices=choice({"content": text[:6]})),
        chunk(choices=choice({"content": text[6:]})),
        chunk(choices=choice({}, "stop")),
    ]
    if usage:
        events.append(chunk(choices=[], usage=CHAT_USAGE))
    return [*events, b"data: [DONE]\n\n"]


def response_events(text: str = "Hello there.") -> list[bytes]:
    whole = response(text=text)
    item = whole["output"][0]
    place = {"item_id": "msg_test", "output_index": 0, "content_index": 0}
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": {**whole, "status": "in_progress", "output": []}}),
        (
            "response.output_item.added",
            {"output_index": 0, "item": {**item, "content": [], "status": "in_progress"}},
        ),
        (
            "response.content_part.added",
            {**place, "part": {"type": "output_text", "text": "", "annotations": []}},
        ),
        ("response.output_text.delta", {**place, "delta": text[:6]}),
        ("response.output_text.delta", {**place, "delta": text[6:]}),
        ("response.output_text.done", {**place, "text": text}),
        ("response.content_part.done", {**place, "part": item["content"][0]}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed", {"response": whole}),
    ]
    return [_named(kind, sequence_number=n, **fields) for n, (kind, fields) in enumerate(events)]


def whole_for(path: str) -> dict[str, Any]:
    """The sync answer of the API whose path this is."""
    if path.endswith("/messages"):
        return message()
    return completion() if path.endswith("/chat/completions") else response()


def events_for(seen: Seen) -> list[bytes]:
    """The stream that answers this request."""
    if seen.path.endswith("/messages"):
        return message_events()
    if seen.path.endswith("/chat/completions"):
        asked = (seen.json.get("stream_options") or {}).get("include_usage") is True
        return completion_events(usage=asked)
    return response_events()


async def usual(seen: Seen, wire: Wire) -> None:
    """Answer every generation request the usual way, streaming where that is asked."""
    if seen.json.get("stream"):
        await wire.begin_stream(("request-id", "req_upstream"))
        for event in events_for(seen):
            await wire.chunk(event)
        await wire.end_stream()
    else:
        body = json.dumps(whole_for(seen.path)).encode()
        await wire.answer(200, body, ("request-id", "req_upstream"))


def answering(status: int, body: bytes, *headers: tuple[str, str], kind: str) -> Handler:
    """A handler that gives this one answer."""

    async def handler(seen: Seen, wire: Wire) -> None:
        await wire.answer(status, body, *headers, kind=kind)

    return handler
