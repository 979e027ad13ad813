"""Content parts of chat messages (text, images, audio, files) to IR parts and back. Messages live elsewhere.

Field forms: https://platform.openai.com/docs/api-reference/chat/create (messages), with `video_url`
and `cache_control` as OpenRouter writes them, `document_url` as Mistral, `file_url` as Perplexity.
"""

from __future__ import annotations

import re
from typing import Any

from metis.errors import CodecError
from metis.ir.content import CacheMark, Media, Node, Opaque, Part, Refusal, Text
from metis.wire.openai_chat.fields import Fields, Object, as_object, kind_of

SHAPE = "openai_chat"

_DATA_URL = re.compile(r"data:([^;,]*);base64,(.*)", re.DOTALL)
_AUDIO_FORMATS = {"audio/mpeg": "mp3", "audio/x-wav": "wav"}  # others are called by their subtype


def take_cache(fields: Fields) -> CacheMark | None:
    """The `cache_control` marker, as OpenRouter and LiteLLM clients set it."""
    raw = fields.rest.get("cache_control")
    if not isinstance(raw, dict):
        return None
    mark = Fields(fields.rest.pop("cache_control"), strict=False)
    if mark.rest.get("type") == "ephemeral":
        del mark.rest["type"]
    elif "type" not in mark.rest:
        mark.rest["type"] = None  # a marker without a type stays without one
    return CacheMark(ttl=mark.filled_text("ttl") or "", extras=mark.rest)


def put_cache(out: Object, cache: CacheMark | None) -> None:
    if cache is None:
        return
    mark: Object = {"type": "ephemeral", **cache.extras}
    if mark["type"] is None:
        del mark["type"]
    if cache.ttl:
        mark["ttl"] = cache.ttl
    out["cache_control"] = mark


def decode_part(value: object, where: str) -> Part:
    """One entry of a `content` list. Raises CodecError with the path; unknown types become Opaque."""
    fields = Fields(as_object(value, where), where)
    kind = fields.text("type")
    if kind is None:
        raise CodecError("a content part needs a type", where=fields.path("type"))
    cache = take_cache(fields)
    part: Part | None = None
    match kind:
        case "text":
            text = fields.text("text")
            if text is None:
                raise CodecError("expected a string, got null", where=fields.path("text"))
            return Text(text=text, cache=cache, extras=fields.rest)
        case "refusal":
            text = fields.text("refusal")
            if text is None:
                raise CodecError("expected a string, got null", where=fields.path("refusal"))
            # The type tells a refusal of the content list from the message's own `refusal` field.
            return Refusal(text=text, cache=cache, extras={**fields.rest, "type": kind})
        case "image_url" | "video_url":
            part = _decode_linked(fields, kind, cache)
        case "input_audio":
            part = _decode_audio(fields, cache)
        case "file":
            part = _decode_file(fields, cache)
        case "document_url" | "file_url":
            part = _decode_document_link(fields, kind, cache)
        case _:
            pass
    return part or Opaque(shape=SHAPE, kind=kind, value=as_object(value, where))


def _located(address: str) -> tuple[str, str | None, str | None]:
    """(media type, base64 data, url) of an address that may be a data: URL."""
    found = _DATA_URL.fullmatch(address)
    if found is None:
        return "", None, address
    return found[1], found[2], None


def _decode_linked(fields: Fields, kind: str, cache: CacheMark | None) -> Media | None:
    raw = fields.rest.pop(kind, None)
    inner = Fields({"url": raw} if isinstance(raw, str) else as_object(raw, fields.path(kind)))
    address = inner.text("url")
    if address is None:
        raise CodecError("expected a string", where=f"{fields.path(kind)}.url")
    detail = inner.filled_text("detail") if kind == "image_url" else None
    media_type, data, url = _located(address)
    extras = fields.rest
    if isinstance(raw, str):
        extras[kind] = ""  # "" tells that the address stood bare, as Mistral's clients write it
    elif inner.rest:
        extras[kind] = inner.rest
    return Media(
        kind="image" if kind == "image_url" else "video",
        media_type=media_type,
        data=data,
        url=url,
        detail=detail,
        cache=cache,
        extras=extras,
    )


