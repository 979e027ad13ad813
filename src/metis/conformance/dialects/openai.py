"""OpenAI Chat Completions, both ends: https://platform.openai.com/docs/api-reference/chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from metis.conformance.dialects.dialect import Dialect
from metis.conformance.dialects.openai_grammar import stream_faults, whole_faults
from metis.conformance.json_values import Json, dicts, integer, object_in, text_of
from metis.conformance.neutral import Answer, Asked, Call, Prompt, Stop, Tool, Understood, Usage
from metis.conformance.sse import Event, write_event

_STOPS: Final[dict[Stop, str]] = {
    "end": "stop",
    "tool": "tool_calls",
    "length": "length",
    "other": "content_filter",
}
# Where chat servers put reasoning, in requests and answers; no standard names it.
_REASONING: Final = ("reasoning_content", "reasoning")


def _request(prompt: Prompt, model: str, stream: bool) -> Json:
    messages: list[Json] = []
    if prompt.system:
        messages.append({"role": "system", "content": prompt.system})
    messages.append({"role": "user", "content": prompt.user})
    for answer, then in prompt.history:
        messages.append(answer["choices"][0]["message"])
        if isinstance(then, str):
            messages.append({"role": "user", "content": then})
        else:
            messages += [
                {"role": "tool", "tool_call_id": one.call_id, "content": one.text} for one in then
            ]
    body: Json = {"model": model, "messages": messages}
    if prompt.max_tokens:
        body["max_tokens"] = prompt.max_tokens
    if prompt.thinks:
        body["max_tokens"] = max(prompt.max_tokens or 0, 8192)
        body["reasoning_effort"] = "low"
    if prompt.tools:
        body["tools"] = [_tool(one) for one in prompt.tools]
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body | dict(prompt.more)


def _tool(tool: Tool) -> Json:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
    return {"type": "function", "function": function}


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _call(call: Call) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.call_id, "type": "function", "function": function}


def _whole(answer: Answer, request: Json) -> Json:
    message: Json = {"role": "assistant", "content": answer.text or None}
    if answer.thinking is not None:
        message["reasoning_content"] = answer.thinking
    if answer.calls:
        message["tool_calls"] = [_call(one) for one in answer.calls]
    return {
        "id": "chatcmpl-ConformanceAnswer",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": request.get("model", ""),
        "choices": [{"index": 0, "message": message, "finish_reason": _STOPS[answer.stop]}],
        "usage": _usage(answer.usage),
    }


def _events(answer: Answer, request: Json) -> list[bytes]:
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in answer.pieces(answer.thinking or "")]
    deltas += [{"content": piece} for piece in answer.pieces(answer.text)]
    for index, call in enumerate(answer.calls):
        opened = _call(Call(call.name, "", call.call_id))
        deltas.append({"tool_calls": [{"index": index, **opened}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in answer.pieces(call.arguments)
        ]
    return chunks(answer, request, deltas)


def chunks(answer: Answer, request: Json, deltas: list[Json]) -> list[bytes]:
    """These deltas as a whole stream: with the finish, the usage where it was asked for, and the end."""
    base: Json = {
        "id": "chatcmpl-ConformanceAnswer",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": request.get("model", ""),
    }
    asked = object_in(request.get("stream_options")).get("include_usage") is True
    more: Json = {"usage": None} if asked else {}
    said: list[Json] = [
        base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} | more
        for delta in deltas
    ]
    last: Json = {"index": 0, "delta": {}, "finish_reason": _STOPS[answer.stop]}
    said.append(base | {"choices": [last]} | more)
    if asked:
        said.append(base | {"choices": [], "usage": _usage(answer.usage)})
    return [*(write_event(one) for one in said), write_event("[DONE]")]


def _error(status: int, message: str) -> Json:
    kind = "invalid_request_error" if status < 429 else "server_error"
    code = {429: "rate_limit_exceeded", 404: "model_not_found"}.get(status)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _fold(events: Sequence[Event]) -> Json:
    whole: Json = {}
    message: Json = {"role": "assistant", "content": None}
    calls: dict[int, Json] = {}
    finish: Any = None
    for event in events:
        chunk = event.object
        if chunk is None:
            continue
        whole = {**chunk, **{k: v for k, v in whole.items() if v is not None}}
        if chunk.get("usage"):
            whole["usage"] = chunk["usage"]
        for choice in dicts(chunk.get("choices")):
            finish = choice.get("finish_reason") or finish
            _grow(message, calls, object_in(choice.get("delta")))
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    whole["choices"] = [{"index": 0, "message": message, "finish_reason": finish}]
    return whole


def _grow(message: Json, calls: dict[int, Json], delta: Json) -> None:
    """Join a delta: text grows, lists grow, calls by their index; what else comes stays as it is."""
    for name, value in delta.items():
        match value:
            case _ if name == "tool_calls":
                continue
            case str() if name != "role":
                message[name] = (message.get(name) or "") + value
            case list():
                message[name] = [*(message.get(name) or []), *value]
            case None:
                continue
            case _:
                message[name] = value
    for part in dicts(delta.get("tool_calls")):
        function = object_in(part.get("function"))
        call = calls.setdefault(
            integer(part.get("index")),
            {"id": "", "type": "function", "function": {"name": "", "arguments": ""}},
        )
        call["id"] = call["id"] or part.get("id") or ""
        call["function"]["name"] = call["function"]["name"] or function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""


def _understand(body: Json) -> Understood:
    choice = next(iter(dicts(body.get("choices"))), Json())
    message: Json = object_in(choice.get("message"))
    usage = body.get("usage")
    stops: dict[str, Stop] = {word: stop for stop, word in _STOPS.items()}
    return Understood(
        response_id=str(body.get("id", "")),
        visible=text_of(message.get("content")),
        hidden=next((message[name] for name in _REASONING if message.get(name)), ""),
        calls=_calls([message]),
        stop=stops.get(str(choice.get("finish_reason")), "other"),
        usage=_told(usage) if usage else None,
    )


def _told(usage: Json) -> Usage:
    read = integer(object_in(usage.get("prompt_tokens_details")).get("cached_tokens"))
    return Usage(
        fresh=integer(usage.get("prompt_tokens")) - read,
        cache_read=read,
        output=integer(usage.get("completion_tokens")),
    )


def _calls(messages: list[Json]) -> tuple[Call, ...]:
    found = [call for message in messages for call in dicts(message.get("tool_calls"))]
    functions = [(call, object_in(call.get("function"))) for call in found]
    return tuple(
        Call(str(f.get("name", "")), str(f.get("arguments", "")), str(call.get("id", "")))
        for call, f in functions
    )


def _asked(body: Json) -> Asked:
    messages = dicts(body.get("messages"))
    system = [m for m in messages if m.get("role") in ("system", "developer")]
    parts = [part for m in messages for part in dicts(m.get("content"))]
    stop = body.get("stop")
    limit = body.get("max_completion_tokens")
    return Asked(
        system="\n".join(text_of(m.get("content")) for m in system),
        spoken=tuple(text_of(m.get("content")) for m in messages if m.get("role") != "tool"),
        calls=_calls(messages),
        results={
            str(m.get("tool_call_id")): text_of(m.get("content"))
            for m in messages
            if m.get("role") == "tool"
        },
        tools=tuple(_tool_asked(object_in(t.get("function"))) for t in dicts(body.get("tools"))),
        max_tokens=limit if limit is not None else body.get("max_tokens"),
        stops=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        temperature=body.get("temperature"),
        tool_choice=_choice(body.get("tool_choice")),
        images=tuple(
            str(object_in(part.get("image_url")).get("url"))
            for part in parts
            if part.get("type") == "image_url"
        ),
    )


def _tool_asked(function: Json) -> Tool:
    described = str(function.get("description", ""))
    return Tool(str(function.get("name", "")), object_in(function.get("parameters")), described)


def _choice(choice: Any) -> str:
    match choice:
        case "required":
            return "must"
        case str():
            return choice
        case {"function": {"name": str(name)}}:
            return name
        case {"allowed_tools": {"mode": "required", "tools": [{"function": {"name": str(name)}}]}}:
            return name
        case _:
            return ""


OPENAI: Final = Dialect(
    name="openai",
    path="/v1/chat/completions",
    title="OpenAI Chat Completions",
    request=_request,
    whole=_whole,
    events=_events,
    error=_error,
    error_event=lambda message: write_event(_error(500, message)),
    fold=_fold,
    understand=_understand,
    asked=_asked,
    stream_faults=stream_faults,
    whole_faults=whole_faults,
)
