"""OpenAI Responses, both ends: https://platform.openai.com/docs/api-reference/responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from metis.conformance.dialects.dialect import Dialect
from metis.conformance.dialects.responses_grammar import stream_faults, whole_faults
from metis.conformance.dialects.responses_stream import events_of
from metis.conformance.json_values import Json, dicts, integer, object_in, text_of
from metis.conformance.neutral import Answer, Asked, Call, Prompt, Tool, Understood, Usage
from metis.conformance.sse import Event, write_event

_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")


def _request(prompt: Prompt, model: str, stream: bool) -> Json:
    items: list[Json] = [_said(prompt.user)]
    for answer, then in prompt.history:
        items += dicts(answer["output"])
        if isinstance(then, str):
            items.append(_said(then))
        else:
            items += [
                {"type": "function_call_output", "call_id": one.call_id, "output": one.text}
                for one in then
            ]
    body: Json = {"model": model}
    if prompt.system:
        body["instructions"] = prompt.system
    body["input"] = items
    if prompt.max_tokens:
        body["max_output_tokens"] = prompt.max_tokens
    if prompt.thinks:
        body["max_output_tokens"] = max(prompt.max_tokens or 0, 8192)
        body["reasoning"] = {"effort": "low", "summary": "auto"}
        body["include"] = ["reasoning.encrypted_content"]
    if prompt.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": one.name,
                "description": one.description,
                "parameters": one.schema,
            }
            for one in prompt.tools
        ]
    body["store"] = False
    if stream:
        body["stream"] = True
    return body | dict(prompt.more)


def _said(text: str) -> Json:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }


def _items(answer: Answer, request: Json) -> list[Json]:
    items: list[Json] = []
    if answer.thinking is not None:
        summary = [{"type": "summary_text", "text": answer.thinking}]
        reasoning: Json = {"id": "rs_ConformanceReasoning", "type": "reasoning", "summary": summary}
        # As OpenAI does it: the proof is told to those who ask for it.
        if "reasoning.encrypted_content" in (request.get("include") or ()):
            reasoning["encrypted_content"] = answer.signature
        items.append(reasoning)
    if answer.text:
        part: Json = {"type": "output_text", "text": answer.text, "annotations": []}
        items.append(
            {
                "id": "msg_ConformanceText",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        )
    items += [
        {
            "id": f"fc_Conformance{number}",
            "type": "function_call",
            "status": "completed",
            "call_id": call.call_id,
            "name": call.name,
            "arguments": call.arguments,
        }
        for number, call in enumerate(answer.calls, 1)
    ]
    return items


def _whole(answer: Answer, request: Json) -> Json:
    cut = answer.stop == "length"
    return {
        "id": "resp_ConformanceAnswer",
        "object": "response",
        "created_at": 1_760_000_000,
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "model": request.get("model", ""),
        "output": _items(answer, request),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": request.get("store", True),
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": request.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(answer.usage),
        "user": None,
        "metadata": {},
    }


def _events(answer: Answer, request: Json) -> list[bytes]:
    return [
        write_event(one, one["type"]) for one in events_of(_whole(answer, request), answer.pieces)
    ]


def _error(status: int, message: str) -> Json:
    kind = "invalid_request_error" if status < 429 else "server_error"
    code = {429: "rate_limit_exceeded", 404: "model_not_found"}.get(status)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _error_event(message: str) -> bytes:
    said = {"type": "error", "code": "server_error", "message": message, "param": None}
    return write_event(said | {"sequence_number": 9}, "error")


def _fold(events: Sequence[Event]) -> Json:
    """The response that the last event tells; where that tells no output, what was streamed of it."""
    told = [one.object for one in events if one.object is not None]
    last = next((one for one in reversed(told) if one.get("type") in _ENDS), Json())
    response = object_in(last.get("response"))
    if response and not response.get("output"):
        response = response | {"output": _streamed(told)}
    return response


def _streamed(told: list[Json]) -> list[Json]:
    items: dict[int, Json] = {}
    texts: dict[int, str] = {}
    for said in told:
        index = integer(said.get("output_index"))
        match said.get("type"):
            case "response.output_item.added" | "response.output_item.done":
                items[index] = object_in(said.get("item"))
            case "response.output_text.delta":
                texts[index] = texts.get(index, "") + str(said.get("delta", ""))
            case _:
                continue
    for index, text in texts.items():
        if not text_of(object_in(items.get(index)).get("content")):
            part = {"type": "output_text", "text": text}
            items[index] = {"type": "message", "role": "assistant", "content": [part]}
    return [items[index] for index in sorted(items)]


def _understand(body: Json) -> Understood:
    items = dicts(body.get("output"))
    usage = body.get("usage")
    calls = _calls(items)
    reason = object_in(body.get("incomplete_details")).get("reason")
    if body.get("status") == "completed":
        stop = "tool" if calls else "end"
    else:
        stop = "length" if reason == "max_output_tokens" else "other"
    return Understood(
        response_id=str(body.get("id", "")),
        visible="".join(text_of(i.get("content")) for i in items if i.get("type") == "message"),
        hidden="".join(
            text_of(i.get("summary")) or text_of(i.get("content"))
            for i in items
            if i.get("type") == "reasoning"
        ),
        calls=calls,
        stop=stop,
        usage=_told(usage) if usage else None,
    )


def _told(usage: Json) -> Usage:
    read = integer(object_in(usage.get("input_tokens_details")).get("cached_tokens"))
    return Usage(
        fresh=integer(usage.get("input_tokens")) - read,
        cache_read=read,
        output=integer(usage.get("output_tokens")),
    )


def _calls(items: list[Json]) -> tuple[Call, ...]:
    return tuple(
        Call(str(i.get("name", "")), str(i.get("arguments", "")), str(i.get("call_id", "")))
        for i in items
        if i.get("type") == "function_call"
    )


def _asked(body: Json) -> Asked:
    given = body.get("input")
    items = [_said(given)] if isinstance(given, str) else dicts(given)
    messages = [i for i in items if i.get("type", "message") == "message"]
    system = [m for m in messages if m.get("role") in ("system", "developer")]
    parts = [part for m in messages for part in dicts(m.get("content"))]
    outputs = [i for i in items if i.get("type") == "function_call_output"]
    told = [str(body.get("instructions") or ""), *(text_of(m.get("content")) for m in system)]
    return Asked(
        system="\n".join(one for one in told if one),
        spoken=(told[0], *(text_of(m.get("content")) for m in messages)),
        calls=_calls(items),
        results={str(i.get("call_id", "")): text_of(i.get("output")) for i in outputs},
        tools=tuple(
            Tool(
                str(t.get("name", "")),
                object_in(t.get("parameters")),
                str(t.get("description", "")),
            )
            for t in dicts(body.get("tools"))
        ),
        max_tokens=body.get("max_output_tokens"),
        stops=(),
        temperature=body.get("temperature"),
        tool_choice=_choice(body.get("tool_choice")),
        images=tuple(
            str(part.get("image_url")) for part in parts if part.get("type") == "input_image"
        ),
    )


def _choice(choice: Any) -> str:
    match choice:
        case "required":
            return "must"
        case str():
            return choice
        case {"type": "function", "name": str(name)}:
            return name
        case {"type": "allowed_tools", "mode": "required", "tools": [{"name": str(name)}]}:
            return name
        case _:
            return ""


RESPONSES: Final = Dialect(
    name="responses",
    path="/v1/responses",
    title="OpenAI Responses",
    request=_request,
    whole=_whole,
    events=_events,
    error=_error,
    error_event=_error_event,
    fold=_fold,
    understand=_understand,
    asked=_asked,
    stream_faults=stream_faults,
    whole_faults=whole_faults,
)
