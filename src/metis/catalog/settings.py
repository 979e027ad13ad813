"""The `[catalog]` table of metis.toml: aliases and own prices. Values only."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

import msgspec

# Beyond any price there is. Costs are whole numbers of the finest part, so either would make them unwieldy.
_MOST_USD: Final = 1_000_000
_FINEST: Final = 12


class OwnPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price of your own, one `[[catalog.prices]]` entry; it goes before the published one.

    `model` and `provider` are globs (`my-model`, `gpt-*`); `provider` is matched against the price
    list's name (`openai`, `anthropic`, or what `price_provider` says). Token prices are USD per
    million tokens, `request` is USD per request, `web_search` USD per thousand searches; write
    them as strings to be safe from binary fractions (`input = "0.15"`). A price left out falls back
    as described in `catalog.rates`. `from` is the first UTC day it holds, `until` the first it no longer does.
    """

    model: str
    provider: str = "*"
    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None
    input_audio: Decimal | None = None
    output_audio: Decimal | None = None
    request: Decimal | None = None
    web_search: Decimal | None = None
    from_: date | None = msgspec.field(default=None, name="from")
    until: date | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, Decimal) and not (value.is_finite() and value >= 0):
                raise ValueError(f"{name} must be a price of 0 or more, not {value}")
            if isinstance(value, Decimal) and (value > _MOST_USD or value != round(value, _FINEST)):
                raise ValueError(
                    f"{name} must be at most {_MOST_USD:,} USD with at most {_FINEST} decimals"
                )
        if self.from_ is not None and self.until is not None and self.from_ >= self.until:
            raise ValueError(f"from {self.from_} is not before until {self.until}")


class CatalogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`aliases`: other names for models, `fast = "openai/gpt-5-mini"`. `prices`: own prices; the first match holds."""

    aliases: dict[str, str] = {}
    prices: tuple[OwnPrice, ...] = ()
