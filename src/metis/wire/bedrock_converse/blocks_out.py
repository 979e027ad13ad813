"""IR parts into Converse's content blocks, as they came: for parts of this shape and whatever can be said here.

What must be cleaned first of another shape's parts is `foreign`'s business.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

import msgspec

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
from metis.wire.arguments import input_of
from metis.wire.bedrock_converse.formats import word_of
from metis.wire.fields import Json


def cache_point(mark: CacheMark) -> Json:
    point: Json = {"type": "default"}
    if mark.ttl:
        point["ttl"] = mark.ttl
    return {"cachePoint": {**point, **mark.extras}}


def own_blocks(parts: Iterable[Part]) -> list[Json]:
    """The blocks of some parts, each cache mark a point behind its part."""
    blocks: list[Json] = []
    for part in parts:
        blocks.append(own_block(part))
        if part.cache is not None:
            blocks.append(cache_point(part.cache))
    return blocks


def own_block(part: Part) -> Json:
    match part:
        case Text(json=True):
            return _json(part)
        case Text() if part.citations:
            cited: Json = {"content": [{"text": part.text}], "citations": list(part.citations)}
            return {"citationsContent": cited}
        case Text() | Refusal():
            return {"text": part.text}
        case Thinking():
            return {"reasoningContent": _reasoning(part)}
        case ToolCall():
            use: Json = {
                "toolUseId": part.call_id,
                "name": part.name,
                "input": _own_input(part),
            }
            return {"toolUse": {**use, **part.extras}}
        case ToolResult():
            return {"toolResult": _result(part)}
        case Media():
            return {part.kind: _media(part)}
        case Opaque():
            return dict(part.value)


def _json(part: Text) -> Json:
    try:
        return {"json": msgspec.json.decode(part.text)}
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {"text": part.text}  # somebody edited it into something else


def _own_input(call: ToolCall) -> object:
    """Here any JSON value goes out again, for an `input` of this shape may be what no API should send."""
    try:
        return msgspec.json.decode(call.arguments)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return input_of(call)[0]


def _reasoning(part: Thinking) -> Json:
    if part.redacted:
        data = (part.signature or "").encode()
        return {"redactedContent": base64.b64encode(data).decode()}
    text: Json = {"text": part.text}
    if part.signature is not None:
        text["signature"] = part.signature
    return {"reasoningText": text}


def _result(part: ToolResult) -> Json:
    block: Json = {"toolUseId": part.call_id, "content": own_blocks(part.content)}
    if part.is_error is not None:
        block["status"] = "error" if part.is_error else "success"
    return {**block, **part.extras}


def _media(part: Media) -> Json:
    block: Json = {}
    if part.media_type:
        block["format"] = word_of(part.kind, part.media_type)
    if part.title is not None:
        block["name"] = part.title
    if part.data is not None:
        block["source"] = {"bytes": part.data}
    elif part.url is not None:
        block["source"] = {"s3Location": {"uri": part.url}}
    elif part.text is not None:
        block["source"] = {"text": part.text}
    else:
        block["source"] = {"content": own_blocks(part.parts or ())}
    if part.context is not None:
        block["context"] = part.context
    if part.citations_enabled is not None:
        block["citations"] = {"enabled": part.citations_enabled}
    return {**block, **part.extras}
