"""Gathering what a crossing did, in bounded number. What is worth a note is decided by the encoders."""

from __future__ import annotations

from typing import Literal

from metis.wire.codec import Note
from metis.wire.losses import lost_names, says_something

MAX_NOTES = 256  # a history of thousands of items may lose the same field in each of them

Verb = Literal["edited", "mapped", "carried", "lost"]


class Notes:
    """Notes in the order they were made; beyond MAX_NOTES only a count is kept.

    `api` is what the shape is called in a sentence: "has no place in {api}".
    """

    __slots__ = ("_beyond", "_found", "api")

    def __init__(self, api: str) -> None:
        self.api = api
        self._found: list[Note] = []
        self._beyond = 0

    def add(self, verb: Verb, path: str, why: str) -> None:
        if len(self._found) >= MAX_NOTES:
            self._beyond += 1
        else:
            self._found.append(Note(verb, path, why))

    def lost(self, path: str, why: str) -> None:
        self.add("lost", path, why)

    def lost_fields(self, extras: dict[str, object], where: str) -> None:
        """List fields of another shape that have no place here; null and empty ones say nothing."""
        for key, value in extras.items():
            if says_something(value):
                self.lost(f"{where}.{key}" if where else key, f"has no place in {self.api}")

    def lost_envelope(self, extras: dict[str, object]) -> None:
        """One note for all of an answer's own top-level fields: others echo the request in twenty of them."""
        names = lost_names(extras)
        if names:
            self.lost("", f"fields of the answer without a place here: {', '.join(names)}")

    def all(self) -> tuple[Note, ...]:
        if self._beyond:
            return (*self._found, Note("lost", "", f"and {self._beyond} more notes"))
        return tuple(self._found)