def _decode_audio(fields: Fields, cache: CacheMark | None) -> Media | None:
    inner = Fields(
        as_object(fields.rest.pop("input_audio", None), fields.path("input_audio")),
        fields.path("input_audio"),
    )
    data, sound = inner.text("data"), inner.text("format") or ""
    if data is None:
        raise CodecError("expected a string", where=inner.path("data"))
    media_type = f"audio/{sound}" if sound else ""
    if _audio_format(media_type) != sound:
        inner.rest["format"] = sound
    extras = {**fields.rest, "input_audio": inner.rest} if inner.rest else fields.rest
    return Media(kind="audio", media_type=media_type, data=data, cache=cache, extras=extras)


def _audio_format(media_type: str) -> str:
    return _AUDIO_FORMATS.get(media_type, media_type.removeprefix("audio/"))


def _decode_file(fields: Fields, cache: CacheMark | None) -> Media | None:
    raw = fields.rest.pop("file", None)
    inner = Fields(as_object(raw, fields.path("file")), fields.path("file"))
    address, file_id = inner.text("file_data"), inner.filled_text("file_id")
    if (address is None) == (file_id is None):
        return None  # neither or both: it rides as it came
    media_type, data, url = "", None, None
    if address is not None:
        media_type, data, url = _located(address)
        if url is not None and "://" not in url[:16]:
            data, url = url, None  # bare base64 without its data: prefix
    title = inner.filled_text("filename")
    return Media(
        kind="document",
        media_type=media_type,
        data=data,
        url=url,
        file_id=file_id,
        title=title,
        cache=cache,
        extras={**fields.rest, "file": inner.rest} if inner.rest else fields.rest,
    )


def _decode_document_link(fields: Fields, kind: str, cache: CacheMark | None) -> Media | None:
    match fields.rest.get(kind), kind:
        case (str() as address, "document_url"):
            pass
        case ({"url": str() as address, **rest}, "file_url") if not rest:
            pass
        case _:
            return None
    del fields.rest[kind]
    media_type, data, url = _located(address)
    return Media(
        kind="document",
        media_type=media_type,
        data=data,
        url=url,
        cache=cache,
        extras={**fields.rest, "type": kind},
    )


def decode_parts(value: list[Any], where: str) -> list[Part]:
    return [decode_part(entry, f"{where}[{index}]") for index, entry in enumerate(value)]


def address_of(media: Media) -> str | None:
    """Where the medium is: its URL, or its data as a data: URL (bare where no media type is known)."""
    if media.data is not None:
        return f"data:{media.media_type};base64,{media.data}"
    return media.url


def plain_part(part: Part) -> Object | None:
    """The part in OpenAI's own form, without extras or marker; None where chat content has no form for it."""
    match part:
        case Text(text=text):
            return {"type": "text", "text": text}
        case Refusal(text=text):
            return {"type": "refusal", "refusal": text}
        case Opaque(shape=shape, value=value):
            return dict(value) if shape == SHAPE else None
        case Media():
            return _plain_media(part)
        case _:
            return None


def _plain_media(media: Media) -> Object | None:
    address = address_of(media)
    match media.kind:
        case "image" if address is not None:
            image: Object = {"url": address}
            if media.detail:
                image["detail"] = media.detail
            return {"type": "image_url", "image_url": image}
        case "video" if address is not None:
            return {"type": "video_url", "video_url": {"url": address}}
        case "audio" if media.data is not None:
            sound = {"data": media.data, "format": _audio_format(media.media_type)}
            return {"type": "input_audio", "input_audio": sound}
        case "document" if media.file_id is not None:
            file: Object = {"file_id": media.file_id}
        case "document" if address is not None:
            file = {"file_data": address if media.media_type or media.url else media.data}
        case _:
            return None
    if media.title:
        file["filename"] = media.title
    return {"type": "file", "file": file}


def own_part(part: Part) -> Object:
    """The part as this shape's client wrote it, extras and marker included.

    Raises CodecError for a part that no chat message holds: an edit put it there.
    """
    out = plain_part(part)
    if out is None:
        raise CodecError(f"no chat content part can hold {kind_of(part)}")
    if isinstance(part, Opaque):
        return out  # its value is whole
    _merge_extras(out, part)
    put_cache(out, part.cache)
    return out


def _merge_extras(out: Object, part: Node) -> None:
    link = part.extras.get("type")
    if isinstance(part, Media) and link in ("document_url", "file_url"):
        address = address_of(part)
        out.clear()
        out.update({"type": link, link: address if link == "document_url" else {"url": address}})
    for key, value in part.extras.items():
        held = out.get(key)
        if value == "" and isinstance(held, dict) and "url" in held:
            out[key] = held["url"]
        elif isinstance(held, dict) and isinstance(value, dict):
            out[key] = {**held, **value}
        elif key not in out:
            out[key] = value
