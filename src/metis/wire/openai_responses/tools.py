"""Tools and tool choice in this shape's own words. Which tools a request offers in all: `wire.effective_tools`.

Source: https://platform.openai.com/docs/api-reference/responses/create (tools, tool_choice).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from metis.errors import CodecError
from metis.ir.request import Tool, ToolChoice
from metis.wire.openai_responses.fields import (
    SHAPE,
    Json,
    as_list,
    as_object,
    bool_or_none,
    kind_of,
    leftover,
    object_or_none,
    text_field,
    text_or_none,
    under,
)

TOOL_SEARCH: Final = "tool_search"

_CHOICE_WORDS: Final = {"auto": "auto", "none": "none", "required": "any"}
_MODE_WORDS: Final = {"auto": "auto", "required": "any"}


def decode_tools(raw: Any, where: str) -> tuple[Tool, ...]:
    """Raises CodecError where a callable tool has no name."""
    return tuple(
        _decode_tool(as_object(tool, f"{where}[{index}]"), f"{where}[{index}]")
        for index, tool in enumerate(as_list(raw, where))
    )


def encode_tool(tool: Tool) -> Json:
    """A tool of this shape's origin, as it came."""
    if tool.kind == "server":
        return tool.raw or {}
    encoded: Json = {"type": tool.kind}
    if not is_tool_search(tool):
        encoded["name"] = tool.name
    if tool.description is not None:
        encoded["description"] = tool.description
    if tool.kind == "namespace":
        encoded["tools"] = [encode_tool(member) for member in tool.tools]
    if tool.input_schema is not None:
        encoded["parameters"] = tool.input_schema
    if tool.strict is not None:
        encoded["strict"] = tool.strict
    if tool.format is not None:
        encoded["format"] = tool.format
    return {**encoded, **tool.extras}


def is_tool_search(tool: Tool) -> bool:
    """Codex's own search over deferred tools: the client runs it, so elsewhere it is a function like any other."""
    return tool.extras.get("type") == TOOL_SEARCH


def decode_tool_choice(raw: Any, where: str) -> ToolChoice:
    if isinstance(raw, str):
        word = _CHOICE_WORDS.get(raw)
        if word is None:
            raise CodecError(
                f"unknown choice {raw!r}; it must be auto, none, required or an object", where=where
            )
        return ToolChoice(kind=word)  # pyright: ignore[reportArgumentType]  # a value of the table
    if not isinstance(raw, dict):
        raise CodecError(f"it must be a string or an object, not {kind_of(raw)}", where=where)
    chosen = as_object(raw, where)
    kind = text_field(chosen, "type", where)
    if kind in ("function", "custom"):
        choice = ToolChoice(kind="tool", name=text_field(chosen, "name", where), tool_kind=kind)  # pyright: ignore[reportArgumentType]  # one of the two words
        return msgspec.structs.replace(choice, extras=leftover(chosen, _named_choice(choice)))
    if kind == "allowed_tools":
        mode = _MODE_WORDS.get(str(chosen.get("mode")), "auto")
        return ToolChoice(kind=mode, extras=chosen)  # pyright: ignore[reportArgumentType]  # a value of the table
    return ToolChoice(
        kind="tool", name=kind, tool_kind="server", extras=leftover(chosen, {"type": kind})
    )


def encode_tool_choice(choice: ToolChoice) -> str | Json:
    """A choice of this shape's origin, as it came."""
    if choice.kind == "tool":
        return {**_named_choice(choice), **choice.extras}
    if choice.extras:
        return choice.extras
    return {"auto": "auto", "none": "none", "any": "required"}[choice.kind]


def _named_choice(choice: ToolChoice) -> Json:
    if choice.tool_kind == "server":
        return {"type": choice.name}
    return {"type": choice.tool_kind, "name": choice.name}


def _decode_tool(raw: Json, where: str) -> Tool:
    kind = text_field(raw, "type", where)
    tool: Tool
    match kind:
        case "function":
            tool = Tool(
                kind="function",
                name=text_field(raw, "name", where),
                description=text_or_none(raw, "description", where),
                input_schema=object_or_none(raw, "parameters", where),
                strict=bool_or_none(raw, "strict", where),
            )
        case "custom":
            tool = Tool(
                kind="custom",
                name=text_field(raw, "name", where),
                description=text_or_none(raw, "description", where),
                format=object_or_none(raw, "format", where),
            )
        case "namespace":
            tool = Tool(
                kind="namespace",
                name=text_field(raw, "name", where),
                description=text_or_none(raw, "description", where),
                tools=decode_tools(raw.get("tools"), under(where, "tools")),
            )
        case "tool_search" if raw.get("execution") == "client":
            return Tool(
                kind="function",
                name=TOOL_SEARCH,
                description=text_or_none(raw, "description", where),
                input_schema=object_or_none(raw, "parameters", where),
                extras={
                    key: value
                    for key, value in raw.items()
                    if key not in ("description", "parameters") or value is None
                },
            )
        case _:
            return Tool(kind="server", name=kind, raw=raw, shape=SHAPE)
    return msgspec.structs.replace(tool, extras=leftover(raw, encode_tool(tool)))
