"""Tools, tool calls and tool choice of chat bodies to IR and back, the deprecated functions included. No messages here.

Field forms: https://platform.openai.com/docs/api-reference/chat/create (tools, tool_choice, functions).
A deprecated function keeps its object in `Tool.raw`, which tells it from a tool; its calls have ids
that start with LEGACY_CALL, since the old form has none.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from metis.errors import CodecError
from metis.ir.content import ToolCall
from metis.ir.request import Tool, ToolChoice
from metis.wire.custom_tools import CUSTOM_SCHEMA, custom_description
from metis.wire.openai_chat.fields import Fields, Object, as_object, dump_text, kind_of, load
from metis.wire.openai_chat.parts import SHAPE, put_cache, take_cache

LEGACY_CALL: Final = "call_legacy_function_"
NO_PARAMETERS: Final[Object] = {"type": "object", "properties": {}}
# In extras, None stands for the `type` that an object did not have, and this for one that was null.
_NULL: Final = False
# The arguments a free-text tool's one text travels in, the same in all shapes without such tools.


def decode_tool(value: object, where: str) -> Tool:
    """One entry of `tools`. Raises CodecError with the path; unknown types are server tools."""
    whole = as_object(value, where)
    fields = Fields(whole, where)
    kind = fields.text("type")
    if kind == "custom":
        return _decode_custom(fields)
    if kind == "function" or (kind is None and "function" in whole):
        cache = take_cache(fields)
        inner = Fields(
            as_object(fields.rest.pop("function", None), fields.path("function")),
            fields.path("function"),
        )
        name = _name(inner)
        description, schema = inner.text("description"), inner.mapping("parameters")
        strict = inner.flag("strict")
        extras = fields.rest
        if kind is None:
            extras["type"] = _NULL if "type" in extras else None  # Mistral's clients leave it out
        if inner.rest:
            extras["function"] = inner.rest
        return Tool(
            kind="function",
            name=name,
            description=description,
            input_schema=schema,
            strict=strict,
            cache=cache,
            extras=extras,
        )
    if kind is None:
        raise CodecError("a tool needs a type", where=fields.path("type"))
    return Tool(kind="server", name=kind, raw=whole, shape=SHAPE)


def _name(fields: Fields) -> str:
    name = fields.text("name")
    if name is None:
        raise CodecError("a tool needs a name", where=fields.path("name"))
    return name


def _decode_custom(fields: Fields) -> Tool:
    inner = Fields(
        as_object(fields.rest.pop("custom", None), fields.path("custom")), fields.path("custom")
    )
    name, description = _name(inner), inner.text("description")
    form = inner.mapping("format")
    extras = {**fields.rest, "custom": inner.rest} if inner.rest else fields.rest
    return Tool(
        kind="custom",
        name=name,
        description=description,
        format=_flat_format(form) if form is not None else None,
        extras=extras,
    )


def _flat_format(form: Object) -> Object:
    """Chat nests a grammar one level deeper than Responses; the IR holds the flat form."""
    match form:
        case {"type": "grammar", "grammar": {"syntax": _, "definition": _} as grammar}:
            if len(grammar) != 2 or not grammar.keys().isdisjoint(form):
                return form
        case _:
            return form
    return {**{key: value for key, value in form.items() if key != "grammar"}, **grammar}


def nested_format(form: Object) -> Object:
    if (
        form.get("type") != "grammar"
        or "grammar" in form
        or not {"syntax", "definition"} <= set(form)
    ):
        return form
    grammar = {key: form[key] for key in ("syntax", "definition") if key in form}
    return {**{key: value for key, value in form.items() if key not in grammar}, "grammar": grammar}


def decode_function(value: object, where: str) -> Tool:
    """One entry of the deprecated `functions`."""
    whole = as_object(value, where)
    fields = Fields(whole, where)
    return Tool(
        kind="function",
        name=_name(fields),
        description=fields.text("description"),
        input_schema=fields.mapping("parameters"),
        raw=whole,
        shape=SHAPE,
    )


def is_legacy(tool: Tool) -> bool:
    return tool.kind == "function" and tool.raw is not None and tool.shape == SHAPE


def plain_tool(tool: Tool, name: str) -> Object | None:
    """The tool in OpenAI's own form under `name`, without extras; None for what chat cannot say."""
    match tool.kind:
        case "function":
            function: Object = {"name": name}
            if tool.description is not None:
                function["description"] = tool.description
            if tool.input_schema is not None:
                function["parameters"] = tool.input_schema
            if tool.strict is not None:
                function["strict"] = tool.strict
            return {"type": "function", "function": function}
        case "custom":
            custom: Object = {"name": name}
            if tool.description is not None:
                custom["description"] = tool.description
            if tool.format is not None:
                custom["format"] = nested_format(tool.format)
            return {"type": "custom", "custom": custom}
        case "server":
            return dict(tool.raw) if tool.shape == SHAPE and tool.raw is not None else None
        case "namespace":
            return None


