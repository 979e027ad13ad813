"""A chat request's JSON to IR. What the IR has no place for stays in extras; other shapes are not known here.

https://platform.openai.com/docs/api-reference/chat/create, and the fields compatible servers add.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import msgspec

from metis.errors import CodecError
from metis.ir.content import Text, ToolResult
from metis.ir.request import Message, OutputFormat, Reasoning, Request, Tool, ToolChoice
from metis.wire.openai_chat.assistant import decode_assistant, decode_content
from metis.wire.openai_chat.fields import Fields, Object, as_object, load_object
from metis.wire.openai_chat.functions import (
    LEGACY_CALL,
    decode_choice,
    decode_function,
    decode_legacy_choice,
    decode_tool,
)
from metis.wire.openai_chat.output_format import plain_output_format
from metis.wire.openai_chat.parts import SHAPE, take_cache


def decode_request(body: bytes) -> Request:
    """Raises CodecError naming the JSON path of what is wrong, in plain words."""
    fields = Fields(load_object(body, "the request body"))
    raw_messages = fields.rest.pop("messages", None)
    if not isinstance(raw_messages, list):
        what = "is required" if raw_messages is None else "must be a list"
        raise CodecError(f"the list of messages {what}", where="messages")
    messages = _messages(cast(list[Any], raw_messages))
    tools, choice = _tools(fields)
    max_tokens, max_tokens_field = _max_tokens(fields)
    stop, stop_text_form = _stop(fields)
    return Request(
        origin=SHAPE,
        model=fields.filled_text("model") or "",
        messages=messages,
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=fields.flag("parallel_tool_calls"),
        max_tokens=max_tokens,
        max_tokens_field=max_tokens_field,
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.integer("top_k"),
        stop=stop,
        stop_text_form=stop_text_form,
        seed=fields.integer("seed"),
        reasoning=_reasoning(fields),
        output_format=_output_format(fields),
        stream=fields.flag("stream"),
        include_usage=_include_usage(fields),
        user=fields.text("user"),
        metadata=fields.mapping("metadata"),
        service_tier=fields.text("service_tier"),
        prompt_cache_key=fields.text("prompt_cache_key"),
        store=fields.flag("store"),
        extras=fields.rest,
    )


def _messages(entries: list[Any]) -> tuple[Message, ...]:
    found: list[Message] = []
    legacy_call = 0  # place of the last message that may hold a deprecated call
    for index, entry in enumerate(entries):
        where = f"messages[{index}]"
        fields = Fields(as_object(entry, where), where)
        role = fields.text("role")
        match role:
            case "assistant":
                parts, text_form = decode_assistant(fields, number=index)
                if "function_call" in as_object(entry, where):
                    legacy_call = index
                message = Message(
                    role="assistant", parts=parts, text_form=text_form, extras=fields.rest
                )
            case "tool" | "function":
                message = _tool_message(fields, role, legacy_call)
            case "system" | "developer" | "user":
                message = _plain_message(fields, role)
            case None:
                raise CodecError("a message needs a role", where=fields.path("role"))
            case _:
                raise CodecError(
                    f"unknown role {role!r}; roles are system, developer, user, assistant, tool",
                    where=fields.path("role"),
                )
        found.append(message)
    return tuple(found)


def _plain_message(fields: Fields, role: Literal["system", "developer", "user"]) -> Message:
    parts, text_form = decode_content(fields)
    if text_form and len(parts) == 1 and isinstance(parts[0], Text):
        # Beside a bare string the marker means that string.
        parts = [msgspec.structs.replace(parts[0], cache=take_cache(fields))]
    return Message(role=role, parts=tuple(parts), text_form=text_form, extras=fields.rest)


def _tool_message(fields: Fields, role: str, legacy_call: int) -> Message:
    legacy = role == "function"
    call_id = f"{LEGACY_CALL}{legacy_call}" if legacy else fields.filled_text("tool_call_id") or ""
    name = fields.filled_text("name") or ""
    content, as_text = decode_content(fields)
    extras = fields.rest
    result = ToolResult(call_id=call_id, name=name, content=tuple(content), as_text=as_text)
    return Message(role="tool", parts=(result,), extras=extras)


def _tools(fields: Fields) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    tools = [
        decode_tool(value, f"tools[{index}]")
        for index, value in enumerate(fields.listing("tools") or ())
    ]
    tools += [
        decode_function(value, f"functions[{index}]")
        for index, value in enumerate(fields.listing("functions") or ())
    ]
    choice = None
    if fields.rest.get("tool_choice") is not None:
        choice = decode_choice(fields.rest.pop("tool_choice"), "tool_choice")
    elif fields.rest.get("function_call") is not None:
        choice = decode_legacy_choice(fields.rest.pop("function_call"), "function_call")
    return tuple(tools), choice


def _max_tokens(fields: Fields) -> tuple[int | None, str]:
    """Where both names stand the newer one counts; the older stays in extras."""
    value = fields.integer("max_completion_tokens")
    if value is not None:
        return value, "max_completion_tokens"
    value = fields.integer("max_tokens")
    return value, "max_tokens" if value is not None else ""


def _stop(fields: Fields) -> tuple[tuple[str, ...], bool]:
    value = fields.rest.get("stop")
    if isinstance(value, str):
        del fields.rest["stop"]
        return (value,), True
    entries = fields.listing("stop") or []
    for index, entry in enumerate(entries):
        if not isinstance(entry, str):
            raise CodecError("expected a string", where=f"stop[{index}]")
    return tuple(entries), False


def _reasoning(fields: Fields) -> Reasoning | None:
    """`reasoning_effort`, OpenRouter's `reasoning` and DeepSeek's and Z.ai's `thinking`, as one wish.

    Anything but a lone `reasoning_effort` rides whole in extras, under its own name.
    """
    raw = {
        key: fields.rest.pop(key)
        for key, wanted in (("reasoning_effort", str), ("reasoning", dict), ("thinking", dict))
        if isinstance(fields.rest.get(key), wanted)
    }
    if not raw:
        return None
    effort = str(raw.get("reasoning_effort", ""))
    if list(raw) == ["reasoning_effort"]:
        return Reasoning(effort=effort)
    wish = Fields(raw.get("reasoning", {}), strict=False)
    thinking = Fields(raw.get("thinking", {}), strict=False)
    mode: Literal["", "enabled", "adaptive", "disabled"] = ""
    match thinking.text("type"):
        case "enabled" | "adaptive" | "disabled" as word:
            mode = word
        case _:
            mode = "disabled" if wish.flag("enabled") is False else ""
    return Reasoning(
        mode=mode,
        effort=effort or wish.text("effort") or "",
        budget_tokens=wish.integer("max_tokens") or thinking.integer("budget_tokens"),
        extras=raw,
    )


def _output_format(fields: Fields) -> OutputFormat | None:
    raw = fields.mapping("response_format")
    if raw is None:
        return None
    match raw.get("type"):
        case "text" | "json_object" as kind:
            found = OutputFormat(kind=kind)
        case "json_schema" if isinstance(raw.get("json_schema"), dict):
            inner = Fields(raw["json_schema"], "response_format.json_schema")
            found = OutputFormat(
                kind="json_schema",
                name=inner.text("name") or "",
                schema=inner.mapping("schema"),
                strict=inner.flag("strict"),
                description=inner.text("description"),
            )
        case _:
            fields.rest["response_format"] = raw
            return None
    if plain_output_format(found) == raw:
        return found
    return msgspec.structs.replace(found, extras={"response_format": raw})


def _include_usage(fields: Fields) -> bool | None:
    options = fields.mapping("stream_options")
    if options is None:
        return None
    inner = Fields(options, "stream_options")
    wanted = inner.flag("include_usage")
    if inner.rest or wanted is None:
        rest: Object = inner.rest
        fields.rest["stream_options"] = rest
    return wanted
