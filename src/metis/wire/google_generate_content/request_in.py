"""A generateContent request into IR. Every field the IR has no place for stays among its node's extras.

The model and the wish for a stream are in the path; some clients name the model in the body as well. Thinking and
output formats stay as they came: no client is served in this shape, so nothing but its own encoder reads them.
Source: ai.google.dev/api/generate-content.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from metis.errors import CodecError
from metis.ir.content import Part
from metis.ir.request import Message, Request, Tool, ToolChoice
from metis.wire.fields import Fields, Json, as_list, as_object, kind_of, load_json
from metis.wire.google_generate_content.name import NAME
from metis.wire.google_generate_content.parts_in import read_parts
from metis.wire.google_generate_content.spelling import read_object

ROLES: Final[dict[str, Literal["user", "assistant", "tool"]]] = {
    "user": "user",
    "model": "assistant",
    "function": "tool",
}


def decode_request(body: bytes) -> Request:
    """Decode a request body. Raises CodecError, naming the JSON path, on what no such request can hold."""
    fields = read_object(load_json(body), "")
    config = _inner(fields, "generationConfig")
    limits: Json = {
        "max_tokens": config.whole("maxOutputTokens"),
        "temperature": config.number("temperature"),
        "top_p": config.number("topP"),
        "top_k": _whole(config, "topK"),
        "seed": config.whole("seed"),
        "stop": _stop(config),
    }
    fields.keep("generationConfig", config)
    return Request(
        origin=NAME,
        model=fields.word("model"),
        messages=_messages(fields),
        system=_system(fields),
        tools=_tools(fields),
        tool_choice=_tool_choice(fields),
        extras=fields.left,
        **limits,
    )


def _inner(fields: Fields, key: str) -> Fields:
    """A field that is an object, to be read; it stays in `fields` until `keep` says what is left of it."""
    value = fields.left.get(key)
    return read_object({} if value is None else value, fields.path(key))


def _whole(config: Fields, key: str) -> int | None:
    """A whole number; clients that write 40.0 keep it so."""
    value = config.left.get(key)
    return config.whole(key) if isinstance(value, int) else None


def _stop(config: Fields) -> tuple[str, ...]:
    values = config.list("stopSequences")
    for index, value in enumerate(values or ()):
        if not isinstance(value, str):
            where = config.path(f"stopSequences[{index}]")
            raise CodecError(f"must be a string, not {kind_of(value)}", where=where)
    if values == []:
        config.left["stopSequences"] = values
    return tuple(values or ())


def _messages(fields: Fields) -> tuple[Message, ...]:
    values = fields.required_list("contents")
    return tuple(_message(value, f"contents[{index}]") for index, value in enumerate(values))


def _message(value: Any, where: str) -> Message:
    """One content. A role that is absent, or none of the known ones, stays among the extras: null, or as it came."""
    fields = read_object(value, where)
    role = fields.left.get("role")
    known = ROLES.get(role) if isinstance(role, str) else None
    if known is not None:
        del fields.left["role"]
    else:
        fields.left.setdefault("role", None)
    parts = read_parts(fields.required_list("parts"), fields.path("parts"))
    return Message(role=known or "user", parts=parts, extras=fields.left)


def _system(fields: Fields) -> tuple[Part, ...]:
    instruction = as_object(fields.left.get("systemInstruction"))
    values = as_list((instruction or {}).get("parts"))
    if instruction is None or not values:
        return ()
    parts = read_parts(values, "systemInstruction.parts")
    left = {name: value for name, value in instruction.items() if name != "parts"}
    fields.left["systemInstruction"] = left
    return parts


def _tools(fields: Fields) -> tuple[Tool, ...]:
    """The first list of functions, each a tool; whatever else stands here rides as it came."""
    values = fields.list("tools")
    if values == []:
        fields.left["tools"] = values
    tools: list[Tool] = []
    opened = False
    for index, value in enumerate(values or ()):
        whole = Fields(value, f"tools[{index}]").left
        listed = as_list(whole.get("functionDeclarations")) if len(whole) == 1 else None
        if listed and not opened:
            opened = True
            where = f"tools[{index}].functionDeclarations"
            tools += [_function(one, f"{where}[{place}]") for place, one in enumerate(listed)]
        else:
            kind = next(iter(whole), "empty")
            tools.append(Tool(kind="server", name=kind, raw=whole, shape=NAME))
    return tuple(tools)


def _function(value: Any, where: str) -> Tool:
    """One declaration; `parameters` is a schema in Google's own dialect, and stays as it came."""
    fields = read_object(value, where)
    return Tool(
        kind="function",
        name=fields.required_text("name"),
        description=fields.text("description"),
        input_schema=fields.object("parametersJsonSchema"),
        extras=fields.left,
    )


def _tool_choice(fields: Fields) -> ToolChoice | None:
    match fields.left.get("toolConfig"):
        case {"functionCallingConfig": {"mode": "AUTO", **inner}, **rest} if not rest and not inner:
            choice = ToolChoice(kind="auto")
        case {"functionCallingConfig": {"mode": "ANY", **inner}, **rest} if not rest and not inner:
            choice = ToolChoice(kind="any")
        case {"functionCallingConfig": {"mode": "NONE", **inner}, **rest} if not rest and not inner:
            choice = ToolChoice(kind="none")
        case {
            "functionCallingConfig": {
                "mode": "ANY",
                "allowedFunctionNames": [str(name)],
                **inner,
            },
            **rest,
        } if not rest and not inner:
            choice = ToolChoice(kind="tool", name=name)
        case _:
            return None
    del fields.left["toolConfig"]
    return choice
