"""How a scenario says what it found."""

from __future__ import annotations

import json
from typing import Any, Final

from metis.conformance.json_values import object_in

_SHOWN: Final = 300


class Failed(Exception):
    """What came is not what the API, or its users, must be able to expect."""

    def __init__(self, expected: str, seen: Any) -> None:
        text = seen if isinstance(seen, str) else json.dumps(seen, ensure_ascii=False, default=str)
        self.expected, self.seen = expected, text[:_SHOWN]
        super().__init__(f"expected {expected}; seen {self.seen}")


class NotApplicable(Exception):
    """The scenario cannot be judged here; the message says why, in plain words."""


def equal(what: str, seen: Any, expected: Any) -> None:
    """Raises Failed unless the two are the same; of two objects it shows the fields that differ."""
    if seen == expected:
        return
    if isinstance(seen, dict) and isinstance(expected, dict):
        came, wanted = object_in(seen), object_in(expected)
        other = [name for name in {**wanted, **came} if came.get(name) != wanted.get(name)]
        seen = {name: came.get(name) for name in other}
        expected = {name: wanted.get(name) for name in other}
    shown = json.dumps(expected, ensure_ascii=False, default=str)
    raise Failed(f"{what}: {shown[:_SHOWN]}", seen)


def check(holds: bool, expected: str, seen: Any) -> None:
    """Raises Failed unless it holds."""
    if not holds:
        raise Failed(expected, seen)
