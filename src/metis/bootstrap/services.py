"""Adapters between ports and what fills them: prices, keys, clock. Each is one small class."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter_ns
from time import time as epoch_seconds
from typing import Final

from metis.accounts.ports import AccountStore, Generations
from metis.accounts.ring import KeyRing
from metis.catalog.pricing import ModelPrice, Prices
from metis.facts.usage import Usage
from metis.turn.ports import Cost

_DAY_S: Final = 86_400
_UNKNOWN: Final = Cost(0, known=False)


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()
    time = staticmethod(epoch_seconds)
    monotonic_ns = staticmethod(perf_counter_ns)


class PriceBook:
    """The turn's Pricing port over the catalog's prices, compiled once per model and day."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._compiled: dict[tuple[str, str, int], ModelPrice | None] = {}

    def cost(self, provider: str, model: str, usage: Usage, at_s: float) -> Cost:
        key = (provider, model, int(at_s) // _DAY_S)
        try:
            price = self._compiled[key]
        except KeyError:
            at = datetime.fromtimestamp(at_s, UTC)
            price = self._compiled[key] = self._prices.compile(provider, model, at)
        if price is None:
            return _UNKNOWN
        cost = price.cost(usage)
        return Cost(cost.nano_usd, True, cost.unknown_parts)


class KeySource:
    """The keys as of now: read again when the generation in shared memory has moved."""

    def __init__(self, open_store: Callable[[], AccountStore], generations: Generations) -> None:
        self._open_store = open_store
        self._generations = generations
        self._generation = -1
        self._ring = KeyRing(())

    def ring(self) -> KeyRing:
        """Raises StorageError when the keys cannot be read: a revocation must never be missed."""
        generation = self._generations.keys()
        if generation != self._generation:
            store = self._open_store()
            try:
                self._ring = store.key_ring()
            finally:
                store.close()
            self._generation = generation
        return self._ring
