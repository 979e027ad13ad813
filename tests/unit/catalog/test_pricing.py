from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from metis.catalog import pricing
from metis.catalog.price_data import PriceData, shipped_data
from metis.catalog.pricing import Cost, Prices, load_prices
from metis.catalog.settings import CatalogSettings, OwnPrice
from metis.facts.usage import Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHIPPED = PriceData(shipped_data())
MILLION = Usage(input_tokens=1_000_000)
MIXED = Usage(input_tokens=10, output_tokens=1)


@pytest.fixture
def prices() -> Prices:
    return Prices(SHIPPED)


def entry(prices: Prices, provider: str, model: str) -> tuple[str, str] | None:
    found = prices.compile(provider, model, NOW)
    return None if found is None else (found.provider, found.model)


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("anthropic", "claude-sonnet-4-5[1m]", ("anthropic", "claude-sonnet-4-5")),
        ("anthropic", "anthropic/claude-sonnet-4-5-20250929", ("anthropic", "claude-sonnet-4-5")),
        ("anthropic", "Claude-Opus-5", ("anthropic", "claude-opus-5")),
        ("anthropic", "claude-opus-5-latest", ("anthropic", "claude-opus-5")),
        ("anthropic", "claude-fable-5-2-latest", ("anthropic", "claude-fable-5-2")),
        ("openai", "openai/gpt-5.2", ("openai", "gpt-5.2")),
        ("openai", "gpt-5.2-20251211", ("openai", "gpt-5.2")),
        ("openai", "gpt-4.1-2031-01-02", ("openai", "gpt-4.1")),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", ("openai", "ft:gpt-4o-mini")),
        ("azure", "gpt-4o", ("azure", "gpt-4o")),
        ("azure", "claude-opus-5-5", ("azure", "claude-opus-5-5")),
        ("vertex", "gemini-2.5-pro", ("google", "gemini-2.5-pro")),
        ("xai", "grok-4.3", ("x-ai", "grok-4.3")),
        ("openrouter", "openrouter/openai/gpt-5.2", ("openrouter", "openai/gpt-5.2")),
        ("openai", "gpt-9", None),
        ("openai", "claude-sonnet-4-5", None),
        ("openai", "gpt-5.2-turbo-max", None),
        ("nobody", "gpt-4o", None),
        ("openrouter", "nobody/nothing:free", None),
        ("openai", "", None),
    ],
)
def test_names_are_matched_in_their_many_spellings(
    prices: Prices, provider: str, model: str, expected: tuple[str, str] | None
) -> None:
    assert entry(prices, provider, model) == expected


def test_an_unknown_model_has_no_price_and_no_cost(prices: Prices) -> None:
    assert prices.compile("openai", "gpt-9", NOW) is None
    assert prices.cost("openai", "gpt-9", MILLION, NOW.timestamp()) is None


def test_a_free_variant_costs_nothing_and_says_so(prices: Prices) -> None:
    at_s = NOW.timestamp()
    free = "nvidia/nemotron-3-nano-30b-a3b:free"
    assert prices.cost("openrouter", free, MILLION, at_s) == Cost(0)


@pytest.mark.parametrize(
    ("hour", "usd"),
    [(0, "0.15"), (1, "0.3"), (4, "0.15"), (6, "0.3"), (9, "0.3"), (10, "0.15"), (23, "0.15")],
)
def test_prices_by_the_time_of_day_change_at_the_hour(prices: Prices, hour: int, usd: str) -> None:
    # Asked once before, so that what is kept must be told apart by the hour.
    for at in (NOW, NOW.replace(hour=hour, minute=0)):
        price = prices.compile("deepseek", "deepseek-flash", at)
    assert price is not None
    assert price.cost(MILLION) == Cost(int(Decimal(usd) * 10**9))


def test_a_day_begins_at_midnight_utc_whatever_the_zone(prices: Prices) -> None:
    kiritimati = timezone(timedelta(hours=14))
    before = datetime(2025, 6, 10, 13, 59, tzinfo=kiritimati)
    at = datetime(2025, 6, 10, 14, 0, tzinfo=kiritimati)
    found = [prices.compile("openai", "o3", moment) for moment in (before, at)]
    assert [price.cost(MILLION).nano_usd for price in found if price] == [10 * 10**9, 2 * 10**9]


def test_an_answer_is_kept_while_it_holds(prices: Prices) -> None:
    first = prices.compile("openai", "o3", datetime(2025, 6, 10, tzinfo=UTC))
    later = prices.compile("openai", "o3", datetime(2026, 6, 9, tzinfo=UTC))
    earlier = prices.compile("openai", "o3", datetime(2025, 6, 9, 23, 59, 59, tzinfo=UTC))
    assert first is later
    assert earlier is not None
    assert first is not None
    assert (earlier.valid_until_s, first.valid_from_s) == (first.valid_from_s, 1_749_513_600.0)


def test_a_service_tier_has_its_own_prices(prices: Prices) -> None:
    flex = prices.compile("openai", "gpt-5.2", NOW, {"service_tier": "flex"})
    default = prices.compile("openai", "gpt-5.2", NOW, {"service_tier": "nonsense"})
    assert flex is not None
    assert default is not None
    assert flex.cost(MILLION) == Cost(875_000_000)
    assert default.cost(MILLION) == Cost(1_750_000_000)


