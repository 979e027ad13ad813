"""Converse's content blocks into IR parts. Messages and whole requests are not known here.

A block is an object with one field, whose name is its kind. One whose form is not exactly a known one becomes an
Opaque part and rides as it came. A cache point stands in the list behind what it marks; in the IR it is a mark on that.
Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, cast

import msgspec

from metis.errors import CodecError
from metis.ir.content import CacheMark, Media, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from metis.wire import carry
from metis.wire.bedrock_converse.formats import MediaKind, media_type_of
from metis.wire.bedrock_converse.name import CLAUDE, NAME
from metis.wire.codec import FOREIGN_SIGNATURE
from metis.wire.fields import Fields, Json, as_list, as_object, dump_json

# Blocks inside blocks: a tool's result, a document in it, its content. Anything deeper rides opaque.
MAX_DEPTH: Final = 4
_MEDIA: Final[dict[str, MediaKind]] = {
    "image": "image",
    "document": "document",
    "video": "video",
    "audio": "audio",
}


def read_blocks(blocks: list[Any], where: str, depth: int = 0) -> tuple[Part, ...]:
    """Read a list of blocks, each cache point as a mark on the part before it. Raises CodecError."""
    parts: list[Part] = []
    for index, value in enumerate(blocks):
        path = f"{where}[{index}]"
        mark = cache_mark(value)
        if mark is not None and parts and parts[-1].cache is None:
            parts[-1] = msgspec.structs.replace(parts[-1], cache=mark)
        else:
            parts.append(read_block(value, path, depth))
    return tuple(parts)


def cache_mark(value: object) -> CacheMark | None:
    """The mark that a cache point is, where it has the documented form and stands alone."""
    block = as_object(value) or {}
    point = as_object(block.get("cachePoint"))
    if len(block) != 1 or point is None or point.get("type") != "default":
        return None
    ttl = point.get("ttl", "")
    if not isinstance(ttl, str) or ("ttl" in point and not ttl):
        return None
    extras = {key: inner for key, inner in point.items() if key not in ("type", "ttl")}
    return CacheMark(ttl=ttl, extras=extras)


def read_block(value: object, where: str, depth: int = 0) -> Part:
    """Read one block. Raises CodecError when it is no object or a known field has a wrong type."""
    block = Fields(value, where).left
    if len(block) == 1:
        [(kind, inner)] = block.items()
        part = _known(kind, inner, f"{where}.{kind}", depth)
        if part is not None:
            return part
    return Opaque(shape=NAME, kind=next(iter(block), "empty"), value=block)


def _known(kind: str, inner: object, where: str, depth: int) -> Part | None:
    match kind:
        case "text" if isinstance(inner, str):
            return Text(text=inner)
        case "json" if depth:
            return Text(text=dump_json(inner).decode(), json=True)
        case "toolUse":
            return _tool_use(Fields(inner, where))
        case "toolResult" if depth < MAX_DEPTH:
            return _tool_result(Fields(inner, where), depth)
        case "reasoningContent":
            return _reasoning(as_object(inner) or {})
        case "citationsContent":
            return _cited(as_object(inner) or {})
        case "image" | "document" | "video" | "audio" if depth < MAX_DEPTH:
            return _media(_MEDIA[kind], Fields(inner, where), depth)
        case _:
            return None


def _tool_use(fields: Fields) -> ToolCall:
    if "input" not in fields.left:
        raise CodecError("is missing; it must be an object", where=fields.path("input"))
    return ToolCall(
        call_id=fields.required_text("toolUseId"),
        name=fields.required_text("name"),
        arguments=dump_json(fields.left.pop("input")).decode(),
        extras=fields.left,
    )


_ERRORS: Final = {"error": True, "success": False}


def _tool_result(fields: Fields, depth: int) -> ToolResult:
    content = read_blocks(fields.required_list("content"), fields.path("content"), depth + 1)
    status = fields.left.get("status")
    is_error = _ERRORS.get(status) if isinstance(status, str) else None
    if is_error is not None:
        del fields.left["status"]
    return ToolResult(
        call_id=fields.required_text("toolUseId"),
        content=content,
        is_error=is_error,
        extras=fields.left,
    )


def _reasoning(inner: Json) -> Thinking | None:
    if len(inner) != 1:
        return None
    match inner:
        case {"reasoningText": {"text": str(text), **left}}:
            signature = left.pop("signature", None)
            if left or not (signature is None or isinstance(signature, str)):
                return None
            origin = NAME if signature is None else CLAUDE
            return owned(Thinking(text=text, signature=signature, origin=origin))
        case {"redactedContent": str(packed)}:
            data = redacted_data(packed)
            return data and owned(Thinking(signature=data, redacted=True, origin=CLAUDE))
        case _:
            return None


def redacted_data(packed: str) -> Any:
    """What Anthropic's API calls `data`: Converse wraps it in base64. None where it is no wrapped text."""
    try:
        data = base64.b64decode(packed, validate=True)
        text = data.decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return text if base64.b64encode(data).decode() == packed else None


def owned(thinking: Thinking) -> Thinking:
    """Give a block that another shape's reasoning travelled in back to that shape."""
    if thinking.signature is None or not thinking.signature.startswith(FOREIGN_SIGNATURE):
        return thinking
    # A wrapping that cannot be read belongs to nobody: no shape will send it.
    return carry.unwrap(thinking.signature, thinking) or Thinking(text=thinking.text, origin="")


def _cited(inner: Json) -> Text | None:
    match inner:
        case {"content": [{"text": str(text)}], "citations": [_, *_] as found, **left}:
            citations = tuple(one for item in cast(list[Any], found) if (one := as_object(item)))
            content = as_object(cast(list[Any], inner["content"])[0]) or {}
            if not left and len(content) == 1 and len(citations) == len(cast(list[Any], found)):
                return Text(text=text, citations=citations)
        case _:
            pass
    return None


def _media(kind: MediaKind, fields: Fields, depth: int) -> Media | None:
    """Read a file; a source or format of another form than the documented ones makes it opaque."""
    source = as_object(fields.left.get("source")) or {}
    known = _source(source, f"{fields.where}.source", kind, depth) if len(source) == 1 else None
    word = fields.left.get("format", "")
    media_type = media_type_of(kind, word) if isinstance(word, str) and word else ""
    if known is None or media_type is None or ("format" in fields.left and not media_type):
        return None
    del fields.left["source"]
    fields.left.pop("format", None)
    citations: bool | None = None
    asked = as_object(fields.left.get("citations"))
    if asked is not None and set(asked) == {"enabled"} and isinstance(asked["enabled"], bool):
        citations = asked["enabled"]
        del fields.left["citations"]
    return Media(
        kind=kind,
        media_type=media_type,
        title=fields.text("name"),
        context=fields.text("context"),
        citations_enabled=citations,
        extras=fields.left,
        **known,
    )


def _source(source: Json, where: str, kind: MediaKind, depth: int) -> Json | None:
    match source:
        case {"bytes": str(data)}:
            return {"data": data}
        case {"s3Location": {"uri": str(uri), **left}} if not left:
            return {"url": uri}
        case {"text": str(text)} if kind == "document":
            return {"text": text}
        case {"content": [*_] as blocks} if kind == "document":
            found = as_list(blocks) or []
            return {"parts": read_blocks(found, f"{where}.content", depth + 1)}
        case _:
            return None
