"""Adapters between ports and what fills them: keys, clock. Each is one small class."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, perf_counter_ns
from time import time as epoch_seconds
from typing import Final

from metis.accounts.ports import AccountStore, Generations
from metis.accounts.ring import KeyRing
from metis.storage.board import Board

_REFRESH_S: Final = 5.0


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()
    time = staticmethod(epoch_seconds)
    monotonic_ns = staticmethod(perf_counter_ns)


class KeySource:
    """The keys as of now: read again when the generation in shared memory has moved.

    They are read again every few seconds too: a process killed between its commit and its bump would
    otherwise leave a revoked key alive.
    """

    def __init__(self, open_store: Callable[[], AccountStore], generations: Generations) -> None:
        self._open_store = open_store
        self._generations = generations
        self._generation = -1
        self._stale_at = 0.0
        self._ring = KeyRing(())

    def ring(self) -> KeyRing:
        """Raises StorageError when the keys cannot be read: a revocation must never be missed."""
        generation = self._generations.keys()
        if generation != self._generation or monotonic() > self._stale_at:
            store = self._open_store()
            try:
                self._ring = store.key_ring()
            finally:
                store.close()
            self._generation = generation
            self._stale_at = monotonic() + _REFRESH_S
        return self._ring


class BoardTotals:
    """The board's sums, by plain names, as the metrics want them."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def totals(self) -> dict[str, int]:
        return {str(name): value for name, value in self._board.totals().items()}