def test_what_is_kept_of_names_is_bounded(prices: Prices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "_MOST_KEPT", 3)
    for number in range(10):
        prices.compile("openai", f"nonsense-{number}", NOW)
    assert len(prices._kept) <= 3


def own(**fields: Any) -> OwnPrice:
    return msgspec.convert({"model": "*", "input": "1", "output": "2", **fields}, OwnPrice)


def test_an_own_price_goes_before_the_published_one() -> None:
    prices = Prices(SHIPPED, [own(model="gpt-4o*", provider="openai", input="7", output="9")])
    assert prices.cost("openai", "openai/gpt-4o-mini", MIXED, 0.0) == Cost(79_000)
    assert prices.cost("openrouter", "openai/gpt-4o", MIXED, 0.0) == Cost(35_000)
    found = prices.compile("openai", "gpt-4o", NOW)
    assert found is not None
    assert found.own


def test_an_own_price_serves_models_and_providers_nobody_else_knows() -> None:
    prices = Prices(
        SHIPPED,
        [
            own(
                model="house-model",
                input="0.5",
                cache_read="0.05",
                cache_write_5m="0.6",
                cache_write_1h="1",
                output="1.5",
                input_audio="3",
                output_audio="4",
                request="0.01",
                web_search="5",
            )
        ],
    )
    usage = Usage(
        input_tokens=11,
        input_audio_tokens=1,
        cache_read_tokens=20,
        cache_write_5m_tokens=10,
        cache_write_1h_tokens=3,
        output_tokens=3,
        output_audio_tokens=1,
        server_tools={"web_search_requests": 2},
    )
    # 10*500 + 3000 + 20*50 + 10*600 + 3*1000 + 2*1500 + 4000 + 10_000_000 + 2*5_000_000
    assert prices.cost("mine", "house-model", usage, 0.0) == Cost(20_025_000)


def test_dated_own_prices_hold_from_one_midnight_to_another() -> None:
    prices = Prices(
        SHIPPED,
        [
            own(model="m", **{"from": date(2026, 1, 2), "until": date(2026, 1, 4)}),
            own(model="m", input="5", **{"from": date(2026, 1, 10)}),
        ],
    )
    days = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4, 9, 10, 11)]
    # Twice, for what is kept of the first round must not mix days up in the second.
    for _ in range(2):
        found = [prices.cost("x", "m", Usage(input_tokens=1), day.timestamp()) for day in days]
        assert found == [None, Cost(1000), Cost(1000), None, None, Cost(5000), Cost(5000)]


@pytest.mark.parametrize(
    "fields",
    [
        {"input": "-1"},
        {"output": "NaN"},
        {"cache_read": "Infinity"},
        {"from": date(2026, 1, 2), "until": date(2026, 1, 2)},
        {"inptu": "1"},
    ],
)
def test_own_prices_that_make_no_sense_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        own(**fields)


def test_settings_read_as_people_write_them() -> None:
    text = """
    [aliases]
    fast = "openai/gpt-5-mini"
    [[prices]]
    model = "house"
    input = 0.1
    output = "0.3"
    from = 2026-01-01
    """
    assert msgspec.toml.decode(text, type=CatalogSettings) == CatalogSettings(
        aliases={"fast": "openai/gpt-5-mini"},
        prices=(
            OwnPrice(
                model="house",
                input=Decimal("0.1"),
                output=Decimal("0.3"),
                from_=date(2026, 1, 1),
            ),
        ),
    )


def test_the_shipped_prices_serve_while_the_package_is_the_same(tmp_path: Path) -> None:
    assert load_prices(tmp_path).version == SHIPPED.stamp.genai_prices
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_the_shipped_prices_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pricing, "installed_version", lambda: None)
    assert load_prices(tmp_path).version == SHIPPED.stamp.genai_prices


def test_another_version_of_the_package_is_compiled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def compile_prices() -> tuple[bytes, tuple[str, ...]]:
        compiled.append("once")
        newer = shipped_data().replace(SHIPPED.stamp.genai_prices.encode(), b"99.1", 1)
        return newer, ()

    monkeypatch.setattr(pricing, "installed_version", lambda: "99.1")
    monkeypatch.setattr(pricing, "compile_prices", compile_prices)
    cache = tmp_path / "cache"
    found = [load_prices(cache, [own(model="m")]) for _ in range(2)]
    assert [prices.version for prices in found] == ["99.1", "99.1"]
    assert compiled == ["once"]
    assert [path.name for path in cache.iterdir()] == ["prices-99.1-1.json"]
    assert found[1].cost("x", "m", MIXED, 0.0) == Cost(12_000)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"stamp":[0,"99.1"],"names":[],"providers":{}}'])
def test_a_broken_cache_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(pricing, "installed_version", lambda: "99.1")
    monkeypatch.setattr(pricing, "compile_prices", lambda: (shipped_data(), ()))
    cache = tmp_path / "prices-99.1-1.json"
    cache.write_bytes(content)
    assert entry(load_prices(tmp_path), "openai", "gpt-4o") == ("openai", "gpt-4o")
    assert cache.read_bytes() == shipped_data()


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pricing, "installed_version", lambda: "99.1")
    monkeypatch.setattr(pricing, "compile_prices", lambda: (shipped_data(), ()))
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    assert entry(load_prices(occupied), "openai", "gpt-4o") == ("openai", "gpt-4o")
