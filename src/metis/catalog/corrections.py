"""Where the price package errs or is silent: each correction with its source. Applied when prices are compiled.

A correction names what it expects to find; when the package has changed its mind the correction is
left out and `compile_prices` says so, so that none outlives its reason.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from metis.catalog.price_data import Amount, Period

CLAUDE_LONG_WRITE: Final = Decimal(2)
"""A 1-hour cache write costs twice the base input price, on every platform that offers it.
Source: https://platform.claude.com/docs/en/about-claude/pricing#prompt-caching (Vertex AI and Bedrock
state the same ratio). The package has it for Anthropic's own list, rarely for others'."""


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """Prices to put over one period (by position) of one model, where they are still as `expected`.

    None in `expected` or `prices`: no such price.
    """

    provider: str
    model_id: str
    period: int = 0
    expected: dict[str, Amount | None]
    prices: dict[str, Amount | None]
    why: str
    source: str


CORRECTIONS: Final = (
    Correction(
        provider="anthropic",
        model_id="claude-sonnet-4-0",
        expected={"input_mtok": "3", "output_mtok": "15"},
        prices={
            "input_mtok": ("3", [(200_000, "6")]),
            "output_mtok": ("15", [(200_000, "22.5")]),
            "cache_read_mtok": ("0.3", [(200_000, "0.6")]),
            "cache_write_mtok": ("3.75", [(200_000, "7.5")]),
            "cache_write_1h_mtok": ("6", [(200_000, "12")]),
        },
        why="the long-context premium of the 1M beta is missing",
        source="https://docs.anthropic.com/en/docs/about-claude/pricing#long-context-pricing",
    ),
    Correction(
        provider="openrouter",
        model_id="anthropic/claude-sonnet-4",
        expected={"input_mtok": "3", "output_mtok": "15"},
        prices={
            "input_mtok": ("3", [(200_000, "6")]),
            "output_mtok": ("15", [(200_000, "22.5")]),
            "cache_read_mtok": ("0.3", [(200_000, "0.6")]),
            "cache_write_mtok": ("3.75", [(200_000, "7.5")]),
            "cache_write_1h_mtok": ("6", [(200_000, "12")]),
        },
        why="the long-context prices are missing",
        source="https://openrouter.ai/api/v1/models (pricing.overrides of anthropic/claude-sonnet-4)",
    ),
    Correction(
        provider="openai",
        model_id="o3",
        expected={"input_mtok": "10", "cache_read_mtok": "0.5"},
        prices={"cache_read_mtok": "2.5"},
        why="before 2025-06-10 cached input cost a quarter of $10, as it costs a quarter of $2 since",
        source="https://openai.com/index/introducing-o3-and-o4-mini/ (launch price list)",
    ),
    Correction(
        provider="openai",
        model_id="gpt-4o-audio-preview",
        expected={"input_audio_mtok": None, "output_audio_mtok": None},
        prices={"input_audio_mtok": "40", "output_audio_mtok": "80"},
        why="audio tokens are missing and would be unpriced",
        source="https://developers.openai.com/api/docs/models/gpt-4o-audio-preview",
    ),
    Correction(
        provider="openai",
        model_id="gpt-4o-mini-audio-preview",
        expected={"input_audio_mtok": None, "output_audio_mtok": None},
        prices={"input_audio_mtok": "10", "output_audio_mtok": "20"},
        why="audio tokens are missing and would be unpriced",
        source="https://developers.openai.com/api/docs/models/gpt-4o-mini-audio-preview",
    ),
    Correction(
        provider="openai",
        model_id="moderation",
        expected={"input_mtok": None, "output_mtok": None},
        prices={"input_mtok": "0", "output_mtok": "0"},
        why="moderation is free, which the package says with no price at all",
        source="https://developers.openai.com/api/docs/guides/moderation",
    ),
    Correction(
        provider="openai",
        model_id="gpt-6.1-terra",
        expected={"input_mtok": ("1", [(272_000, "2")]), "cache_write_1h_mtok": None},
        prices={"cache_write_1h_mtok": ("2.5", [(272_000, "5")])},
        why="writes kept for 12 hours cost $2.50; the ledger counts them as the long lifetime",
        source="https://developers.openai.com/api/docs/models/gpt-6.1-terra",
    ),
)


def correct(correction: Correction, periods: list[Period]) -> bool:
    """Apply one correction in place; False when the package no longer says what was expected."""
    if correction.period >= len(periods):
        return False
    prices = periods[correction.period].prices
    if any(prices.get(key) != value for key, value in correction.expected.items()):
        return False
    for key, value in correction.prices.items():
        if value is None:
            prices.pop(key, None)
        else:
            prices[key] = value
    return True


def price_free_variants(model_id: str, prices: dict[str, Amount]) -> None:
    """Put zeros where the list has nothing for a free variant, lest it be taken for unknown.

    Source: https://openrouter.ai/docs/guides/routing/model-variants/free
    """
    if model_id.endswith(":free") and not prices:
        prices.update(input_mtok="0", output_mtok="0")


def add_claude_long_writes(model_id: str, prices: dict[str, Amount]) -> None:
    """Give a Claude model that has a cache-write price its 1-hour price, where the list has none."""
    base = prices.get("input_mtok")
    lacks = "cache_write_mtok" in prices and "cache_write_1h_mtok" not in prices
    if "claude" not in model_id or not lacks or base is None:
        return
    if isinstance(base, str):
        prices["cache_write_1h_mtok"] = _twice(base)
    else:
        first, tiers = base
        prices["cache_write_1h_mtok"] = (
            _twice(first),
            [(start, _twice(amount)) for start, amount in tiers],
        )


def _twice(amount: str) -> str:
    doubled = Decimal(amount) * CLAUDE_LONG_WRITE
    return format(doubled.normalize(), "f")