def text_as_function(tool: Tool) -> Tool:
    """A free-text tool as a function of one string, its grammar part of the description.

    OpenAI's own endpoint knows free-text tools, compatible servers refuse them; and a client that
    has such tools (Codex) speaks to OpenAI in its own shape, so what is crossed goes to the others.
    """
    return Tool(
        kind="function",
        name=tool.name,
        description=custom_description(tool) or None,
        input_schema=CUSTOM_SCHEMA,
        cache=tool.cache,
        extras=tool.extras,
    )


def own_tool(tool: Tool) -> Object:
    """The tool as this shape's client wrote it. Raises CodecError for a namespace."""
    if is_legacy(tool):
        return dict(tool.raw or {})
    out = plain_tool(tool, tool.name)
    if out is None:
        raise CodecError(f"no chat tool can say {tool.kind} {tool.name!r}")
    _merge(out, tool.extras)
    put_cache(out, tool.cache)
    return out


def _merge(out: Object, extras: Object) -> None:
    for key, value in extras.items():
        held = out.get(key)
        if isinstance(held, dict) and isinstance(value, dict):
            out[key] = {**value, **held}
        elif key == "type" and value is None:
            out.pop("type", None)
        elif key == "type" and value is _NULL:
            out["type"] = None
        elif key not in out:
            out[key] = value


def decode_choice(value: object, where: str) -> ToolChoice:
    """`tool_choice`. A form this module would write otherwise rides whole in extras. Raises CodecError."""
    if isinstance(value, str):
        match value:
            case "auto" | "none":
                return ToolChoice(kind=value)
            case "required":
                return ToolChoice(kind="any")
            case _:  # Mistral says "any"
                return ToolChoice(
                    kind="any" if value == "any" else "auto", extras={"tool_choice": value}
                )
    whole = as_object(value, where)
    choice = ToolChoice(kind="auto")
    match whole:
        case {"type": "custom", "custom": {"name": str() as name}}:
            choice = ToolChoice(kind="tool", name=name, tool_kind="custom")
        case {"function": {"name": str() as name}}:
            choice = ToolChoice(kind="tool", name=name)
        case {"type": "allowed_tools", "allowed_tools": {"mode": "required"}}:
            choice = ToolChoice(kind="any")
        case {"type": str()}:
            pass
        case _:
            raise CodecError("expected a word or an object with a type", where=where)
    if plain_choice(choice) == whole:
        return choice
    return ToolChoice(
        kind=choice.kind,
        name=choice.name,
        tool_kind=choice.tool_kind,
        extras={"tool_choice": whole},
    )


def decode_legacy_choice(value: object, where: str) -> ToolChoice:
    """The deprecated `function_call` of a request."""
    extras = {"function_call": value}
    if isinstance(value, str):
        return ToolChoice(kind="none" if value == "none" else "auto", extras=extras)
    name = Fields(as_object(value, where), where).text("name")
    return ToolChoice(kind="tool" if name else "auto", name=name or "", extras=extras)


