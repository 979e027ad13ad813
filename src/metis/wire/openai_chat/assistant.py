"""An assistant's message, the same object in a request's history and in an answer, to IR parts and back.

Part order is: reasoning, content, the `refusal` field, tool calls. `text_form` False means the content
stood as a list or null, True that it was a string, or absent when there is no text at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from metis.errors import CodecError
from metis.ir.content import CacheMark, Opaque, Part, Refusal, Text, Thinking, ToolCall
from metis.wire.openai_chat.fields import Fields, Object, kind_of
from metis.wire.openai_chat.functions import LEGACY_CALL, decode_call, decode_legacy_call, own_call
from metis.wire.openai_chat.parts import SHAPE, decode_part, own_part
from metis.wire.openai_chat.reasoning import block_of, decode_block, speak, take_reasoning


def decode_assistant(
    fields: Fields, *, strict: bool = True, number: int = 0
) -> tuple[tuple[Part, ...], bool]:
    """(parts, text_form) of a message; what is left over stays in `fields.rest`.

    `number` is the message's place, for the ids of deprecated calls. Raises CodecError when strict.
    """
    parts: list[Part] = list(take_reasoning(fields))
    content, text_form = decode_content(fields, strict=strict)
    refusal = fields.filled_text("refusal")
    if refusal is not None:
        content.append(Refusal(text=refusal))
    _attach_annotations(fields, content)
    parts += content
    calls = fields.listing("tool_calls")
    if calls is not None:
        where = fields.path("tool_calls")
        try:
            parts += [
                decode_call(call, f"{where}[{index}]", strict=strict)
                for index, call in enumerate(calls)
            ]
        except CodecError:
            if strict:
                raise
            fields.rest["tool_calls"] = calls
    legacy = fields.rest.get("function_call")
    if isinstance(legacy, dict) and cast(Object, legacy).get("name"):
        parts.append(decode_legacy_call(fields.rest.pop("function_call"), number))
    return tuple(parts), text_form


def decode_content(fields: Fields, *, strict: bool = True) -> tuple[list[Part], bool]:
    """(parts, text_form) of a `content` field. An empty list stays in `rest`. Raises CodecError."""
    if "content" not in fields.rest:
        return [], True
    content: object = fields.rest["content"]
    if content is None:
        del fields.rest["content"]
        return [], False
    if isinstance(content, str):
        del fields.rest["content"]
        return [Text(text=content)], True
    if not isinstance(content, list):
        if strict:
            raise CodecError(
                f"expected a string or a list of parts, got {kind_of(content)}",
                where=fields.path("content"),
            )
        return [], False
    entries = cast(list[object], content)
    where = fields.path("content")
    parts = [
        _content_part(value, f"{where}[{i}]", strict=strict) for i, value in enumerate(entries)
    ]
    if parts:
        del fields.rest["content"]
    return parts, False


def _content_part(value: object, where: str, *, strict: bool) -> Part:
    if not isinstance(value, dict):
        raise CodecError(f"expected an object, got {kind_of(value)}", where=where)
    block = cast(Object, value)
    if block.get("type") == "thinking":
        thinking = decode_block(block)
        if thinking is not None:
            return thinking
    try:
        return decode_part(block, where)
    except CodecError:
        if strict:
            raise
        return Opaque(shape=SHAPE, kind="unknown", value=block)


def _attach_annotations(fields: Fields, content: list[Part]) -> None:
    """Hang url citations on the last text; without a text they stay in `rest`."""
    annotations = fields.rest.get("annotations")
    if not isinstance(annotations, list) or not annotations:
        return
    entries = cast(list[Any], annotations)
    if not all(isinstance(entry, dict) for entry in entries):
        return
    for index in range(len(content) - 1, -1, -1):
        part = content[index]
        if isinstance(part, Text):
            content[index] = msgspec.structs.replace(part, citations=tuple(entries))
            del fields.rest["annotations"]
            return


def own_assistant(parts: Sequence[Part], *, text_form: bool, extras: Object) -> Object:
    """The message object as it came: the reverse of `decode_assistant`."""
    out: Object = {}
    put_content(out, [part for part in parts if _in_content(part)], text_form=text_form)
    speak([part for part in parts if isinstance(part, Thinking)]).into(out)
    calls: list[Object] = []
    annotations: list[Object] = []
    for part in parts:
        match part:
            case Refusal(text=text) if "type" not in part.extras:
                out["refusal"] = text
            case Text(citations=citations):
                annotations += citations
            case ToolCall() if part.call_id.startswith(LEGACY_CALL):
                function = {"name": part.name, "arguments": part.arguments}
                out["function_call"] = {**function, **part.extras}
            case ToolCall():
                calls.append(own_call(part))
            case _:
                pass
    if annotations:
        out["annotations"] = annotations
    if calls:
        out["tool_calls"] = calls
    return {**out, **extras}


def _in_content(part: Part) -> bool:
    match part:
        case ToolCall():
            return False
        case Thinking():
            return block_of(part) is not None
        case Refusal():
            return "type" in part.extras
        case _:
            return True


def put_content(out: Object, parts: Sequence[Part], *, text_form: bool) -> CacheMark | None:
    """Write `content` in the form it came in; the marker of a string's text is returned, not written."""
    first = parts[0] if parts else None
    if text_form and len(parts) == 1 and isinstance(first, Text):
        out["content"] = first.text
        return first.cache
    if parts:
        out["content"] = [
            (block_of(part) if isinstance(part, Thinking) else None) or own_part(part)
            for part in parts
        ]
    elif not text_form:
        out["content"] = None
    return None
