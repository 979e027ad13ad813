"""Textless features and outcome signals of a request (DESIGN section 5): counts and sizes, read once.

Reads the three shapes' entries generically (role, type, content items), since only counts are wanted.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from metis.trace.events.turn import TurnFeatures
from metis.wire.splice import Fields

_RESULT_TYPES: Final = frozenset(
    {"tool_result", "function_call_output", "custom_tool_call_output", "local_shell_call_output"}
)
_OWN_TYPES: Final = frozenset(
    {"function_call", "custom_tool_call", "reasoning", "local_shell_call", "compaction"}
)
_IMAGES: Final = frozenset({"image", "image_url", "input_image"})
_DOCUMENTS: Final = frozenset({"document", "file", "input_file"})
_TAIL: Final = 64  # entries looked at from the end: what came after the last answer is never more


def read_features(
    fields: Fields, messages: list[msgspec.Raw], request_bytes: int, *, retry: bool
) -> TurnFeatures:
    """Features of a request; nonsense in it counts as nothing. `messages`: its entries, undecoded."""
    counts: dict[str, int] = dict.fromkeys(
        ("results", "errors", "images", "documents", "characters", "marks"), 0
    )
    for raw in reversed(messages[-_TAIL:]):
        entry = _decode(raw)
        if not isinstance(entry, dict) or _is_own(entry):  # pyright: ignore[reportUnknownArgumentType] -- JSON
            break
        _count(entry, counts)  # pyright: ignore[reportUnknownArgumentType] -- JSON
    tools = _decode(fields["tools"]) if "tools" in fields else None
    return TurnFeatures(
        messages=len(messages),
        tools=len(tools) if isinstance(tools, list) else 0,  # pyright: ignore[reportUnknownArgumentType] -- JSON
        tool_results=counts["results"],
        tool_errors=counts["errors"],
        images=counts["images"],
        documents=counts["documents"],
        user_characters=counts["characters"],
        request_bytes=request_bytes,
        thinking="thinking" in fields or "reasoning" in fields or "reasoning_effort" in fields,
        structured_output=any(name in fields for name in ("response_format", "text"))
        or ("output_config" in fields and b'"format"' in bytes(fields["output_config"])),
        cache_marks=counts["marks"] + _marks_outside(fields),
        retry=retry,
    )


def _marks_outside(fields: Fields) -> int:
    """Cache marks in tools and system; those in the conversation are counted where they are new."""
    return sum(
        bytes(fields[name]).count(b'"cache_control"')
        for name in ("tools", "system")
        if name in fields
    )


def _decode(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _is_own(entry: dict[str, Any]) -> bool:
    """Whether the entry is the model's: what stands after the last such one is new."""
    return entry.get("role") == "assistant" or entry.get("type") in _OWN_TYPES


def _count(entry: dict[str, Any], counts: dict[str, int]) -> None:
    if entry.get("role") == "tool" or entry.get("type") in _RESULT_TYPES:
        counts["results"] += 1
        return
    content = entry.get("content")
    if isinstance(content, str):
        counts["characters"] += len(content)
        return
    for item in content if isinstance(content, list) else ():  # pyright: ignore[reportUnknownVariableType] -- JSON
        if not isinstance(item, dict):
            continue
        _count_item(item, counts)  # pyright: ignore[reportUnknownArgumentType] -- JSON


def _count_item(item: dict[str, Any], counts: dict[str, int]) -> None:
    kind = item.get("type")
    counts["marks"] += "cache_control" in item
    if kind == "tool_result":
        counts["results"] += 1
        counts["errors"] += item.get("is_error") is True
    elif kind in _IMAGES:
        counts["images"] += 1
    elif kind in _DOCUMENTS:
        counts["documents"] += 1
    elif isinstance(text := item.get("text"), str):
        counts["characters"] += len(text)
