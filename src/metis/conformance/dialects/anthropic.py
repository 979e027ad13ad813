"""Anthropic Messages, both ends: https://platform.claude.com/docs/en/api/messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from metis.conformance.dialects.anthropic_grammar import stream_faults, whole_faults
from metis.conformance.dialects.dialect import Dialect
from metis.conformance.json_values import Json, dicts, integer, object_in, text_of
from metis.conformance.neutral import Answer, Asked, Call, Prompt, Stop, Tool, Understood, Usage
from metis.conformance.sse import Event, compact, write_event

_STOPS: Final[dict[Stop, str]] = {
    "end": "end_turn",
    "tool": "tool_use",
    "length": "max_tokens",
    "other": "refusal",
}
_ERRORS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def _request(prompt: Prompt, model: str, stream: bool) -> Json:
    messages: list[Json] = [{"role": "user", "content": prompt.user}]
    for answer, then in prompt.history:
        messages.append({"role": "assistant", "content": answer["content"]})
        if isinstance(then, str):
            messages.append({"role": "user", "content": then})
        else:
            results = [
                {"type": "tool_result", "tool_use_id": one.call_id, "content": one.text}
                for one in then
            ]
            messages.append({"role": "user", "content": results})
    body: Json = {"model": model, "max_tokens": prompt.max_tokens or 512}
    if prompt.thinks:
        body["max_tokens"] = max(body["max_tokens"], 2048)
        body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    if prompt.system:
        body["system"] = prompt.system
    if prompt.tools:
        body["tools"] = [
            {"name": one.name, "description": one.description, "input_schema": one.schema}
            for one in prompt.tools
        ]
    body["messages"] = messages
    if stream:
        body["stream"] = True
    return body | dict(prompt.more)


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.fresh,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": usage.output,
        "service_tier": "standard",
    }


def _blocks(answer: Answer) -> list[Json]:
    blocks: list[Json] = []
    if answer.thinking is not None:
        blocks.append(
            {"type": "thinking", "thinking": answer.thinking, "signature": answer.signature}
        )
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    for call in answer.calls:
        value = json.loads(call.arguments or "{}")
        blocks.append({"type": "tool_use", "id": call.call_id, "name": call.name, "input": value})
    return blocks


def _whole(answer: Answer, request: Json) -> Json:
    return {
        "id": "msg_01ConformanceAnswer",
        "type": "message",
        "role": "assistant",
        "model": request.get("model", ""),
        "content": _blocks(answer),
        "stop_reason": _STOPS[answer.stop],
        "stop_sequence": None,
        "usage": _usage(answer.usage),
    }


def _events(answer: Answer, request: Json) -> list[bytes]:
    start: Json = {**_whole(answer, request), "content": [], "stop_reason": None}
    start["usage"] = {**_usage(answer.usage), "output_tokens": 1}
    said: list[Json] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(_blocks(answer)):
        said += _block_events(index, block, answer)
    said.append(
        {
            "type": "message_delta",
            "delta": {"stop_reason": _STOPS[answer.stop], "stop_sequence": None},
            "usage": {"output_tokens": answer.usage.output},
        }
    )
    said.append({"type": "message_stop"})
    return [write_event(one, one["type"]) for one in said]


def _block_events(index: int, block: Json, answer: Answer) -> list[Json]:
    deltas: list[Json] = []
    opened: Json
    match block["type"]:
        case "thinking":
            opened = {"type": "thinking", "thinking": "", "signature": ""}
            deltas += [
                {"type": "thinking_delta", "thinking": piece}
                for piece in answer.pieces(block["thinking"])
            ]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "text":
            opened = {"type": "text", "text": ""}
            deltas += [
                {"type": "text_delta", "text": piece} for piece in answer.pieces(block["text"])
            ]
        case _:
            opened = {**block, "input": {}}
            arguments = next(c.arguments for c in answer.calls if c.call_id == block["id"])
            deltas += [
                {"type": "input_json_delta", "partial_json": piece}
                for piece in ["", *answer.pieces(arguments)]
            ]
    return [
        {"type": "content_block_start", "index": index, "content_block": opened},
        *({"type": "content_block_delta", "index": index, "delta": one} for one in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _error(status: int, message: str) -> Json:
    kind = _ERRORS.get(status, "api_error")
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_011ConformanceRequest",
    }


def _fold(events: Sequence[Event]) -> Json:
    message: Json = {}
    blocks: dict[int, Json] = {}
    pieces: dict[int, list[str]] = {}
    for event in events:
        said = event.object or {}
        match said.get("type"):
            case "message_start":
                message = dict(object_in(said.get("message")))
            case "content_block_start":
                blocks[integer(said.get("index"))] = dict(object_in(said.get("content_block")))
            case "content_block_delta":
                _grow(blocks, pieces, integer(said.get("index")), object_in(said.get("delta")))
            case "message_delta":
                message |= object_in(said.get("delta"))
                told = {k: v for k, v in object_in(said.get("usage")).items() if v is not None}
                message["usage"] = object_in(message.get("usage")) | told
            case _:
                continue
    for index, parts in pieces.items():
        blocks[index]["input"] = json.loads("".join(parts) or "{}")
    message["content"] = [blocks[index] for index in sorted(blocks)]
    return message


def _grow(blocks: dict[int, Json], pieces: dict[int, list[str]], index: int, delta: Json) -> None:
    block = blocks.setdefault(index, {})
    match delta.get("type"):
        case "text_delta":
            block["text"] = block.get("text", "") + delta.get("text", "")
        case "thinking_delta":
            block["thinking"] = block.get("thinking", "") + delta.get("thinking", "")
        case "signature_delta":
            block["signature"] = delta.get("signature", "")
        case "input_json_delta":
            pieces.setdefault(index, []).append(delta.get("partial_json", ""))
        case _:
            return


def _understand(body: Json) -> Understood:
    blocks = dicts(body.get("content"))
    usage = body.get("usage")
    stops: dict[str, Stop] = {word: stop for stop, word in _STOPS.items()}
    stops["stop_sequence"] = "end"
    return Understood(
        response_id=str(body.get("id", "")),
        visible="".join(b.get("text", "") for b in blocks if b.get("type") == "text"),
        hidden="".join(b.get("thinking", "") for b in blocks if b.get("type") == "thinking"),
        calls=_calls(blocks),
        stop=stops.get(str(body.get("stop_reason")), "other"),
        usage=_told(usage) if usage else None,
    )


def _told(usage: Json) -> Usage:
    return Usage(
        fresh=integer(usage.get("input_tokens")),
        cache_read=integer(usage.get("cache_read_input_tokens")),
        cache_write=integer(usage.get("cache_creation_input_tokens")),
        output=integer(usage.get("output_tokens")),
    )


def _calls(blocks: list[Json]) -> tuple[Call, ...]:
    return tuple(
        Call(str(b.get("name", "")), compact(b.get("input")), str(b.get("id", "")))
        for b in blocks
        if b.get("type") == "tool_use"
    )


def _asked(body: Json) -> Asked:
    blocks: list[Json] = []
    spoken: list[str] = [text_of(body.get("system"))]
    for message in dicts(body.get("messages")):
        content = message.get("content")
        blocks += dicts(content)
        spoken.append(text_of(content))
    results = [b for b in blocks if b.get("type") == "tool_result"]
    images = [object_in(b.get("source")) for b in blocks if b.get("type") == "image"]
    return Asked(
        system=text_of(body.get("system")),
        spoken=tuple(spoken),
        calls=_calls(blocks),
        results={str(b.get("tool_use_id")): text_of(b.get("content")) for b in results},
        tools=tuple(
            Tool(
                str(t.get("name", "")),
                object_in(t.get("input_schema")),
                str(t.get("description", "")),
            )
            for t in dicts(body.get("tools"))
        ),
        max_tokens=body.get("max_tokens"),
        stops=tuple(body.get("stop_sequences") or ()),
        temperature=body.get("temperature"),
        tool_choice=_choice(body.get("tool_choice")),
        images=tuple(str(one.get("data") or one.get("url")) for one in images),
    )


def _choice(choice: Any) -> str:
    """`auto`, `none`, `must` or the name of the tool that must be called; "" when nothing is said."""
    match choice:
        case {"type": "any"}:
            return "must"
        case {"type": "tool", "name": str(name)}:
            return name
        case {"type": str(kind)}:
            return kind
        case _:
            return ""


ANTHROPIC: Final = Dialect(
    name="anthropic",
    path="/v1/messages",
    title="Anthropic Messages",
    request=_request,
    whole=_whole,
    events=_events,
    error=_error,
    error_event=lambda message: write_event(_error(529, message), "error"),
    fold=_fold,
    understand=_understand,
    asked=_asked,
    stream_faults=stream_faults,
    whole_faults=whole_faults,
)
