from __future__ import annotations

from datetime import UTC, datetime

import pytest

from metis.analytics.baseline import ASSUMPTIONS, Baseline, baseline_of
from metis.analytics.ports import BaselinePricer
from metis.analytics.settings import AnalyticsSettings
from metis.catalog.price_data import PriceData, shipped_data
from metis.catalog.pricing import Prices
from metis.facts.usage import Usage

PRICES = Prices(PriceData(shipped_data()))
USAGE = Usage(
    input_tokens=1000, output_tokens=1000, cache_read_tokens=1000, cache_write_5m_tokens=1000
)


def micros(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000


NOW = micros(2026, 11, 22)


def test_the_same_tokens_are_priced_on_the_pinned_model() -> None:
    baseline: BaselinePricer = Baseline(PRICES, "claude-sonnet-4-5")
    # 3 + 15 + 0.30 + 3.75 USD per million, a thousand of each.
    assert baseline.model == "claude-sonnet-4-5"
    assert baseline.price("openai", "gpt-5-mini", USAGE, NOW) == 22_050_000


def test_the_baselines_price_is_that_of_the_calls_day() -> None:
    baseline = Baseline(PRICES, "o3", "openai")
    days = [micros(2025, 6, 9), micros(2025, 6, 10)]
    usage = Usage(input_tokens=1_000_000)
    found = [baseline.price("anthropic", "claude-opus-5", usage, day) for day in days]
    assert found == [10_000_000_000, 2_000_000_000]


@pytest.mark.parametrize(
    ("baseline", "provider", "usage"),
    [
        (Baseline(PRICES, "claude-sonnet-4-5"), "local", USAGE),
        (
            Baseline(PRICES, "claude-sonnet-4-5", embedded=frozenset({"tiny"})),
            "tiny",
            USAGE,
        ),
        (Baseline(PRICES, "no-such-model"), "openai", USAGE),
        (
            Baseline(PRICES, "claude-sonnet-4-5"),
            "openai",
            Usage(input_tokens=9, input_audio_tokens=3),
        ),
    ],
)
def test_where_nobody_can_say_nothing_is_said(
    baseline: Baseline, provider: str, usage: Usage
) -> None:
    assert baseline.price(provider, "any", usage, NOW) is None


def test_the_configuration_chooses_the_model_or_none() -> None:
    assert baseline_of(AnalyticsSettings(), PRICES) == Baseline(PRICES, "claude-sonnet-5-5")
    chosen = AnalyticsSettings(baseline_model="gpt-5.2", baseline_provider="openai")
    assert baseline_of(chosen, PRICES) == Baseline(PRICES, "gpt-5.2", "openai")
    assert baseline_of(AnalyticsSettings(baseline_model=""), PRICES) is None


def test_the_assumptions_can_be_read() -> None:
    assert len(ASSUMPTIONS.sentences()) == 4
    assert ASSUMPTIONS.sentences()[0] == "the baseline model counts 1 tokens for every token served"
