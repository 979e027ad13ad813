"""IR to a chat request's JSON: as it came when it came in this shape, else by `crossing`. No decoding here."""

from __future__ import annotations

from typing import cast

from metis.ir.content import Part, ToolResult
from metis.ir.request import Message, Request
from metis.wire.codec import Encoded
from metis.wire.openai_chat.assistant import own_assistant, put_content
from metis.wire.openai_chat.crossing import encode_foreign
from metis.wire.openai_chat.fields import Object, dump
from metis.wire.openai_chat.functions import LEGACY_CALL, is_legacy, own_tool, plain_choice
from metis.wire.openai_chat.output_format import plain_output_format
from metis.wire.openai_chat.parts import SHAPE, put_cache


def encode_request(request: Request) -> Encoded:
    """Raises CodecError for IR that no chat request can hold (an edit made it so)."""
    if request.origin != SHAPE:
        return encode_foreign(request)
    known: Object = {"messages": [item for message in request.messages for item in _own(message)]}
    if request.model:
        known["model"] = request.model
    _put_tools(known, request)
    if request.max_tokens is not None:
        known[request.max_tokens_field or "max_completion_tokens"] = request.max_tokens
    if request.stop:
        known["stop"] = request.stop[0] if request.stop_text_form else list(request.stop)
    if request.reasoning is not None:
        known.update(request.reasoning.extras or {"reasoning_effort": request.reasoning.effort})
    if request.output_format is not None:
        kept = request.output_format.extras.get("response_format")
        known["response_format"] = kept or plain_output_format(request.output_format)
    for name in _PLAIN_FIELDS:
        value = getattr(request, name)
        if value is not None:
            known[name] = value
    if request.include_usage is not None:
        options = cast(Object, request.extras.get("stream_options") or {})
        known["stream_options"] = {**options, "include_usage": request.include_usage}
    return Encoded(dump({**request.extras, **known}))


_PLAIN_FIELDS = (
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "stream",
    "user",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "store",
)


def _put_tools(known: Object, request: Request) -> None:
    functions = [own_tool(tool) for tool in request.tools if is_legacy(tool)]
    tools = [own_tool(tool) for tool in request.tools if not is_legacy(tool)]
    if tools:
        known["tools"] = tools
    if functions:
        known["functions"] = functions
    choice = request.tool_choice
    if choice is None:
        return
    if "function_call" in choice.extras:
        known["function_call"] = choice.extras["function_call"]
    else:
        known["tool_choice"] = choice.extras.get("tool_choice") or plain_choice(choice)


def _own(message: Message) -> list[Object]:
    match message.role:
        case "assistant":
            body = own_assistant(message.parts, text_form=message.text_form, extras=message.extras)
            return [{"role": "assistant", **body}]
        case "tool":
            return [
                _own_result(part, message.extras)
                for part in message.parts
                if isinstance(part, ToolResult)
            ]
        case role:
            out: Object = {"role": role}
            mark = put_content(out, message.parts, text_form=message.text_form)
            put_cache(out, mark)
            return [{**out, **message.extras}]


def _own_result(result: ToolResult, extras: Object) -> Object:
    out: Object = {"role": "tool"}
    if result.call_id.startswith(LEGACY_CALL):
        out["role"] = "function"
    elif result.call_id:
        out["tool_call_id"] = result.call_id
    if result.name:
        out["name"] = result.name
    parts: tuple[Part, ...] = result.content
    put_content(out, parts, text_form=result.as_text)
    return {**out, **extras}
