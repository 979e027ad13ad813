"""Gemini's parts into IR parts. Contents and whole requests are not known here.

A part is an object with one field that says its kind, and others beside it. A signature proves the reasoning before its
part, so it becomes a Thinking part of its own right before that: there it rides through clients of other APIs, which
replay thinking untouched. Its `item_id` says what it stands on (ON_TEXT, ON_EMPTY, ON_CALL). A part whose form is not a
known one becomes an Opaque part and rides as it came. Source: ai.google.dev/api/caching#Part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final, Literal

from metis.ir.content import Media, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from metis.wire.fields import Json, as_object, dump_json
from metis.wire.google_generate_content.name import NAME, SIGNATURE
from metis.wire.google_generate_content.spelling import SPELT, read_object

MediaKind = Literal["image", "document", "audio", "video"]

# What a signature stands on: a text, an empty text (which no other API keeps), or the call with an id.
ON_TEXT: Final = "text"
ON_EMPTY: Final = "empty"
ON_CALL: Final = "call:"
# Ids of calls that came without one: other APIs cannot do without. They are never sent to Google.
_MADE: Final = "gemini_call_"
_KINDS: Final[dict[str, MediaKind]] = {"image": "image", "audio": "audio", "video": "video"}


def no_ids(part: Json) -> str:
    """For requests, whose calls without an id keep none."""
    return ""


class CallIds:
    """Makes the ids of an answer's calls that have none, the same for the same answer."""

    def __init__(self, response_id: str) -> None:
        self._seed = response_id
        self._count = 0

    def __call__(self, part: Json) -> str:
        self._count += 1
        seed = self._seed or hashlib.sha256(dump_json(part)).hexdigest()[:20]
        return f"{_MADE}{seed}_{self._count}"


def was_made(call_id: str) -> bool:
    """Whether a call's id is none of Google's and none of a client's."""
    return not call_id or call_id.startswith(_MADE)


def read_parts(
    values: list[Any], where: str, make_id: Callable[[Json], str] = no_ids
) -> tuple[Part, ...]:
    """Read a list of parts. Raises CodecError when one is no object or a known field has a wrong type."""
    return tuple(
        part
        for index, value in enumerate(values)
        for part in read_part(value, f"{where}[{index}]", make_id)
    )


def read_part(value: object, where: str, make_id: Callable[[Json], str] = no_ids) -> list[Part]:
    """Read one part: what it is, its signature before it."""
    left = read_object(value, where).left
    match left:
        case {"text": str(text)}:
            return _text(text, left)
        case {"functionCall": {"name": str(_)}}:
            return _call(left, where, make_id)
        case {"functionResponse": {"name": str(_)}}:
            return [_result(left, where)]
        case {"inlineData": {"data": str(_)}} | {"fileData": _} if len(left) == 1 + (SPELT in left):
            media = _media(left, where)
            if media is not None:
                return [media]
        case _:
            pass
    whole = as_object(value) or {}
    kind = next((name for name in whole if name not in (SIGNATURE, "thought")), "empty")
    return [Opaque(shape=NAME, kind=kind, value=whole)]


def _signature(left: Json) -> str | None:
    return left.pop(SIGNATURE) if isinstance(left.get(SIGNATURE), str) else None


def _text(text: str, left: Json) -> list[Part]:
    del left["text"]
    signature = _signature(left)
    if left.get("thought") is True:
        del left["thought"]
        thought = Thinking(text=text, signature=signature, origin=NAME, summary=True, extras=left)
        return [thought]
    if signature is None:
        return [Text(text=text, extras=left)]
    if not text:
        return [Thinking(signature=signature, origin=NAME, item_id=ON_EMPTY, extras=left)]
    return [
        Thinking(signature=signature, origin=NAME, item_id=ON_TEXT),
        Text(text=text, extras=left),
    ]


def _call(left: Json, where: str, make_id: Callable[[Json], str]) -> list[Part]:
    signature = _signature(left)
    came = left.pop("functionCall")
    call = read_object(came, f"{where}.functionCall")
    arguments = as_object(call.left.get("args"))
    if arguments is not None:
        del call.left["args"]
    call_id = call.word("id") or make_id(came)
    part = ToolCall(
        call_id=call_id,
        name=call.required_text("name"),
        arguments="" if arguments is None else dump_json(arguments).decode(),
        extras={**left, **({"functionCall": call.left} if call.left else {})},
    )
    if signature is None:
        return [part]
    rider = Thinking(signature=signature, origin=NAME, item_id=f"{ON_CALL}{call_id}")
    return [rider, part]


def _result(left: Json, where: str) -> ToolResult:
    result = read_object(left.pop("functionResponse"), f"{where}.functionResponse")
    said = as_object(result.left.get("response"))
    if said is not None:
        del result.left["response"]
    return ToolResult(
        call_id=result.word("id"),
        name=result.required_text("name"),
        content=() if said is None else (Text(text=dump_json(said).decode(), json=True),),
        extras={**left, **({"functionResponse": result.left} if result.left else {})},
    )


def _media(left: Json, where: str) -> Media | None:
    """A file; None for one whose form is not exactly the documented one."""
    name, field = ("inlineData", "data") if "inlineData" in left else ("fileData", "fileUri")
    if as_object(left[name]) is None:
        return None
    inner = read_object(left[name], f"{where}.{name}")
    held, media_type = inner.left.get(field), inner.left.get("mimeType", "")
    if not isinstance(held, str) or not isinstance(media_type, str):
        return None
    del inner.left[field]
    if media_type:
        del inner.left["mimeType"]
    del left[name]
    if inner.left:
        left[name] = inner.left
    kind = _KINDS.get(media_type.partition("/")[0], "document")
    if name == "inlineData":
        return Media(kind=kind, media_type=media_type, data=held, extras=left)
    return Media(kind=kind, media_type=media_type, url=held, extras=left)
