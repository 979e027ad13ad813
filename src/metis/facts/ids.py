"""Identifiers: time-ordered, unique across workers. Other people's id formats do not live here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32: sorts as it counts


def _base32(value: int, length: int) -> str:
    chars = [""] * length
    for position in range(length - 1, -1, -1):
        chars[position] = _ALPHABET[value & 31]
        value >>= 5
    return "".join(chars)


class IdFactory:
    """Mint ids like `turn_01k3q…`: 48 bits of milliseconds, 50 random bits of the factory, a counter.

    Ids of one factory are ordered by time and, within a millisecond, by the counter; the random part,
    drawn once, keeps factories apart without a system call per id. A factory belongs to one process:
    a fork makes a new one.
    """

    __slots__ = ("_clock", "_counter", "_head", "_last_ms", "_own")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._own = _base32(int.from_bytes(os.urandom(8), "big"), 10)
        self._counter = 0
        self._last_ms = -1
        self._head = ""

    def new(self, prefix: str) -> str:
        return f"{prefix}_{self.stem()}"

    def stem(self) -> str:
        """An id without its prefix, for those who make several ids of one thing: `turn_X`, `call_X_1`, `evt_X_1`."""
        now_ms = int(self._clock() * 1000)
        if now_ms != self._last_ms:
            self._last_ms = now_ms
            self._head = _base32(now_ms, 10)
        self._counter += 1
        return f"{self._head}{self._counter:08x}{self._own}"
