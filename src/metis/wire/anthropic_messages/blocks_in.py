"""Content blocks into IR parts. Messages and whole requests are not known here.

A block whose form is not exactly one of the known ones becomes an Opaque part and rides as it came.
Empty lists and nulls stay among a part's extras, so that they go out again as they were.
Source: platform.claude.com/docs/en/api/messages (content block types).
"""

from __future__ import annotations

from typing import Any

from metis.errors import CodecError
from metis.ir.content import CacheMark, Media, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from metis.wire import carry
from metis.wire.anthropic_messages.name import NAME
from metis.wire.codec import FOREIGN_SIGNATURE
from metis.wire.fields import (
    Fields,
    Json,
    as_list,
    as_object,
    dump_json,
    kind_of,
)

# Blocks inside blocks: tool result, document, its content. Anything deeper rides opaque.
MAX_DEPTH = 4


def read_content(value: object, where: str, depth: int = 0) -> tuple[tuple[Part, ...], bool]:
    """Read `content`: the parts, and whether it was one bare string."""
    if isinstance(value, str):
        return (Text(text=value),), True
    blocks = as_list(value)
    if blocks is None:
        raise CodecError(f"must be a string or a list of blocks, not {kind_of(value)}", where=where)
    return read_blocks(blocks, where, depth), False


def read_blocks(blocks: list[Any], where: str, depth: int = 0) -> tuple[Part, ...]:
    return tuple(
        read_block(block, f"{where}[{index}]", depth) for index, block in enumerate(blocks)
    )


def read_block(value: object, where: str, depth: int = 0) -> Part:
    """Read one block. Raises CodecError when it is no object, has no type, or a known field has a wrong type."""
    fields = Fields(value, where)
    kind = fields.required_text("type")
    match kind:
        case "text":
            return _text(fields)
        case "thinking":
            return _thinking(fields)
        case "redacted_thinking":
            return _redacted(fields)
        case "tool_use":
            return _tool_use(fields)
        case "tool_result" if depth < MAX_DEPTH:
            return _tool_result(fields, depth)
        case "image" | "document" if depth < MAX_DEPTH:
            return _media(fields, kind, depth)
        case _:
            return opaque(value, kind)


def opaque(value: object, kind: str) -> Opaque:
    return Opaque(shape=NAME, kind=kind, value=as_object(value) or {})


def read_cache(fields: Fields) -> CacheMark | None:
    """Take `cache_control` out when it is an ephemeral mark; any other form stays among the extras."""
    mark = as_object(fields.left.get("cache_control"))
    if mark is None or mark.get("type") != "ephemeral":
        return None
    ttl = mark.get("ttl", "")
    if not isinstance(ttl, str) or ("ttl" in mark and not ttl):
        return None
    del fields.left["cache_control"]
    extras = {key: value for key, value in mark.items() if key not in ("type", "ttl")}
    return CacheMark(ttl=ttl, extras=extras)


def _text(fields: Fields) -> Text:
    text = fields.required_text("text")
    found = as_list(fields.left.get("citations")) or []
    citations = tuple(citation for item in found if (citation := as_object(item)) is not None)
    if citations and len(citations) == len(found):
        del fields.left["citations"]
    else:
        citations = ()
    return Text(text=text, citations=citations, cache=read_cache(fields), extras=fields.left)


def _thinking(fields: Fields) -> Thinking:
    thinking = Thinking(
        text=fields.required_text("thinking"),
        signature=fields.text("signature"),
        origin=NAME,
        cache=read_cache(fields),
        extras=fields.left,
    )
    return _owned(thinking)


def _redacted(fields: Fields) -> Thinking:
    thinking = Thinking(
        signature=fields.required_text("data"),
        redacted=True,
        origin=NAME,
        cache=read_cache(fields),
        extras=fields.left,
    )
    return _owned(thinking)


def _owned(thinking: Thinking) -> Thinking:
    """Give a block that another shape's reasoning travelled in back to that shape."""
    if thinking.signature is None or not thinking.signature.startswith(FOREIGN_SIGNATURE):
        return thinking
    unwrapped = carry.unwrap(thinking.signature, thinking)
    # A wrapping that cannot be read belongs to nobody: no shape will send it.
    return unwrapped or Thinking(text=thinking.text, origin="")


def _tool_use(fields: Fields) -> ToolCall:
    if "input" not in fields.left:
        raise CodecError("is missing; it must be an object", where=fields.path("input"))
    return ToolCall(
        call_id=fields.required_text("id"),
        name=fields.required_text("name"),
        arguments=dump_json(fields.left.pop("input")).decode(),
        cache=read_cache(fields),
        extras=fields.left,
    )


def _tool_result(fields: Fields, depth: int) -> ToolResult:
    content: tuple[Part, ...] = ()
    as_text = False
    value = fields.left.get("content")
    if value is not None and value != []:
        content, as_text = read_content(value, fields.path("content"), depth + 1)
        del fields.left["content"]
    return ToolResult(
        call_id=fields.required_text("tool_use_id"),
        content=content,
        as_text=as_text,
        is_error=fields.flag("is_error"),
        cache=read_cache(fields),
        extras=fields.left,
    )


def _media(fields: Fields, kind: str, depth: int) -> Part:
    """Read an image or document; a source of another form than the documented ones makes it Opaque."""
    whole = {"type": kind, **fields.left}
    source = as_object(fields.left.get("source"))
    if source is None:
        raise CodecError(
            f"must be an object, not {kind_of(fields.left.get('source'))}",
            where=fields.path("source"),
        )
    known = _source(source, f"{fields.where}.source", depth)
    if known is None:
        return opaque(whole, kind)
    del fields.left["source"]
    citations: bool | None = None
    if kind == "document":
        asked = as_object(fields.left.get("citations"))
        if asked is not None and set(asked) == {"enabled"} and isinstance(asked["enabled"], bool):
            citations = asked["enabled"]
            del fields.left["citations"]
    return Media(
        kind="image" if kind == "image" else "document",
        title=fields.text("title") if kind == "document" else None,
        context=fields.text("context") if kind == "document" else None,
        citations_enabled=citations,
        cache=read_cache(fields),
        extras=fields.left,
        **known,
    )


def _source(source: Json, where: str, depth: int) -> Json | None:
    """The source as Media's fields, None when it is of another form than the documented ones."""
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            known, size = {"media_type": media_type, "data": data}, 3
        case {"type": "text", "media_type": str(media_type), "data": str(data)}:
            known, size = {"media_type": media_type, "text": data}, 3
        case {"type": "url", "url": str(url)}:
            known, size = {"url": url}, 2
        case {"type": "file", "file_id": str(file_id)}:
            known, size = {"file_id": file_id}, 2
        case {"type": "content", "content": [*blocks]}:
            known, size = {"parts": read_blocks(blocks, f"{where}.content", depth + 1)}, 2
        case _:
            return None
    return known if len(source) == size else None
