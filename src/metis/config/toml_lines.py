"""Where a setting stands in a TOML text: tomllib tells no positions, and a message without a line is half a message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART: Final = re.compile(r"""\s*(?:([A-Za-z0-9_-]+)|"([^"]*)"|'([^']*)')\s*(?:\.|$)""")
_TRIPLES: Final = ('"""', "'''")


def line_of(text: str, path: Sequence[str]) -> int | None:
    """Find the line (from 1) where `path` is set or opened; its nearest parent's when it stands inside a value.

    Path steps into arrays of tables are decimal indices, as in ("catalog", "prices", "0", "input").
    """
    wanted = tuple(path)
    best: int | None = None
    best_depth = 0
    for number, here in _definitions(text):
        depth = len(here)
        if depth > best_depth and here == wanted[:depth]:
            best, best_depth = number, depth
    return best


def _definitions(text: str) -> list[tuple[int, tuple[str, ...]]]:
    """Every header and key with its line, multi-line strings skipped."""
    found: list[tuple[int, tuple[str, ...]]] = []
    table: tuple[str, ...] = ()
    entries: dict[tuple[str, ...], int] = {}
    closing = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if closing:
            closing = "" if closing in line else closing
            continue
        header = _HEADER.match(line)
        if header:
            table = _parts(header[2])
            if header[1] == "[[":
                index = entries[table] = entries.get(table, -1) + 1
                table = (*table, str(index))
            found.append((number, table))
            continue
        key = _KEY.match(line)
        if key:
            found.append((number, (*table, *_parts(key[1]))))
        closing = next((t for t in _TRIPLES if line.count(t) % 2), "")
    return found


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(m[1] or m[2] or m[3] or "" for m in _PART.finditer(dotted))
