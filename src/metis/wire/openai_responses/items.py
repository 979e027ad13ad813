"""Input and output items that are no messages' content: calls, results, reasoning, and messages as a whole.

Both directions of this shape's own words live here, for requests and answers alike. What another
shape's IR becomes is made in `crossing.py` and `output_items.py`.

Source: https://platform.openai.com/docs/api-reference/responses/object (output items).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from metis.errors import CodecError
from metis.ir.content import Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from metis.ir.request import Message
from metis.wire import carry
from metis.wire.losses import ENVELOPE, SAME_ITEM
from metis.wire.openai_responses.fields import (
    SHAPE,
    Json,
    as_list,
    as_object,
    kind_of,
    leftover,
    text_field,
    text_or_none,
    under,
)
from metis.wire.openai_responses.parts import (
    INPUT_TEXT,
    OUTPUT_TEXT,
    decode_part,
    decode_parts,
    encode_part,
)
from metis.wire.openai_responses.tools import TOOL_SEARCH, decode_tools

TOOL_SEARCH_CALL: Final = "tool_search_call"
TOOL_SEARCH_OUTPUT: Final = "tool_search_output"
# Extras of an answer's text parts: the message item they stood in, on its first part, and a mark on the others.

_ROLES: Final = frozenset({"system", "developer", "user", "assistant"})
_CALLS: Final = {"function_call": "function", "custom_tool_call": "custom"}
_RESULTS: Final = {"function_call_output": "function", "custom_tool_call_output": "custom"}
_CALL_TYPES: Final = {"function": "function_call", "custom": "custom_tool_call"}
_PARAGRAPH: Final = "\n\n"


def decode_item(raw: Json, where: str) -> Message:
    """One input item as its own Message. Raises CodecError where a known item lacks what makes it one."""
    kind = raw.get("type")
    if kind is not None and not isinstance(kind, str):
        raise CodecError(f"it must be a string, not {kind_of(kind)}", where=under(where, "type"))
    if kind is None and "role" not in raw:
        if isinstance(raw.get("id"), str):  # the API lets an item_reference leave its type out
            return _opaque("user", "item_reference", raw)
        raise CodecError("an input item needs a type or a role", where=where)
    if kind is None or kind == "message":
        return _decode_message(raw, where)
    if is_call(raw):
        return Message(role="assistant", parts=(decode_call(raw, where),))
    if kind in _RESULTS:
        return Message(role="tool", parts=(_decode_result(raw, _RESULTS[kind], where),))
    if kind == "reasoning":
        return Message(role="assistant", parts=(decode_reasoning(raw, where),))
    if kind == "additional_tools":
        tools = decode_tools(raw.get("tools"), under(where, "tools"))
        return msgspec.structs.replace(_opaque("developer", kind, raw), tools=tools)
    if kind == TOOL_SEARCH_OUTPUT and _is_client_search(raw):
        return _decode_found_tools(raw, where)
    return _opaque("user" if kind.endswith(("_output", "_response")) else "assistant", kind, raw)


def encode_item(message: Message) -> Json:
    """The item a Message of this shape's origin was, as `decode_item` got it."""
    last = message.parts[-1] if message.parts else None
    match last:
        case ToolCall() | ToolResult() | Thinking():
            return _encode_lone(last)
        case Opaque(kind=kind) if kind == TOOL_SEARCH_OUTPUT or len(message.parts) == 1:
            return last.value
        case _:
            return _encode_message(message)


def is_call(raw: Json) -> bool:
    """Whether an item is a call that the client must run, as far as this shape's IR knows them."""
    return raw.get("type") in _CALLS or (
        raw.get("type") == TOOL_SEARCH_CALL and "arguments" in raw and _is_client_search(raw)
    )


def decode_call(raw: Json, where: str, *, started: bool = False) -> ToolCall:
    """A call the client must run. `started`: a stream's first sight of it, whose arguments may be missing."""
    kind = raw["type"]
    call_id = text_field(raw, "call_id", where)
    item_id = text_or_none(raw, "id", where)
    if kind == TOOL_SEARCH_CALL:
        arguments = msgspec.json.encode(raw.get("arguments")).decode()
        kept = ("call_id", "arguments") if item_id is None else ("call_id", "arguments", "id")
        return ToolCall(
            call_id=call_id,
            name=TOOL_SEARCH,
            arguments="" if started else arguments,
            item_id=item_id,
            extras={key: value for key, value in raw.items() if key not in kept},
        )
    field = "arguments" if kind == "function_call" else "input"
    said = text_or_none(raw, field, where) if started else text_field(raw, field, where)
    call = ToolCall(
        call_id=call_id,
        name=text_field(raw, "name", where),
        arguments=said or "",
        kind=_CALLS[kind],  # pyright: ignore[reportArgumentType]  # a value of the table
        namespace=text_or_none(raw, "namespace", where) or "",
        item_id=item_id,
    )
    return msgspec.structs.replace(call, extras=leftover(raw, encode_call(call)))


