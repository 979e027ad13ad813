"""A Messages API request into IR. Every field the IR has no place for stays among its node's extras.

Tool results live in user messages here (`Message.role` "user" with ToolResult parts), where they stand
in the body; encoders of other shapes split them out. `system` messages inside the conversation are
messages of role "system". Source: platform.claude.com/docs/en/api/messages.
"""

from __future__ import annotations

from typing import Any, Literal

from metis.errors import CodecError
from metis.ir.content import Opaque, Part
from metis.ir.request import Message, OutputFormat, Reasoning, Request, Tool, ToolChoice
from metis.wire.anthropic_messages.blocks_in import read_cache, read_content
from metis.wire.anthropic_messages.name import NAME
from metis.wire.fields import Fields, Json, as_object, kind_of, load_json

_ROLES: dict[str, Literal["user", "assistant", "system"]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
}
_MODES: dict[str, Literal["enabled", "adaptive", "disabled"]] = {
    "enabled": "enabled",
    "adaptive": "adaptive",
    "disabled": "disabled",
}
_CHOICES: dict[str, Literal["auto", "any", "none", "tool"]] = {
    "auto": "auto",
    "any": "any",
    "none": "none",
    "tool": "tool",
}


def decode_request(body: bytes) -> Request:
    """Decode a request body. Raises CodecError, naming the JSON path, on what no Messages request can hold."""
    fields = Fields(load_json(body), "")
    system, system_text_form = _system(fields)
    user, metadata = _metadata(fields)
    reasoning, output_format = _output(fields)
    tool_choice, parallel = _tool_choice(fields)
    return Request(
        origin=NAME,
        model=fields.word("model"),
        messages=_messages(fields),
        system=system,
        system_text_form=system_text_form,
        tools=_tools(fields),
        tool_choice=tool_choice,
        parallel_tool_calls=parallel,
        max_tokens=fields.whole("max_tokens"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        stop=_stop(fields),
        reasoning=reasoning,
        output_format=output_format,
        stream=fields.flag("stream"),
        user=user,
        metadata=metadata,
        service_tier=fields.text("service_tier"),
        cache=read_cache(fields),
        extras=fields.left,
    )


def uncrossable(request: Request) -> str | None:
    """Say why a request cannot be told in another shape: one that goes on from a thread lacks its history."""
    if request.extras.get("thread") is None:
        return None
    return (
        "thread: only Anthropic keeps the conversation's earlier messages; "
        "send them all in `messages`, without `thread`"
    )


def _messages(fields: Fields) -> tuple[Message, ...]:
    values = fields.required_list("messages")
    return tuple(_message(value, f"messages[{index}]") for index, value in enumerate(values))


def _message(value: Any, where: str) -> Message:
    fields = Fields(value, where)
    role = fields.required_text("role")
    if role not in _ROLES:
        raise CodecError(
            f"must be user, assistant or system, not {role!r}", where=fields.path("role")
        )
    if "content" not in fields.left:
        raise CodecError(
            "is missing; it must be a string or a list of blocks", where=fields.path("content")
        )
    parts, text_form = read_content(fields.left.pop("content"), fields.path("content"))
    return Message(
        role=_ROLES[role],
        parts=parts,
        text_form=text_form,
        tools=_added_tools(parts, where) if role == "system" else (),
        extras=fields.left,
    )


def _added_tools(parts: tuple[Part, ...], where: str) -> tuple[Tool, ...]:
    """The tools that `tool_addition` blocks define; None of them where any block does something else."""
    tools: list[Tool] = []
    for index, part in enumerate(parts):
        if not isinstance(part, Opaque) or part.kind != "tool_addition":
            return ()
        added = as_object(part.value.get("tool"))
        if added is None or "input_schema" not in added:
            return ()
        tools.append(_tool(added, f"{where}.content[{index}].tool"))
    return tuple(tools)


def _system(fields: Fields) -> tuple[tuple[Part, ...], bool]:
    value = fields.left.get("system")
    if value is None or value == []:
        return (), False
    parts = read_content(value, "system")
    del fields.left["system"]
    return parts


def _metadata(fields: Fields) -> tuple[str | None, Json | None]:
    metadata = fields.object("metadata")
    if metadata is None:
        return None, None
    user = metadata.get("user_id")
    if not isinstance(user, str):
        return None, metadata
    others = {key: value for key, value in metadata.items() if key != "user_id"}
    return user, others or None


def _stop(fields: Fields) -> tuple[str, ...]:
    values = fields.list("stop_sequences")
    if values is None:
        return ()
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise CodecError(
                f"must be a string, not {kind_of(value)}", where=f"stop_sequences[{index}]"
            )
    if not values:
        fields.left["stop_sequences"] = values
    return tuple(values)


def _output(fields: Fields) -> tuple[Reasoning | None, OutputFormat | None]:
    """Read `thinking`, `output_config` and the older `output_format`; what is left of them goes to the extras."""
    config = fields.object("output_config")
    effort = ""
    output_format: OutputFormat | None = None
    if config is not None:
        inner = Fields(config, "output_config")
        effort = inner.word("effort")
        output_format = _format(inner, "format", "")
        if inner.left or not config:
            fields.left["output_config"] = inner.left
    if output_format is None:
        output_format = _format(fields, "output_format", "output_format")
    return _reasoning(fields, effort), output_format


def _format(fields: Fields, key: str, field: str) -> OutputFormat | None:
    value = as_object(fields.left.get(key))
    if value is None or value.get("type") != "json_schema":
        return None
    schema = as_object(value.get("schema"))
    if schema is None:
        return None
    del fields.left[key]
    extras = {name: item for name, item in value.items() if name not in ("type", "schema")}
    return OutputFormat(kind="json_schema", schema=schema, field=field, extras=extras)


def _reasoning(fields: Fields, effort: str) -> Reasoning | None:
    thinking = as_object(fields.left.get("thinking"))
    kind = thinking.get("type") if thinking is not None else None
    mode = _MODES.get(kind) if isinstance(kind, str) else None
    if mode is None:
        # A kind of thinking this codec does not know (`between_tools`) rides among the extras.
        return Reasoning(effort=effort) if effort else None
    inner = Fields(fields.left.pop("thinking"), "thinking")
    del inner.left["type"]
    return Reasoning(
        mode=mode,
        budget_tokens=inner.whole("budget_tokens"),
        effort=effort,
        display=inner.word("display"),
        extras=inner.left,
    )


def _tool_choice(fields: Fields) -> tuple[ToolChoice | None, bool | None]:
    value = as_object(fields.left.get("tool_choice"))
    kind = value.get("type") if value is not None else None
    known = _CHOICES.get(kind) if isinstance(kind, str) else None
    if known is None:
        return None, None
    inner = Fields(fields.left.pop("tool_choice"), "tool_choice")
    del inner.left["type"]
    name = inner.required_text("name") if known == "tool" else ""
    disabled = inner.flag("disable_parallel_tool_use")
    choice = ToolChoice(kind=known, name=name, extras=inner.left)
    return choice, None if disabled is None else not disabled


def _tools(fields: Fields) -> tuple[Tool, ...]:
    values = fields.list("tools")
    if values == []:
        fields.left["tools"] = values
    return tuple(_tool(value, f"tools[{index}]") for index, value in enumerate(values or ()))


def _tool(value: Any, where: str) -> Tool:
    """A tool without `type`, or of type `custom`, is a function; all others are Anthropic's own."""
    fields = Fields(value, where)
    kind = fields.left.get("type")
    if kind is not None and not isinstance(kind, str):
        raise CodecError(f"must be a string, not {kind_of(kind)}", where=f"{where}.type")
    if kind is not None and kind != "custom":
        name = fields.left.get("name")
        return Tool(
            kind="server",
            name=name if isinstance(name, str) else kind,
            raw=as_object(value),
            shape=NAME,
        )
    if kind is not None:
        del fields.left["type"]
    return Tool(
        kind="function",
        name=fields.required_text("name"),
        description=fields.text("description"),
        input_schema=fields.object("input_schema"),
        strict=fields.flag("strict"),
        type_given=kind is not None,
        cache=read_cache(fields),
        extras=fields.left,
    )
