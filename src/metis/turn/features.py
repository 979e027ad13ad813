"""Textless features and outcome signals of a request (DESIGN section 5): counts and sizes, read once.

Reads the three shapes' entries generically (role, type, content items), since only counts are wanted.
"""

from __future__ import annotations

from typing import Final

import msgspec

from metis.trace.events.groups import Packed
from metis.trace.events.turn import TurnFeatures
from metis.turn.entries import ABSENT, Entry, Part, Speaker
from metis.wire.splice import Fields

_RESULT_TYPES: Final = frozenset(
    {"tool_result", "function_call_output", "custom_tool_call_output", "local_shell_call_output"}
)
_OWN_TYPES: Final = frozenset(
    {"function_call", "custom_tool_call", "reasoning", "local_shell_call", "compaction"}
)
_THINKING: Final = frozenset({"thinking", "reasoning", "reasoning_effort"})
_STRUCTURED: Final = frozenset({"response_format", "text"})
_IMAGES: Final = frozenset({"image", "image_url", "input_image"})
_DOCUMENTS: Final = frozenset({"document", "file", "input_file"})
_TAIL: Final = 64  # entries looked at from the end: what came after the last answer is never more


class _Counts:
    """What stands in the entries after the model's last one."""

    __slots__ = ("characters", "documents", "errors", "images", "marks", "results")

    def __init__(self) -> None:
        self.results = self.errors = self.images = self.documents = self.characters = self.marks = 0


_encode: Final = msgspec.json.Encoder().encode
_decode_entry: Final = msgspec.json.Decoder(Entry).decode
_decode_speaker: Final = msgspec.json.Decoder(Speaker).decode
_decode_tools: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_features(
    fields: Fields, messages: list[msgspec.Raw], request_bytes: int, *, retry: bool
) -> Packed:
    """Features of a request as JSON of TurnFeatures; nonsense counts as nothing. `messages`: its entries, undecoded."""
    counts = _counts(messages)
    tools, system, marks = fields.get("tools"), fields.get("system"), counts.marks
    if tools is not None:
        marks += _marks(tools)
    if system is not None:
        marks += _marks(system)
    features = TurnFeatures(
        messages=len(messages),
        tools=0 if tools is None else _tools(tools),
        tool_results=counts.results,
        tool_errors=counts.errors,
        images=counts.images,
        documents=counts.documents,
        user_characters=counts.characters,
        request_bytes=request_bytes,
        thinking=not _THINKING.isdisjoint(fields),
        structured_output=not _STRUCTURED.isdisjoint(fields)
        or ("output_config" in fields and b'"format"' in bytes(fields["output_config"])),
        cache_marks=marks,
        retry=retry,
    )
    return Packed(_encode(features))


def _counts(messages: list[msgspec.Raw]) -> _Counts:
    """What stands in the entries after the model's last one: nothing before them is new."""
    counts = _Counts()
    for raw in reversed(messages[-_TAIL:]):
        entry = _entry(raw)
        if entry is None or entry.role == "assistant" or entry.type in _OWN_TYPES:
            break
        if isinstance(entry, Entry):
            _count(entry, counts)
    return counts


def _entry(raw: msgspec.Raw) -> Speaker | None:
    """An entry; one with odd content counts as one without any, and what is no object is None."""
    for decode in (_decode_entry, _decode_speaker):
        try:
            return decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return None


def _marks(raw: msgspec.Raw) -> int:
    """Cache marks outside the conversation; those inside are counted where they are new."""
    return bytes(raw).count(b'"cache_control"')


def _tools(raw: msgspec.Raw) -> int:
    try:
        return len(_decode_tools(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0


def _count(entry: Entry, counts: _Counts) -> None:
    content = entry.content
    if entry.role == "tool" or entry.type in _RESULT_TYPES:
        counts.results += 1
    elif isinstance(content, str):
        counts.characters += len(content)
    elif content is not None:
        for part in content:
            _count_part(part, counts)


def _count_part(part: Part, counts: _Counts) -> None:
    kind = part.type
    counts.marks += part.cache_control is not ABSENT
    if kind == "tool_result":
        counts.results += 1
        counts.errors += part.is_error is True
    elif kind in _IMAGES:
        counts.images += 1
    elif kind in _DOCUMENTS:
        counts.documents += 1
    elif part.text is not None:
        counts.characters += len(part.text)