def plain_choice(choice: ToolChoice) -> str | Object:
    match choice.kind:
        case "any":
            return "required"
        case "tool":
            kind = "custom" if choice.tool_kind == "custom" else "function"
            return {"type": kind, kind: {"name": choice.name}}
        case kind:
            return kind


def decode_call(value: object, where: str, *, strict: bool = True) -> ToolCall:
    """One entry of an assistant's `tool_calls`. Raises CodecError with the path."""
    fields = Fields(as_object(value, where), where, strict=strict)
    kind = fields.text("type")
    cache = take_cache(fields)
    call_id = fields.filled_text("id") or ""
    key, text_key = ("custom", "input") if kind == "custom" else ("function", "arguments")
    inner = Fields(
        as_object(fields.rest.pop(key, None), fields.path(key)), fields.path(key), strict=strict
    )
    name = inner.text("name") or ""
    arguments = _arguments(inner, text_key)
    extras = fields.rest
    if kind is None:
        extras["type"] = _NULL if "type" in extras else None
    elif kind not in ("function", "custom"):
        extras["type"] = kind
    if inner.rest:
        extras[key] = inner.rest
    return ToolCall(
        call_id=call_id,
        name=name,
        arguments=arguments,
        kind="custom" if kind == "custom" else "function",
        cache=cache,
        extras=extras,
    )


def _arguments(fields: Fields, key: str) -> str:
    """The arguments' text. Some servers write them as an object: it stays in `rest` beside its text."""
    value = fields.rest.get(key)
    if isinstance(value, dict):
        return dump_text(value)
    return fields.text(key) or ""


def own_call(call: ToolCall) -> Object:
    """The call as it came from a chat client or upstream."""
    out = plain_call(call, call.name)
    if not call.call_id:
        del out["id"]
    kind: Any = call.extras.get("type")
    key = "custom" if call.kind == "custom" else "function"
    inner = call.extras.get(key)
    if isinstance(inner, dict):
        out[key] = {**out[key], **inner}
    for name, value in call.extras.items():
        if name not in (key, "type"):
            out[name] = value
    if "type" in call.extras:
        out["type"] = None if kind is _NULL else kind
        if kind is None:
            del out["type"]
    put_cache(out, call.cache)
    return out


def plain_call(call: ToolCall, name: str) -> Object:
    if call.kind == "custom":
        custom = {"name": name, "input": call.arguments}
        return {"id": call.call_id, "type": "custom", "custom": custom}
    function = {"name": name, "arguments": call.arguments}
    return {"id": call.call_id, "type": "function", "function": function}


def call_of_function(call: ToolCall, name: str) -> Object:
    """A call of a past turn as a function's, a free-text tool's too (`text_as_function`)."""
    if call.kind == "custom":
        wrapped = dump_text({"input": call.arguments})
        return plain_call(ToolCall(call_id=call.call_id, name=name, arguments=wrapped), name)
    return plain_call(call, name)


def decode_legacy_call(value: Object, number: int) -> ToolCall:
    """An assistant's deprecated `function_call`; `number` makes its id unique in the conversation."""
    fields = Fields(value, strict=False)
    name, arguments = fields.text("name") or "", fields.text("arguments") or ""
    return ToolCall(
        call_id=f"{LEGACY_CALL}{number}", name=name, arguments=arguments, extras=fields.rest
    )


def made_call_id(seed: str, number: int) -> str:
    """An id for a call that its server gave none (Google's endpoint), the same for the same answer."""
    digest = hashlib.sha256(f"{seed}/{number}".encode("utf-8", "replace")).hexdigest()
    return f"call_{digest[:24]}"


def free_text(arguments: str) -> str:
    """A custom tool's input out of the JSON arguments that shapes without custom tools make of it."""
    try:
        value = load(arguments.encode("utf-8", "replace"), "arguments")
    except CodecError:
        return arguments
    match value:
        case {"input": str() as text}:
            return text
        case {**only} if len(only) == 1 and kind_of(next(iter(only.values()))) == "a string":
            return str(next(iter(only.values())))
        case _:
            return arguments
