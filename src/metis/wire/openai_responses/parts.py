"""Content parts of messages and tool outputs, in this shape's own words. Items are made in `items.py`.

Source: https://platform.openai.com/docs/api-reference/responses/create (input content).
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from metis.errors import CodecError
from metis.ir.content import Media, Opaque, Part, Refusal, Text
from metis.wire.openai_responses.fields import (
    SHAPE,
    Json,
    as_list,
    as_object,
    leftover,
    object_or_none,
    text_field,
    text_or_none,
    under,
)

INPUT_TEXT: Final = "input_text"
OUTPUT_TEXT: Final = "output_text"

_TEXT_TYPES: Final = frozenset({INPUT_TEXT, OUTPUT_TEXT, "text"})
_DATA_URL: Final = re.compile(r"data:([^;,]+);base64,(.*)", re.DOTALL)


def decode_parts(raw: Any, where: str, text_type: str) -> tuple[Part, ...]:
    """The parts of a content list. `text_type` is the type that text has here without saying so."""
    return tuple(
        decode_part(as_object(part, f"{where}[{index}]"), f"{where}[{index}]", text_type)
        for index, part in enumerate(as_list(raw, where))
    )


def decode_part(raw: Json, where: str, text_type: str) -> Part:
    """Raises CodecError where a known part lacks what makes it one; unknown parts become Opaque."""
    kind = text_field(raw, "type", where)
    part: Text | Refusal | Media | None
    if kind in _TEXT_TYPES:
        part = Text(text=text_field(raw, "text", where), citations=_citations(raw, where))
    elif kind == "refusal":
        part = Refusal(text=text_field(raw, "refusal", where))
    else:
        part = _decode_media(raw, kind, where)
    if part is None:
        return Opaque(shape=SHAPE, kind=kind, value=raw)
    return msgspec.structs.replace(part, extras=leftover(raw, encode_part(part, text_type)))


def encode_part(part: Part, text_type: str) -> Json:
    """A content part in this shape, as a part of this shape's origin says it."""
    match part:
        case Text():
            encoded: Json = {"type": text_type, "text": part.text}
            if part.citations:
                encoded["annotations"] = list(part.citations)
        case Refusal():
            encoded = {"type": "refusal", "refusal": part.text}
        case Media():
            encoded = encode_media(part)
        case Opaque():
            encoded = part.value
        case _:
            raise CodecError(f"a {type(part).__name__} cannot stand inside a message")
    return {**encoded, **part.extras} if part.extras else encoded


def _citations(raw: Json, where: str) -> tuple[Json, ...]:
    annotations = raw.get("annotations")
    if not annotations:
        return ()
    where = under(where, "annotations")
    return tuple(
        as_object(annotation, f"{where}[{index}]")
        for index, annotation in enumerate(as_list(annotations, where))
    )


def _decode_media(raw: Json, kind: str, where: str) -> Media | None:
    if kind == "input_image":
        url = text_or_none(raw, "image_url", where)
        file_id = text_or_none(raw, "file_id", where)
        if not url and not file_id:
            return None
        media_type, data = split_data_url(url or "")
        return Media(
            kind="image",
            media_type=media_type,
            data=data,
            url=url if url and data is None else None,
            file_id=None if url else file_id,
            detail=text_or_none(raw, "detail", where),
        )
    if kind == "input_file":
        return _decode_file(raw, where)
    if kind == "input_audio":
        audio = object_or_none(raw, "input_audio", where)
        if audio is None or not isinstance(audio.get("data"), str):
            return None
        name = text_or_none(audio, "format", under(where, "input_audio")) or ""
        return Media(kind="audio", media_type=f"audio/{name}" if name else "", data=audio["data"])
    return None


def _decode_file(raw: Json, where: str) -> Media | None:
    held = text_or_none(raw, "file_data", where)
    url = text_or_none(raw, "file_url", where)
    file_id = text_or_none(raw, "file_id", where)
    if not (held or url or file_id):
        return None
    media_type, data = split_data_url(held or "")
    return Media(
        kind="document",
        media_type=media_type,
        data=(data if data is not None else held) if held else None,
        url=url if not held else None,
        file_id=file_id if not (held or url) else None,
        title=text_or_none(raw, "filename", where),
    )


def encode_media(part: Media) -> Json:
    """An `input_image`, `input_file` or `input_audio` part; the caller sees to it that it has a source."""
    if part.kind == "audio":
        audio = {"data": part.data or "", "format": part.media_type.removeprefix("audio/")}
        return {"type": "input_audio", "input_audio": audio}
    if part.kind == "image":
        encoded: Json = {"type": "input_image"}
        source, address = "image_url", "image_url"
    else:
        encoded = {"type": "input_file"}
        source, address = "file_data", "file_url"
    if part.data is not None:
        encoded[source] = join_data_url(part.media_type, part.data)
    elif part.url is not None:
        encoded[address] = part.url
    elif part.file_id is not None:
        encoded["file_id"] = part.file_id
    if part.title is not None and part.kind != "image":
        encoded["filename"] = part.title
    if part.detail is not None and part.kind == "image":
        encoded["detail"] = part.detail
    return encoded


def split_data_url(url: str) -> tuple[str, str | None]:
    """Media type and base64 text of a data URL; ("", None) for any other address."""
    found = _DATA_URL.fullmatch(url)
    return (found[1], found[2]) if found else ("", None)


def join_data_url(media_type: str, data: str) -> str:
    return f"data:{media_type};base64,{data}" if media_type else data
