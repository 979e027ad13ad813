"""Whether what one body says is still said in another, whatever the form: the test for losses that nobody mentions.

A body's *values* are its strings and numbers with their paths, without the words that only give form (`type`, `role`).
A value is still there when the other body says it anywhere: as it is, inside a longer text, inside JSON text, or
inside a signature that carries another one.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, cast

from metis.wire.codec import FOREIGN_SIGNATURE, Note

# Stop reasons, tool choices and efforts are translated by tables of their own, and tested there; when an answer was
# made is told by the head's date too.
_FORM: Final = frozenset(
    {
        *("type", "role", "object", "status", "tool_choice", "function_call"),
        *("finish_reason", "stop_reason"),
        *("stopReason", "finishReason", "execution"),
        *("created", "created_at", "completed_at"),
        *("effort", "reasoning_effort", "summary", "display"),
    }
)
# Wishes that ask for what is done anyway: one answer, reasoning that can be replayed, any detail of images, no
# penalty.
_SAYS_NOTHING: Final[dict[str, Any]] = {
    "n": 1,
    "include": ["reasoning.encrypted_content"],
    "detail": "auto",
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
# What only addresses a thing inside its own API: an item's id, a call's place in a whole message; and the name of the
# form that reasoning or a file is written in.
_ADDRESS: Final = re.compile(
    r"(?:output|input)\[\d+\]\.id|(?:choices|candidates)\[\d+\]\.index|.*\.(?:image|document|video|audio)\.format"
    r"|.*\.(?:tool_calls|reasoning_details)\[\d+\]\.(?:index|format)"
)
_INDEX: Final = re.compile(r"\[[^\]]*\]")
_CONTENT_PLACE: Final = re.compile(r"\.content\[\d+\]")
_PART: Final = re.compile(r"\.(?:content|citations|annotations)(\[\d+\])?$")
_QUOTED_FROM: Final = 5  # characters; shorter values stand in a sentence by chance
_BESIDE_CONTENT: Final = re.compile(
    r"^(.*)\.(?:reasoning|reasoning_content|reasoning_details|tool_calls|annotations|refusal)\b.*$"
)
_DATA_URL: Final = re.compile(r"data:([^;,]*)(?:;[^,]*)?,(.*)", re.S)
_DEEPEST: Final = 4  # JSON text in JSON text


class Value(NamedTuple):
    path: str
    value: str | int | float


def values_of(body: Any, path: str = "") -> Iterator[Value]:
    """The values of a decoded body, depth first, JSON text opened; true, false and null are form."""
    if isinstance(body, dict):
        for name, inner in cast(dict[str, Any], body).items():
            if _SAYS_NOTHING.get(name) == inner and inner is not None:
                continue
            if name not in _FORM or isinstance(inner, dict | list):
                yield from values_of(inner, f"{path}.{name}" if path else name)
    elif isinstance(body, list):
        for place, inner in enumerate(cast(list[Any], body)):
            yield from values_of(inner, f"{path}[{place}]")
    elif _ADDRESS.fullmatch(path):
        return
    elif isinstance(body, str):
        inner = _unwrapped(body) if path.endswith(".redactedContent") else _inside(body)
        if isinstance(inner, str):
            yield Value(path, inner)
        elif inner is not None:
            yield from values_of(inner, path)
        elif body:
            yield Value(path, body)
    elif isinstance(body, int | float) and not isinstance(body, bool):
        yield Value(path, body)


class Said:
    """Everything a body says, to be asked for values."""

    def __init__(self, body: Any) -> None:
        self._texts: list[str] = []
        self._numbers: set[float] = set()
        self._gather(body, 0)
        self._all = "\0".join(self._texts)

    def says(self, value: str | int | float) -> bool:
        if not isinstance(value, str):
            return float(value) in self._numbers or str(value) in self._all
        url = _DATA_URL.fullmatch(value)
        return value in self._all or (url is not None and url[2] in self._all)

    def _gather(self, body: Any, depth: int) -> None:
        if isinstance(body, dict):
            for name, inner in cast(dict[str, Any], body).items():
                self._texts.append(name)
                self._gather(_unwrapped(inner) if name == "redactedContent" else inner, depth)
        elif isinstance(body, list):
            for inner in cast(list[Any], body):
                self._gather(inner, depth)
        elif isinstance(body, str):
            self._texts.append(body)
            if depth < _DEEPEST:
                self._gather(_inside(body), depth + 1)
        elif isinstance(body, int | float) and not isinstance(body, bool):
            self._numbers.add(float(body))


def _inside(text: str) -> Any:
    """What JSON text or a carried signature holds; None for any other text."""
    if text.startswith(FOREIGN_SIGNATURE):
        try:
            return json.loads(base64.urlsafe_b64decode(text[len(FOREIGN_SIGNATURE) :]))
        except (ValueError, binascii.Error):
            return None
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except ValueError:
            return None
    return None


def _unwrapped(packed: str) -> str:
    """What Bedrock wraps in base64 once more."""
    return base64.b64decode(packed).decode()


def is_told(value: Value, notes: Sequence[Note]) -> bool:
    """Whether a note names the value, its place, or what it stands in.

    Places in lists count unless the note speaks for several. Reasoning, calls and citations that a message holds
    beside its content are parts of it to a note; a message's only part may be named by the message; a note of the
    whole body names the fields.
    """
    path, said = value
    short = _CONTENT_PLACE.sub("", path)
    beside = _BESIDE_CONTENT.sub(r"\1", path)
    for note in notes:
        named = note.path.removeprefix("$.")
        if isinstance(said, str) and len(said) >= _QUOTED_FROM and said in note.why:
            return True
        if not named:
            if _names_a_field(note.why, path):
                return True
            continue
        tried = [(path, named), (short, named)]
        if beside != path:
            tried += [(beside, _PART.sub("", named)), (short, _PART.sub("", named))]
        if note.why.endswith(" more)"):
            tried = [(_INDEX.sub("", here), _INDEX.sub("", there)) for here, there in tried]
        if any(
            here == there
            or here.startswith((f"{there}.", f"{there}["))
            or there.startswith(f"{here}[")
            or _skips_a_level(here, there)
            for here, there in tried
        ):
            return True
    return False


def _names_a_field(why: str, path: str) -> bool:
    """Whether a note of the whole body names the value's field, or one that it stands in (`candidates[0].index`)."""
    names = [path[: found.start()] for found in re.finditer(r"[.[]|$", path)]
    return any(re.search(rf"\b{re.escape(name)}(?![\w[]|\.\w)", why) for name in names if name)


def _skips_a_level(path: str, named: str) -> bool:
    """Whether a note names a field of the value's own node without what it is wrapped in (`image_url`)."""
    outer, _, name = named.rpartition(".")
    return outer.endswith("]") and path.startswith(f"{outer}.") and path.endswith(f".{name}")