def encode_call(call: ToolCall) -> Json:
    """A call of this shape's origin, as it came."""
    if call.extras.get("type") == TOOL_SEARCH_CALL:
        encoded: Json = {**call.extras, "call_id": call.call_id}
        encoded["arguments"] = json_or_text(call.arguments)
        if call.item_id is not None:
            encoded["id"] = call.item_id
        return encoded
    encoded = {"type": _CALL_TYPES[call.kind], "call_id": call.call_id, "name": call.name}
    encoded["arguments" if call.kind == "function" else "input"] = call.arguments
    if call.namespace:
        encoded["namespace"] = call.namespace
    if call.item_id is not None:
        encoded["id"] = call.item_id
    return {**encoded, **call.extras}


def decode_reasoning(raw: Json, where: str) -> Thinking:
    """A reasoning item; one that carries another shape's signature becomes what that shape said."""
    summary = _texts(raw.get("summary"), "summary_text", under(where, "summary"))
    content = _texts(raw.get("content"), "reasoning_text", under(where, "content"))
    thinking = Thinking(
        text=_PARAGRAPH.join(content or summary),
        signature=text_or_none(raw, "encrypted_content", where),
        origin=SHAPE,
        item_id=text_or_none(raw, "id", where),
        summary=not content,
        summary_parts=summary,
    )
    unwrapped = carry.unwrap(thinking.signature or "", thinking)
    if unwrapped is not None:
        return unwrapped
    return msgspec.structs.replace(thinking, extras=leftover(raw, encode_reasoning(thinking)))


def encode_reasoning(thinking: Thinking) -> Json:
    """A reasoning item of this shape's origin, as it came."""
    encoded: Json = {
        "type": "reasoning",
    }
    if thinking.summary_parts:
        encoded["summary"] = summary_of(thinking.summary_parts)
    if thinking.item_id is not None:
        encoded["id"] = thinking.item_id
    if not thinking.summary:
        encoded["content"] = [{"type": "reasoning_text", "text": thinking.text}]
    if thinking.signature is not None:
        encoded["encrypted_content"] = thinking.signature
    return {**encoded, **thinking.extras}


def summary_of(texts: tuple[str, ...]) -> list[Json]:
    return [{"type": "summary_text", "text": text} for text in texts]


def decode_output_item(raw: Any, where: str) -> tuple[Part, ...]:
    """The parts one item of an answer stands for: several for a message, else one."""
    item = as_object(raw, where)
    kind = text_field(item, "type", where)
    if kind == "message":
        return _decode_output_message(item, where)
    if is_call(item):
        return (decode_call(item, where),)
    if kind == "reasoning":
        return (decode_reasoning(item, where),)
    return (Opaque(shape=SHAPE, kind=kind, value=item),)


def encode_output(parts: tuple[Part, ...]) -> list[Json]:
    """The items of an answer of this shape's origin; texts go back into the messages they came in."""
    items: list[Json] = []
    content: list[Json] = []
    for part in parts:
        if not isinstance(part, Text | Refusal):
            items.append(_encode_lone(part))
            continue
        if not part.extras.get(SAME_ITEM):
            content = []
            envelope: Json = part.extras.get(ENVELOPE) or {}
            items.append({"type": "message", "role": "assistant", **envelope, "content": content})
        own = {key: value for key, value in part.extras.items() if key not in (ENVELOPE, SAME_ITEM)}
        content.append(encode_part(msgspec.structs.replace(part, extras=own), OUTPUT_TEXT))
    return items


def envelope_of(item: Json) -> Json:
    """A message item's own fields, without its content and the two that are always the same."""
    return {
        key: value
        for key, value in item.items()
        if key not in ("type", "content") and (key, value) != ("role", "assistant")
    }


def decode_content(raw: Json, item: Json, index: int, where: str) -> Part:
    """One content part of an answer's message, marked with the item it stands in."""
    part = decode_part(raw, where, OUTPUT_TEXT)
    mark: Json = {SAME_ITEM: True} if index else {ENVELOPE: envelope_of(item)}
    return msgspec.structs.replace(part, extras={**part.extras, **mark})


