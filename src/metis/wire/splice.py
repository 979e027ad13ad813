"""A JSON object's top level as raw slices, and edits to it that leave every other byte where it was.

This is how promise P1 is kept: a body is never re-serialised. Only the outermost object is looked
at; what the values mean is the shapes' business.
"""

from __future__ import annotations

import re
from codecs import utf_8_decode
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from metis.errors import CodecError
from metis.wire.json_faults import fault_of

Fields = dict[str, msgspec.Raw]
Spans = dict[str, tuple[int, int]]

_TEXT_PIECE: Final = 16 * 1024

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


class Body(NamedTuple):
    """A JSON object as it came: its text and its top-level fields."""

    text: bytes
    fields: Fields


def read_body(text: bytes, once: tuple[str, ...] = ()) -> Body:
    """Raises CodecError on what is no JSON object, and when one of `once` stands twice."""
    fields = top_level(text)
    check_text(text)
    check_members(text, fields, once)
    return Body(text, fields)


def check_members(text: bytes, fields: Fields, once: tuple[str, ...]) -> None:
    """Raises CodecError when one of `once` stands twice at the top level."""
    if not _is_shortest(text, fields):
        member_spans(text, fields, once)


def _is_shortest(body: bytes, fields: Fields) -> bool:
    """Whether the body could not be shorter and hold these fields: nothing doubled, no white space, no escaped key.

    Each field takes its key and value, two quotes, a colon, and a comma or the opening brace.
    """
    held = sum(map(len, fields)) + sum(map(len, fields.values()))
    return len(body) == 1 + 4 * len(fields) + held


def edit_body(body: Body, edits: Mapping[str, bytes | None]) -> bytes:
    """The body's text with some top-level values replaced or added (see `replace_fields`), or left out (None)."""
    if not edits:
        return body.text
    kept = {name: value for name, value in edits.items() if value is not None}
    text = replace_fields(body.text, member_spans(*body), kept) if kept else body.text
    gone = [name for name, value in edits.items() if value is None and name in body.fields]
    return without_fields(text, gone) if gone else text


def without_fields(text: bytes, names: Sequence[str]) -> bytes:
    """A JSON object's text without some top-level members, all else byte for byte."""
    fields = top_level(text)
    spans = member_spans(text, fields, tuple(names))
    opened = _OPEN.match(text)
    start = opened.end() if opened else 0
    pieces, copied, end, first = [text[:start]], start, start, True
    for name in fields:
        begin, end = end, spans[name][1]
        if name in names:
            pieces.append(text[copied:begin])
            copied = end
        elif first:
            # The first member that stays brings no comma.
            pieces.append(text[copied:begin])
            comma = _COMMA.match(text, begin)
            copied, first = comma.end() if comma else begin, False
    pieces.append(text[copied:])
    return b"".join(pieces)


# One member's key up to its value: white space, an optional comma, the key, the colon.
_KEY: Final = re.compile(
    rb'[ \t\r\n]*,?[ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL
)
_COMMA: Final = re.compile(rb"[ \t\r\n]*,")
_OPEN: Final = re.compile(rb"[ \t\r\n]*\{")
_CLOSE: Final = re.compile(rb"[ \t\r\n]*\}[ \t\r\n]*\Z")
_ENDS: Final = re.compile(rb"[ \t\r\n]*[,}]")
_ENDS_ANYWHERE: Final = re.compile(rb"[,}]")


def top_level(body: bytes) -> Fields:
    """The fields of a JSON object, values undecoded. Raises CodecError when the body is no JSON object."""
    try:
        return _decode_fields(body)
    except msgspec.ValidationError as exc:
        raise CodecError("the body must be a JSON object") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CodecError(f"the body is not valid JSON: {fault_of(body, exc)}") from exc
    except RecursionError as exc:
        raise CodecError("the body is nested too deeply") from exc


def check_text(body: bytes) -> None:
    """Raises CodecError on bytes that are not UTF-8.

    The decoder passes over values that nobody reads, whatever bytes their strings hold: who reads them
    later, after the upstream was called, must not be the first to find out.
    """
    if body.isascii():
        return
    # In pieces: a text as long as the body would be made of memory that nobody has touched yet.
    view, size, start = memoryview(body), len(body), 0
    try:
        while start < size:
            stop = start + _TEXT_PIECE
            start += utf_8_decode(view[start:stop], "strict", stop >= size)[1]
    except UnicodeDecodeError as exc:
        at = start + exc.start
        raise CodecError(f"the body is not valid JSON: {exc.reason} (byte {at})") from exc


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


def member_spans(body: bytes, fields: Fields, once: tuple[str, ...] = ()) -> Spans:
    """Where each top-level value begins and ends in the body.

    Raises CodecError when one of `once` stands twice: of two `model` fields the gateway would price
    one and the upstream might run the other.
    """
    spans: Spans = {}
    position = 0
    if _is_shortest(body, fields):
        for name, value in fields.items():
            start = position + len(name) + 4
            position = start + len(value)
            spans[name] = (start, position)
        return spans
    opened = _OPEN.match(body)
    if opened is None:
        raise CodecError("the body must be a JSON object")
    position = opened.end()
    for name, value in fields.items():
        key = _KEY.match(body, position)
        if key is None or _decode_text(key.group(1)) != name:
            break
        start, position = key.end(), key.end() + len(value)
        if body[start:position] != bytes(value):
            break  # the decoder keeps the last of doubled keys: this is the first one's place
        spans[name] = (start, position)
    if len(spans) != len(fields) or _CLOSE.match(body, position) is None:
        return _spans_with_doubles(body, fields, once)
    return spans


def replace_fields(body: bytes, spans: Spans, edits: dict[str, bytes]) -> bytes:
    """The body with some top-level values replaced (or added at the end), all else byte for byte.

    `edits` maps a field to its new JSON text.
    """
    pieces: list[bytes] = []
    copied = 0
    present = [(*spans[name], value) for name, value in edits.items() if name in spans]
    for start, end, value in sorted(present):
        pieces += (body[copied:start], value)
        copied = end
    added = [
        b'"%b":%b' % (name.encode(), value) for name, value in edits.items() if name not in spans
    ]
    if added:
        close = body.rindex(b"}")
        kept = body[copied:close]
        pieces += (kept if spans else kept.rstrip(), b"," if spans else b"", b",".join(added))
        copied = close
    pieces.append(body[copied:])
    return b"".join(pieces)


def _spans_with_doubles(body: bytes, fields: Fields, once: tuple[str, ...]) -> Spans:
    """As `member_spans`, found by looking at every value: for the rare body with doubled keys."""
    spans: Spans = {}
    opened = _OPEN.match(body)
    position = opened.end() if opened else 0
    while (key := _KEY.match(body, position)) is not None:
        name = _decode_text(key.group(1))
        if name in spans and name in once:
            raise CodecError("is there twice", where=name)
        value = fields[name]
        end = key.end() + len(value)
        if body[key.end() : end] != bytes(value) or not _ENDS.match(body, end):
            end = key.end() + _value_length(body, key.end())
        spans[name] = (key.end(), end)
        position = end
    return spans


def _value_length(body: bytes, start: int) -> int:
    """The length of the JSON value at `start`: tried at every place where a member can end."""
    decode = msgspec.json.Decoder(msgspec.Raw).decode
    for match in _ENDS_ANYWHERE.finditer(body, start):
        try:
            decode(body[start : match.start()])
        except msgspec.DecodeError:
            continue
        return match.start() - start
    raise CodecError("the body is not valid JSON")
