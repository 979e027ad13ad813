"""Prices by provider, model and moment. The arithmetic lives in `rates`, the data file in `price_data`.

No worker imports the price package: the supervisor calls `load_prices` once, before it makes workers, and
they share what it returns. Nothing here is read at import.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from metis.catalog.compile_prices import compile_prices, installed_version
from metis.catalog.names import normalise
from metis.catalog.price_data import (
    FORMAT,
    Amount,
    ModelEntry,
    Period,
    PriceData,
    day_start,
    read_file,
    shipped_data,
)
from metis.catalog.rates import Cost, ModelPrice, PriceLine, Rates, Steps, model_price
from metis.catalog.settings import OwnPrice
from metis.facts.usage import Usage

__all__ = ["Cost", "ModelPrice", "PriceLine", "Prices", "Rates", "load_prices"]

_MOST_KEPT: Final = 4096  # names come from clients, so what is kept of them is bounded
_MOST_WINDOWS: Final = 64
_DAY_S: Final = 86_400
_EVER: Final = float("-inf")
_FOREVER: Final = float("inf")
# Own prices by their field, under the price package's keys.
_OWN_KEYS: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "input_audio": "input_audio_mtok",
    "output_audio": "output_audio_mtok",
    "web_search": "web_searches_kcount",
}

Context = Mapping[str, str]
"""What a request said that changes its price: `{"service_tier": "flex"}`, `{"speed": "fast"}`."""

_NO_CONTEXT: Final[frozenset[tuple[str, str]]] = frozenset()


class _Window(msgspec.Struct, frozen=True):
    """An answer and how long it holds: from `since_s` until before `until_s`."""

    since_s: float
    until_s: float
    price: ModelPrice | None


class Prices:
    """All prices: own ones from the configuration first, then the published lists."""

    __slots__ = ("_data", "_kept", "_own")

    def __init__(self, data: PriceData, own: Iterable[OwnPrice] = ()) -> None:
        self._data = data
        self._own = tuple(own)
        self._kept: dict[tuple[str, str, frozenset[tuple[str, str]]], list[_Window]] = {}

    @property
    def version(self) -> str:
        """The version of the price package that the lists come from."""
        return self._data.stamp.genai_prices

    def compile(
        self, provider: str, model: str, at: datetime, context: Context | None = None
    ) -> ModelPrice | None:
        """The price of `model` on the list of `provider` at a moment; None when nobody lists it.

        `provider` is a price list's id or a name that means one (`anthropic`, `openrouter`, `vertex`), `model` a
        name as clients or providers spell it, `at` a time with a zone (without one: UTC). None must be
        shown as unknown, never as zero. Answers are kept while they hold, which may be hours: some
        prices go by the time of day.
        """
        return self.at(provider, model, _epoch_s(at), context)

    def at(
        self, provider: str, model: str, at_s: float, context: Context | None = None
    ) -> ModelPrice | None:
        """As `compile`, for epoch seconds."""
        key = (provider, model, frozenset(context.items()) if context else _NO_CONTEXT)
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            kept = self._kept[key] = []
        for window in kept:
            if window.since_s <= at_s < window.until_s:
                return window.price
        window = self._look_up(provider, model, at_s, context or {})
        if len(kept) >= _MOST_WINDOWS:
            kept.clear()
        kept.append(window)
        return window.price

    def cost(self, provider: str, model: str, usage: Usage, at_s: float) -> Cost | None:
        """What a call cost that began at `at_s`; None when its model is on no list."""
        price = self.at(provider, model, at_s)
        return None if price is None else price.cost(usage)

    def _look_up(self, provider: str, model: str, at_s: float, context: Context) -> _Window:
        spellings = normalise(model).spellings
        list_id = self._data.provider_id(provider) or provider
        own = [one for one in self._own if _is_for(one, (provider, list_id), spellings)]
        since, until = _between([edge for one in own for edge in _edges(one)], at_s)
        for one in own:
            if _holds(one, at_s):
                return _Window(since, until, _own_price(provider, model, one, (since, until)))
        for spelling in spellings:
            entry = self._data.find(list_id, spelling)
            if entry is not None:
                listed_since, listed_until = _listed_window(entry, at_s)
                window = (max(since, listed_since), min(until, listed_until))
                prices = _listed_prices(entry, at_s, context)
                return _Window(*window, model_price(list_id, entry.model_id, prices, window=window))
        return _Window(since, until, None)


def load_prices(cache_dir: Path, own: Iterable[OwnPrice] = ()) -> Prices:
    """The prices of the genai-prices that is installed; call it once, in the supervisor. Reads and writes files.

    The shipped data is used when it was compiled from that very version, or when the package is not
    installed. Otherwise the installed one is compiled (0.5 s) into `cache_dir`, once per version. A
    cache that cannot be written costs that time at each start and is no error.
    """
    shipped = PriceData(shipped_data())
    installed = installed_version()
    if installed is None or installed == shipped.stamp.genai_prices:
        return Prices(shipped, own)
    cache = cache_dir / f"prices-{installed}-{FORMAT}.json"
    cached = read_file(cache)
    if cached is not None and cached.stamp.genai_prices == installed:
        return Prices(cached, own)
    data, _ = compile_prices()
    with suppress(OSError):
        cache_dir.mkdir(parents=True, exist_ok=True)
        fresh = cache.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(data)
        fresh.replace(cache)
    return Prices(PriceData(data), own)


def _epoch_s(at: datetime) -> float:
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def _between(edges: Iterable[float], at_s: float) -> tuple[float, float]:
    """The nearest edges around a moment: what holds at it holds from the one until before the other."""
    since, until = _EVER, _FOREVER
    for edge in edges:
        if edge <= at_s:
            since = max(since, edge)
        else:
            until = min(until, edge)
    return since, until


def _is_for(own: OwnPrice, providers: tuple[str, ...], spellings: tuple[str, ...]) -> bool:
    wanted = own.model.lower()
    return any(fnmatchcase(one, own.provider) for one in providers) and any(
        spelling == wanted or fnmatchcase(spelling, wanted) for spelling in spellings
    )


def _edges(own: OwnPrice) -> tuple[float, ...]:
    return tuple(day_start(day.isoformat()) for day in (own.from_, own.until) if day is not None)


def _holds(own: OwnPrice, at_s: float) -> bool:
    begun = own.from_ is None or at_s >= day_start(own.from_.isoformat())
    return begun and (own.until is None or at_s < day_start(own.until.isoformat()))


def _own_price(provider: str, model: str, own: OwnPrice, window: tuple[float, float]) -> ModelPrice:
    prices: dict[str, Steps] = {}
    for field, key in _OWN_KEYS.items():
        amount: Decimal | None = getattr(own, field)
        if amount is not None:
            prices[key] = (amount, ())
    if own.request is not None:
        prices["requests_kcount"] = (own.request * 1000, ())
    return model_price(provider, model, prices, own=True, window=window)


def _listed_window(entry: ModelEntry, at_s: float) -> tuple[float, float]:
    """How long around a moment none of an entry's periods begins or ends."""
    midnight = at_s - at_s % _DAY_S
    edges: list[float] = []
    for period in (*entry.periods, *(variant.period for variant in entry.variants)):
        if period.from_day is not None:
            edges.append(day_start(period.from_day))
        for second in (period.from_s, period.until_s):
            if second is not None:
                edges += (midnight + day * _DAY_S + second for day in (-1, 0, 1))
    return _between(edges, at_s)


def _listed_prices(entry: ModelEntry, at_s: float, context: Context) -> dict[str, Steps]:
    """The prices of an entry at a moment: the last active period's (else the first's), variants over them.

    Of several variants that apply the first has the say, for each price by itself.
    """
    standard: Period = entry.periods[0]
    for period in entry.periods:
        if period.active(at_s):
            standard = period
    amounts: dict[str, Amount] = {}
    for variant in entry.variants:
        applies = all(context.get(key) == value for key, value in variant.when.items())
        if applies and variant.period.active(at_s):
            amounts = {**variant.period.prices, **amounts}
    return {key: _steps(amount) for key, amount in {**standard.prices, **amounts}.items()}


def _steps(amount: Amount) -> Steps:
    if isinstance(amount, str):
        return Decimal(amount), ()
    first, tiers = amount
    return Decimal(first), tuple((start, Decimal(text)) for start, text in tiers)
