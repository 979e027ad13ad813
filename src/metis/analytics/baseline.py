"""What a call would have cost on one pinned model: the yardstick for savings. Pure; sums live in `spend`."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import msgspec

from metis.analytics.settings import AnalyticsSettings
from metis.catalog.pricing import Prices
from metis.facts.usage import Usage

_MICROSECONDS: Final = 1_000_000
EMBEDDED: Final = frozenset({"local"})
"""Providers that cost nothing anywhere: what they serve saves nothing."""


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """What re-pricing takes for granted; shown wherever savings are.

    `tokenizer_ratio`: tokens on the baseline model per token served. `same_cache`: it would have read
    and written the cache as often. `same_answer`: it would have answered at the same length.
    """

    tokenizer_ratio: Decimal = Decimal(1)
    same_cache: bool = True
    same_answer: bool = True

    def sentences(self) -> tuple[str, ...]:
        """The assumptions in plain words."""
        return (
            f"the baseline model counts {self.tokenizer_ratio} tokens for every token served",
            "its prompt cache would have hit as often",
            "its answers would have been as long",
            "turns that cost nothing anywhere (the embedded model) count as no saving",
        )


ASSUMPTIONS: Final = Assumptions()


@dataclass(frozen=True, slots=True)
class Baseline:
    """Prices calls as if one model had served them all: what `analytics.ports.BaselinePricer` asks for.

    `provider` is the price list `model` is on; `embedded` names the providers whose turns are left out.
    """

    prices: Prices
    model: str
    provider: str = "anthropic"
    embedded: frozenset[str] = field(default=EMBEDDED)

    def price(self, provider: str, model: str, usage: Usage, at_ts: int) -> int | None:
        """What `usage`, served by `provider`, would have cost on the baseline model, in nano-dollars.

        `at_ts` (epoch microseconds) is when: the baseline's price of that day counts. None when the
        provider is an embedded one, when the baseline has no price then, or none for a part of the usage.
        """
        if provider in self.embedded:
            return None
        cost = self.prices.cost(self.provider, self.model, usage, at_ts / _MICROSECONDS)
        if cost is None or cost.unknown_parts:
            return None
        return cost.nano_usd


def baseline_of(
    settings: AnalyticsSettings, prices: Prices, embedded: frozenset[str] = EMBEDDED
) -> Baseline | None:
    """The baseline the configuration asks for; None when it wants no comparison."""
    if not settings.baseline_model:
        return None
    return Baseline(prices, settings.baseline_model, settings.baseline_provider, embedded)
