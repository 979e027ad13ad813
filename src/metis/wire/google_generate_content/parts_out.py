"""IR parts into Gemini's parts, as they came: for parts of this shape and whatever can be said here.

What must be cleaned first of another shape's parts is `foreign`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable

from metis.ir.content import (
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from metis.wire.arguments import input_of
from metis.wire.fields import Json, load_json
from metis.wire.google_generate_content.name import SIGNATURE
from metis.wire.google_generate_content.parts_in import ON_EMPTY, was_made
from metis.wire.google_generate_content.spelling import inner_object, respelt

_INNER = ("functionCall", "functionResponse", "inlineData", "fileData")


def own_parts(parts: Iterable[Part]) -> list[Json]:
    """The parts of some IR parts, each signature on the part behind it."""
    out: list[Json] = []
    waiting: str | None = None
    for part in parts:
        if isinstance(part, Thinking) and part.item_id is not None and part.item_id != ON_EMPTY:
            if waiting is not None:
                out.append({"text": "", SIGNATURE: waiting})
            waiting = part.signature
            continue
        out.append(own_part(part, waiting))
        waiting = None
    if waiting is not None:
        out.append({"text": "", SIGNATURE: waiting})
    return out


def own_part(part: Part, signature: str | None = None) -> Json:
    """One part; `signature` is what stands on it."""
    if isinstance(part, Opaque):
        return dict(part.value)
    made = _made(part)
    if signature is not None:
        made[SIGNATURE] = signature
    beside = {name: value for name, value in part.extras.items() if name not in _INNER}
    return respelt({**made, **beside})


def _made(part: Part) -> Json:
    match part:
        case Text() | Refusal():
            return {"text": part.text}
        case Thinking():
            thought: Json = {"text": part.text}
            if part.item_id is None:
                thought["thought"] = True
            if part.signature is not None:
                thought[SIGNATURE] = part.signature
            return thought
        case ToolCall():
            return {"functionCall": _call(part)}
        case ToolResult():
            return {"functionResponse": _result(part)}
        case Media():
            return _media(part)
        case Opaque():
            return {}


def _call(part: ToolCall) -> Json:
    call: Json = {"name": part.name}
    if part.arguments:
        call["args"] = input_of(part)[0]
    if not was_made(part.call_id):
        call["id"] = part.call_id
    return respelt({**call, **inner_object(part.extras, "functionCall")})


def _result(part: ToolResult) -> Json:
    result: Json = {"name": part.name}
    for item in part.content:
        if isinstance(item, Text) and item.json:
            result["response"] = load_json(item.text.encode())
    if part.call_id:
        result["id"] = part.call_id
    return respelt({**result, **inner_object(part.extras, "functionResponse")})


def _media(part: Media) -> Json:
    name, field, held = "inlineData", "data", part.data
    if part.url is not None:
        name, field, held = "fileData", "fileUri", part.url
    inner: Json = {"mimeType": part.media_type} if part.media_type else {}
    inner[field] = held
    return {name: respelt({**inner, **inner_object(part.extras, name)})}
