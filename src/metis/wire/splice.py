"""A JSON object's top level as raw slices, and edits to it that leave every other byte where it was.

This is how promise P1 is kept: a body is never re-serialised. Only the outermost object is looked
at; what the values mean is the shapes' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from metis.errors import CodecError

Fields = dict[str, msgspec.Raw]

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode

# One member's key up to its value: white space, an optional comma, the key, the colon.
_KEY: Final = re.compile(
    rb'[ \t\r\n]*,?[ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL
)
_OPEN: Final = re.compile(rb"[ \t\r\n]*\{")


def top_level(body: bytes) -> Fields:
    """The fields of a JSON object, values undecoded. Raises CodecError when the body is no JSON object."""
    try:
        return _decode_fields(body)
    except msgspec.ValidationError as exc:
        raise CodecError("the body must be a JSON object") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CodecError(f"the body is not valid JSON: {exc}") from exc


def text_field(fields: Fields, name: str) -> str | None:
    """A field that must be a string; None when it is absent or null. Raises CodecError on other types."""
    raw = fields.get(name)
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        return _decode_text(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CodecError("must be a string", where=name) from exc


def flag_field(fields: Fields, name: str) -> bool | None:
    """A field that must be true or false; None when it is absent or null. Raises CodecError otherwise."""
    raw = fields.get(name)
    if raw is None:
        return None
    value = {b"true": True, b"false": False, b"null": None}.get(bytes(raw), "")
    if value == "":
        raise CodecError("must be true or false", where=name)
    return bool(value) if value is not None else None


def refuse_doubled(body: bytes, fields: Fields, names: tuple[str, ...]) -> None:
    """Raise CodecError when one of `names` stands twice at the top level.

    Of two `model` fields the gateway would price one and the upstream might run the other.
    """
    escaped = b"\\u00" in body  # a key may be written with escapes
    if not escaped and not any(body.count(b'"%b"' % name.encode()) > 1 for name in names):
        return
    seen: set[str] = set()
    for name, _, _ in _members(body, fields):
        if name in seen and name in names:
            raise CodecError("is there twice", where=name)
        seen.add(name)


def replace_fields(body: bytes, fields: Fields, edits: dict[str, bytes]) -> bytes:
    """The body with some top-level values replaced (or added at the end), all else byte for byte.

    `edits` maps a field to its new JSON text. Raises CodecError when the object's bytes cannot be followed, as
    with doubled keys.
    """
    pieces: list[bytes] = []
    copied = 0
    missing = dict(edits)
    if any(name in fields for name in edits):
        for name, start, end in _members(body, fields):
            value = missing.pop(name, None)
            if value is not None:
                pieces += (body[copied:start], value)
                copied = end
                if not missing:
                    break
    if missing:
        close = body.rindex(b"}")
        added = b",".join(b'"%b":%b' % (name.encode(), value) for name, value in missing.items())
        pieces += (
            body[copied:close].rstrip() if not fields else body[copied:close],
            b"," if fields else b"",
            added,
        )
        copied = close
    pieces.append(body[copied:])
    return b"".join(pieces)


def _members(body: bytes, fields: Fields) -> Iterator[tuple[str, int, int]]:
    """Each member's name and where its value begins and ends, in order of the text."""
    opened = _OPEN.match(body)
    if opened is None:
        raise CodecError("the body must be a JSON object")
    position = opened.end()
    while (key := _KEY.match(body, position)) is not None:
        name = _decode_text(key.group(1))
        start = key.end()
        value = memoryview(fields[name])
        end = start + value.nbytes
        if memoryview(body)[start:end] != value:
            # A doubled key: the decoder kept the later value. Find where this one ends on its own.
            end = start + _value_length(body, start)
        yield name, start, end
        position = end


def _value_length(body: bytes, start: int) -> int:
    """The length of the JSON value at `start`: tried at every place where a member can end."""
    decode = msgspec.json.Decoder(msgspec.Raw).decode
    for match in re.finditer(rb"[,}]", body[start:]):
        try:
            decode(body[start : start + match.start()])
        except msgspec.DecodeError:
            continue
        return match.start()
    raise CodecError("the body is not valid JSON")
