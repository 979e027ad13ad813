"""Counts as upstreams tell them, made safe to add up and to store. Which field counts what is each shape's business."""

from __future__ import annotations

from typing import Any, Final

# A hundred billion tokens: no model reads so many in a call, and what they cost still fits the ledger's 64 bits.
MOST_COUNTED: Final = 10**11
# Server tools that one usage may name, and how long a name may be: both come from the upstream.
_MOST_TOOLS: Final = 16
_LONGEST_NAME: Final = 64


def as_count(value: object) -> int:
    """A count; what is none (text, a truth value, negative, beyond `MOST_COUNTED`) counts as 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MOST_COUNTED:
        return int(value)
    return 0


def tool_counts(told: dict[str, Any], *, without: str = "") -> dict[str, int]:
    """Requests by server tool, those that are not 0. `without`: take only names with this ending, and take it off."""
    counted: dict[str, int] = {}
    for name, value in told.items():
        if name.endswith(without) and len(name) <= _LONGEST_NAME and (count := as_count(value)):
            counted[name.removesuffix(without)] = count
            if len(counted) == _MOST_TOOLS:
                break
    return counted
