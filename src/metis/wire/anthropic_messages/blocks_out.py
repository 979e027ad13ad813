"""IR parts into content blocks: exactly as they came for parts of this shape, cleaned of the rest for others.

Which message a block goes into is decided in `wire.turns`.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from metis.errors import CodecError
from metis.ir.content import (
    CacheMark,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from metis.wire.anthropic_messages.name import NAME
from metis.wire.arguments import input_of
from metis.wire.fields import Json
from metis.wire.losses import result_path
from metis.wire.media import IMAGE_TYPES, image_type, without_data_url
from metis.wire.notes import Notes


def cache_out(mark: CacheMark) -> Json:
    block: Json = {"type": "ephemeral"}
    if mark.ttl:
        block["ttl"] = mark.ttl
    return {**block, **mark.extras}


def own_block(part: Part) -> Json:
    """Write a part as its block, extras and cache mark included."""
    block = _bare_block(part)
    if not isinstance(part, Opaque):
        for key, value in part.extras.items():
            block.setdefault(key, value)
        if part.cache is not None:
            block["cache_control"] = cache_out(part.cache)
    return block


def _bare_block(part: Part) -> Json:
    match part:
        case Text():
            block: Json = {"type": "text", "text": part.text}
            if part.citations:
                block["citations"] = list(part.citations)
            return block
        case Refusal():
            return {"type": "text", "text": part.text}
        case Thinking(redacted=True):
            return {"type": "redacted_thinking", "data": part.signature or ""}
        case Thinking():
            block = {"type": "thinking", "thinking": part.text}
            if part.signature is not None:
                block["signature"] = part.signature
            return block
        case ToolCall():
            return {
                "type": "tool_use",
                "id": part.call_id,
                "name": part.name,
                "input": _own_input(part),
            }
        case ToolResult():
            return _result(part)
        case Media():
            return _media(part)
        case Opaque():
            return dict(part.value)


def _own_input(call: ToolCall) -> object:
    """Here any JSON value goes out again, for an `input` of this shape may be what no API should send."""
    try:
        return msgspec.json.decode(call.arguments)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return input_of(call)[0]


def _result(part: ToolResult) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": part.call_id}
    match part.content:
        case (Text(text=text),) if part.as_text:
            block["content"] = text
        case ():
            pass
        case content:
            block["content"] = [own_block(item) for item in content]
    if part.is_error is not None:
        block["is_error"] = part.is_error
    return block


def _media(part: Media) -> Json:
    if part.data is not None:
        source: Json = {"type": "base64", "media_type": part.media_type, "data": part.data}
    elif part.url is not None:
        source = {"type": "url", "url": part.url}
    elif part.file_id is not None:
        source = {"type": "file", "file_id": part.file_id}
    elif part.text is not None:
        media_type = part.media_type or "text/plain"
        source = {"type": "text", "media_type": media_type, "data": part.text}
    else:
        source = {"type": "content", "content": [own_block(item) for item in part.parts or ()]}
    block: Json = {"type": part.kind, "source": source}
    if part.title is not None:
        block["title"] = part.title
    if part.context is not None:
        block["context"] = part.context
    if part.citations_enabled is not None:
        block["citations"] = {"enabled": part.citations_enabled}
    return block


def foreign_block(part: Part, path: str, notes: Notes) -> Json | None:
    """Write a part that came in another shape; None when nothing of it can be said here (and noted).

    Tool calls and results are not written here: their ids and order are the conversation's business.
    """
    if isinstance(part, Opaque):
        if part.shape == NAME:
            return dict(part.value)
        notes.lost(path, f"a {part.kind} entry has no counterpart in the Messages API")
        return None
    notes.lost_fields(part.extras, path)
    cleaned = _clean(part, path, notes)
    return None if cleaned is None else own_block(cleaned)


def _clean(part: Part, path: str, notes: Notes) -> Part | None:
    match part:
        case Text() | Refusal():
            return _clean_text(part, path, notes)
        case Thinking():
            return _clean_thinking(part, path, notes)
        case Media():
            return _clean_media(part, path, notes)
        case _:
            raise CodecError("a tool call or result stands where only content may", where=path)


def _clean_text(part: Text | Refusal, path: str, notes: Notes) -> Text | None:
    # The API answers 400: "text content blocks must contain non-whitespace text".
    if not part.text.strip():
        notes.add("edited", path, "a text without a visible character is left out")
        return None
    if isinstance(part, Refusal):
        notes.add("mapped", path, "a refusal is plain text in the Messages API")
    elif part.citations:
        notes.lost(f"{path}.annotations", "citations of another API cannot be sent to Anthropic")
    return Text(text=part.text, cache=part.cache)


def _clean_thinking(part: Thinking, path: str, notes: Notes) -> Thinking | None:
    """Reasoning goes back only to the API that signed it, and never becomes visible text."""
    if part.origin == NAME and part.signature:
        return Thinking(
            text=part.text,
            signature=part.signature,
            redacted=part.redacted,
            origin=NAME,
        )
    if part.origin == NAME:
        notes.lost(path, "reasoning without a signature is refused by Anthropic")
    else:
        notes.lost(path, f"reasoning of {part.origin or 'unknown origin'} is not Anthropic's")
    return None


def _clean_media(part: Media, path: str, notes: Notes) -> Media | None:
    if part.kind not in ("image", "document"):
        notes.lost(path, f"the Messages API takes no {part.kind}")
        return None
    if part.file_id is not None:
        notes.lost(path, "a file id of another provider means nothing to Anthropic")
        return None
    if part.detail not in (None, "auto"):
        notes.lost(f"{path}.detail", "the Messages API has no image detail")
    part = without_data_url(msgspec.structs.replace(part, extras={}, detail=None))
    if part.kind == "image":
        return _clean_image(part, path, notes)
    if part.data is not None:
        return _clean_document(part, path, notes)
    return part


def _clean_image(part: Media, path: str, notes: Notes) -> Media | None:
    if part.data is None:
        if part.url is None:
            notes.lost(path, "an image without data or address")
            return None
        return msgspec.structs.replace(part, media_type="")
    media_type = image_type(part.media_type, part.data)
    if media_type not in IMAGE_TYPES:
        notes.lost(path, f"the Messages API takes no {media_type or 'image of unknown type'}")
        return None
    return msgspec.structs.replace(part, media_type=media_type)


def _clean_document(part: Media, path: str, notes: Notes) -> Media | None:
    data = part.data or ""
    if part.media_type == "application/pdf" or (not part.media_type and data.startswith("JVBER")):
        return msgspec.structs.replace(part, media_type="application/pdf")
    if part.media_type.startswith("text/") or part.media_type in (
        "application/json",
        "application/xml",
    ):
        try:
            text = base64.b64decode(data).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            notes.lost(path, f"a {part.media_type} document that is not UTF-8 text")
            return None
        notes.add("mapped", path, f"a {part.media_type} document is sent as plain text")
        return msgspec.structs.replace(part, data=None, text=text, media_type="text/plain")
    notes.lost(path, f"the Messages API takes no {part.media_type or 'document of unknown type'}")
    return None


def result_content(part: ToolResult, path: str, notes: Notes) -> str | list[Json]:
    """A foreign tool result's content: one string where it is only text, else blocks."""
    blocks = [
        block
        for index, item in enumerate(part.content)
        if (block := _result_item(item, result_path(path, index), notes)) is not None
    ]
    texts = [block["text"] for block in blocks if set(block) == {"type", "text"}]
    if part.as_text and len(texts) == len(blocks):
        return "".join(texts)
    return blocks


def _result_item(item: Part, path: str, notes: Notes) -> Json | None:
    if isinstance(item, Text) and not item.text.strip():
        return None  # tools often answer nothing; an empty result says so by itself
    if isinstance(item, ToolCall | ToolResult | Thinking):
        notes.lost(path, "a tool's answer may hold only text, images and documents")
        return None
    return foreign_block(item, path, notes)
