"""Gathering what a crossing did: one Note per kind of thing, with its first place and how many more there were."""

from __future__ import annotations

import re

from metis.wire.codec import Note

_INDEX = re.compile(r"\[\d+\]")


class Notes:
    """Collect notes; the same thing at many places (a cache marker on each message) becomes one Note."""

    __slots__ = ("_first", "_more")

    def __init__(self) -> None:
        self._first: dict[tuple[str, str, str], Note] = {}
        self._more: dict[tuple[str, str, str], int] = {}

    def lost(self, path: str, why: str) -> None:
        self._add(Note("lost", path, why))

    def mapped(self, path: str, why: str) -> None:
        self._add(Note("mapped", path, why))

    def edited(self, path: str, why: str) -> None:
        self._add(Note("edited", path, why))

    def carried(self, path: str, why: str) -> None:
        self._add(Note("carried", path, why))

    def result(self) -> tuple[Note, ...]:
        return tuple(
            Note(note.verb, note.path, f"{note.why} (and {more} more)") if more else note
            for note, more in ((note, self._more[key]) for key, note in self._first.items())
        )

    def _add(self, note: Note) -> None:
        key = (note.verb, _INDEX.sub("[]", note.path), note.why)
        if key in self._first:
            self._more[key] += 1
        else:
            self._first[key], self._more[key] = note, 0