def json_or_text(text: str) -> Any:
    """What `text` says as JSON, or the text itself where it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _decode_output_message(item: Json, where: str) -> tuple[Part, ...]:
    content = item.get("content")
    whole = (Opaque(shape=SHAPE, kind="message", value=item),)
    if not content:
        return whole
    where = under(where, "content")
    parts = tuple(
        decode_content(as_object(raw, f"{where}[{index}]"), item, index, f"{where}[{index}]")
        for index, raw in enumerate(as_list(content, where))
    )
    return parts if all(isinstance(part, Text | Refusal) for part in parts) else whole


def _decode_message(raw: Json, where: str) -> Message:
    role, content = raw.get("role"), raw.get("content")
    if not isinstance(role, str):
        raise CodecError(f"it must be a string, not {kind_of(role)}", where=under(where, "role"))
    if role not in _ROLES or content is None:
        return _opaque("assistant" if role == "assistant" else "user", "message", raw)
    text_type = _text_type(role)
    text_form = isinstance(content, str)
    parts: tuple[Part, ...] = (
        (Text(text=content),)
        if isinstance(content, str)
        else decode_parts(content, under(where, "content"), text_type)
    )
    if len(parts) == 1 and isinstance(parts[0], Opaque):  # a lone Opaque stands for a whole item
        return _opaque(role, "message", raw)
    message = Message(
        role=role,  # pyright: ignore[reportArgumentType]  # checked against the four roles
        parts=parts,
        text_form=text_form,
        untyped="type" not in raw,
    )
    return msgspec.structs.replace(message, extras=leftover(raw, _encode_message(message)))


def _encode_message(message: Message) -> Json:
    encoded: Json = {} if message.untyped else {"type": "message"}
    encoded["role"] = message.role
    first = message.parts[0] if message.parts else None
    if message.text_form and isinstance(first, Text):
        encoded["content"] = first.text
    else:
        text_type = _text_type(message.role)
        encoded["content"] = [encode_part(part, text_type) for part in message.parts]
    return {**encoded, **message.extras}


def _decode_result(raw: Json, kind: str, where: str) -> ToolResult:
    output = raw.get("output")
    content: tuple[Part, ...] = ()
    if isinstance(output, str):
        content = (Text(text=output),)
    elif output is not None:
        content = decode_parts(output, under(where, "output"), INPUT_TEXT)
    elif "output" not in raw:
        raise CodecError("a required field is missing", where=under(where, "output"))
    result = ToolResult(
        call_id=text_field(raw, "call_id", where),
        content=content,
        as_text=isinstance(output, str),
        kind=kind,  # pyright: ignore[reportArgumentType]  # a value of the table
        item_id=text_or_none(raw, "id", where),
    )
    return msgspec.structs.replace(result, extras=leftover(raw, _encode_result(result)))


def _encode_result(result: ToolResult) -> Json:
    first = result.content[0] if result.content else None
    output: Any = [encode_part(part, INPUT_TEXT) for part in result.content]
    if result.as_text and isinstance(first, Text):
        output = first.text
    encoded: Json = {
        "type": f"{_CALL_TYPES[result.kind]}_output",
        "call_id": result.call_id,
        "output": output,
    }
    if result.item_id is not None:
        encoded["id"] = result.item_id
    return {**encoded, **result.extras}


def _decode_found_tools(raw: Json, where: str) -> Message:
    """What the client's tool search found: a result for the model to read, and tools it may now call."""
    tools = decode_tools(raw.get("tools"), under(where, "tools"))
    names = ", ".join(tool.name for tool in tools) or "none"
    result = ToolResult(
        call_id=text_field(raw, "call_id", where),
        content=(Text(text=f"Tools found: {names}"),),
        as_text=True,
        name=TOOL_SEARCH,
    )
    whole = Opaque(shape=SHAPE, kind=TOOL_SEARCH_OUTPUT, value=raw)
    return Message(role="tool", parts=(result, whole), tools=tools)


def _encode_lone(part: Part) -> Json:
    match part:
        case ToolCall():
            return encode_call(part)
        case ToolResult():
            return _encode_result(part)
        case Thinking():
            return encode_reasoning(part)
        case Opaque():
            return part.value
        case _:
            raise CodecError(f"a {type(part).__name__} is no item of its own")


def _is_client_search(raw: Json) -> bool:
    return raw.get("execution") == "client" and isinstance(raw.get("call_id"), str)


def _opaque(role: Any, kind: str, raw: Json) -> Message:
    return Message(role=role, parts=(Opaque(shape=SHAPE, kind=kind, value=raw),))


def _texts(raw: Any, kind: str, where: str) -> tuple[str, ...]:
    """The texts of a summary or content list; entries of another kind are left to the extras."""
    if raw is None:
        return ()
    entries = (
        as_object(entry, f"{where}[{index}]") for index, entry in enumerate(as_list(raw, where))
    )
    return tuple(
        entry["text"]
        for entry in entries
        if entry.get("type") == kind and isinstance(entry.get("text"), str)
    )


def _text_type(role: Any) -> str:
    return OUTPUT_TEXT if role == "assistant" else INPUT_TEXT
