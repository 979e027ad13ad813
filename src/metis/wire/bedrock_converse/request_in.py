"""A Converse request into IR. Every field the IR has no place for stays among its node's extras.

The model and the wish for a stream are not in the body here but in the path. What a model takes beyond the API's own
words (`additionalModelRequestFields`) is read as far as it is Claude's `thinking` and `top_k`.
Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from metis.errors import CodecError
from metis.ir.content import Part
from metis.ir.request import Message, OutputFormat, Reasoning, Request, Tool, ToolChoice
from metis.wire.bedrock_converse.blocks_in import cache_mark, read_blocks
from metis.wire.bedrock_converse.name import NAME
from metis.wire.fields import Fields, Json, as_object, dump_json, kind_of, load_json

_ROLES: Final[dict[str, Literal["user", "assistant"]]] = {"user": "user", "assistant": "assistant"}
_MODES: Final[dict[str, Literal["enabled", "adaptive", "disabled"]]] = {
    "enabled": "enabled",
    "adaptive": "adaptive",
    "disabled": "disabled",
}


def decode_request(body: bytes) -> Request:
    """Decode a request body. Raises CodecError, naming the JSON path, on what no Converse request can hold."""
    fields = Fields(load_json(body), "")
    inference = _inner(fields, "inferenceConfig")
    limits: Json = {
        "max_tokens": inference.whole("maxTokens"),
        "temperature": inference.number("temperature"),
        "top_p": inference.number("topP"),
        "stop": _stop(inference),
    }
    fields.keep("inferenceConfig", inference)
    more = _inner(fields, "additionalModelRequestFields")
    reasoning, top_k = _reasoning(more), more.whole("top_k")
    fields.keep("additionalModelRequestFields", more)
    tools, choice = _tool_config(fields)
    return Request(
        origin=NAME,
        model="",
        messages=_messages(fields),
        system=_system(fields),
        tools=tools,
        tool_choice=choice,
        top_k=top_k,
        reasoning=reasoning,
        output_format=_output_format(fields),
        metadata=fields.object("requestMetadata"),
        service_tier=_service_tier(fields),
        extras=fields.left,
        **limits,
    )


def _inner(fields: Fields, key: str) -> Fields:
    """A field that is an object, to be read; it stays in `fields` until `keep` says what is left of it."""
    value = fields.left.get(key)
    return Fields({} if value is None else value, fields.path(key))


def _stop(inference: Fields) -> tuple[str, ...]:
    values = inference.list("stopSequences")
    for index, value in enumerate(values or ()):
        if not isinstance(value, str):
            where = inference.path(f"stopSequences[{index}]")
            raise CodecError(f"must be a string, not {kind_of(value)}", where=where)
    if values == []:
        inference.left["stopSequences"] = values
    return tuple(values or ())


def _reasoning(more: Fields) -> Reasoning | None:
    thinking = as_object(more.left.get("thinking"))
    kind = thinking.get("type") if thinking is not None else None
    mode = _MODES.get(kind) if isinstance(kind, str) else None
    if mode is None:
        return None
    inner = Fields(more.left.pop("thinking"), more.path("thinking"))
    del inner.left["type"]
    return Reasoning(
        mode=mode,
        budget_tokens=inner.whole("budget_tokens"),
        display=inner.word("display"),
        extras=inner.left,
    )


def _messages(fields: Fields) -> tuple[Message, ...]:
    values = fields.required_list("messages")
    return tuple(_message(value, f"messages[{index}]") for index, value in enumerate(values))


def _message(value: Any, where: str) -> Message:
    fields = Fields(value, where)
    role = fields.required_text("role")
    if role not in _ROLES:
        raise CodecError(f"must be user or assistant, not {role!r}", where=fields.path("role"))
    parts = read_blocks(fields.required_list("content"), fields.path("content"))
    return Message(role=_ROLES[role], parts=parts, extras=fields.left)


def _system(fields: Fields) -> tuple[Part, ...]:
    values = fields.list("system")
    if values == []:
        fields.left["system"] = values
    return read_blocks(values or [], "system")


def _tool_config(fields: Fields) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    config = _inner(fields, "toolConfig")
    values = config.list("tools")
    tools = _tools(values or [], config.path("tools"))
    if values == []:
        config.left["tools"] = values
    choice = _tool_choice(config)
    fields.keep("toolConfig", config)
    return tools, choice


def _tools(values: list[Any], where: str) -> tuple[Tool, ...]:
    """A cache point marks the tool before it, as in a list of blocks."""
    tools: list[Tool] = []
    for index, value in enumerate(values):
        mark = cache_mark(value)
        if mark is not None and tools and tools[-1].cache is None:
            tools[-1] = msgspec.structs.replace(tools[-1], cache=mark)
        else:
            tools.append(_tool(value, f"{where}[{index}]"))
    return tuple(tools)


def _tool(value: Any, where: str) -> Tool:
    """A `toolSpec` is a function; whatever else stands here is run by the provider."""
    whole = Fields(value, where).left
    spec = as_object(whole.get("toolSpec")) if len(whole) == 1 else None
    if spec is None:
        kind = next(iter(whole), "empty")
        named = (as_object(whole.get(kind)) or {}).get("name")
        return Tool(
            kind="server", name=named if isinstance(named, str) else kind, raw=whole, shape=NAME
        )
    fields = Fields(spec, f"{where}.toolSpec")
    schema = as_object(fields.left.get("inputSchema")) or {}
    known = as_object(schema.get("json")) if len(schema) == 1 else None
    if known is not None:
        del fields.left["inputSchema"]
    return Tool(
        kind="function",
        name=fields.required_text("name"),
        description=fields.text("description"),
        input_schema=known,
        strict=fields.flag("strict"),
        extras=fields.left,
    )


def _tool_choice(config: Fields) -> ToolChoice | None:
    match config.left.get("toolChoice"):
        case {"auto": {}, **rest} if not rest:
            choice = ToolChoice(kind="auto")
        case {"any": {}, **rest} if not rest:
            choice = ToolChoice(kind="any")
        case {"tool": {"name": str(name), **inner}, **rest} if not rest and not inner:
            choice = ToolChoice(kind="tool", name=name)
        case _:
            return None
    del config.left["toolChoice"]
    return choice


def _output_format(fields: Fields) -> OutputFormat | None:
    """Structured output, whose schema Converse holds as JSON text."""
    match fields.left.get("outputConfig"):
        case {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": str(text), **named}, **a},
                **b,
            },
            **c,
        } if not (a or b or c):
            pass
        case _:
            return None
    try:
        schema = as_object(msgspec.json.decode(text))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    inner = Fields(named, "outputConfig.textFormat.structure.jsonSchema")
    if schema is None:
        return None
    del fields.left["outputConfig"]
    return OutputFormat(
        kind="json_schema",
        schema=schema,
        schema_text="" if dump_json(schema).decode() == text else text,
        name=inner.word("name"),
        description=inner.text("description"),
        extras=inner.left,
    )


def _service_tier(fields: Fields) -> str | None:
    match fields.left.get("serviceTier"):
        case {"type": str(tier), **rest} if tier and not rest:
            del fields.left["serviceTier"]
            return tier
        case _:
            return None
