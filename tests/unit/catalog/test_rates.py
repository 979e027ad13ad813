from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metis.catalog.rates import Cost, ModelPrice, PriceLine, Steps, model_price
from metis.facts.usage import Usage

COUNTS = st.integers(min_value=0, max_value=2_000_000)
AMOUNTS = st.decimals(min_value=0, max_value=500, places=6)
KINDS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
)


def priced(**prices: str | Steps) -> ModelPrice:
    return model_price(
        "list",
        "model",
        {
            key: (Decimal(price), ()) if isinstance(price, str) else price
            for key, price in prices.items()
        },
    )


def exact_usd(price: ModelPrice, usage: Usage) -> Decimal:
    return sum((line.usd for line in price.lines(usage) if line.usd is not None), Decimal(0))


@given(usage=st.builds(Usage, **dict.fromkeys(KINDS, COUNTS)), prices=st.tuples(*[AMOUNTS] * 5))
def test_a_cost_is_the_exact_sum_rounded_once(
    usage: Usage, prices: tuple[Decimal, Decimal, Decimal, Decimal, Decimal]
) -> None:
    keys = (
        "input_mtok",
        "cache_read_mtok",
        "cache_write_mtok",
        "cache_write_1h_mtok",
        "output_mtok",
    )
    price = model_price(
        "list", "model", {key: (usd, ()) for key, usd in zip(keys, prices, strict=True)}
    )
    by_hand = sum(
        (getattr(usage, kind) * usd for kind, usd in zip(KINDS, prices, strict=True)), Decimal(0)
    )
    expected = (by_hand * 1000).quantize(Decimal(1), ROUND_HALF_EVEN)
    cost = price.cost(usage)
    assert cost == Cost(int(expected))
    assert type(cost.nano_usd) is int


@given(first=COUNTS, second=COUNTS, output=COUNTS)
def test_costs_add_up_over_tokens_but_for_rounding(first: int, second: int, output: int) -> None:
    price = priced(input_mtok="0.1234567", output_mtok="7.654321")
    together = price.cost(Usage(input_tokens=first + second, output_tokens=output)).nano_usd
    apart = (
        price.cost(Usage(input_tokens=first, output_tokens=output)).nano_usd
        + price.cost(Usage(input_tokens=second)).nano_usd
    )
    assert abs(together - apart) <= 1


@pytest.mark.parametrize(
    ("tokens", "nano_usd"),
    [(1, 0), (2, 1), (3, 2), (5, 2), (7, 4), (9, 4), (0, 0)],
)
def test_half_a_nano_dollar_goes_to_the_even_neighbour(tokens: int, nano_usd: int) -> None:
    # 0.0005 USD per million is half a nano-dollar per token.
    price = priced(input_mtok="0.0005", output_mtok="1")
    assert price.cost(Usage(input_tokens=tokens)) == Cost(nano_usd)


@pytest.mark.parametrize(
    ("usage", "nano_usd"),
    [
        (Usage(input_tokens=100), 100_000),
        (Usage(input_tokens=101), 202_000),
        (Usage(input_tokens=1, cache_read_tokens=100), 12_000),
        (Usage(cache_write_5m_tokens=60, cache_write_1h_tokens=41, output_tokens=1), 405_000),
        (Usage(input_tokens=300, output_tokens=1), 1_503_000),
    ],
)
def test_a_tier_holds_for_the_whole_request_once_the_prompt_is_over_it(
    usage: Usage, nano_usd: int
) -> None:
    price = priced(
        input_mtok=(Decimal(1), ((100, Decimal(2)), (200, Decimal(5)))),
        cache_read_mtok="0.1",
        cache_write_mtok=(Decimal(2), ((100, Decimal(4)),)),
        cache_write_1h_mtok=(Decimal(2), ((100, Decimal(4)),)),
        output_mtok=(Decimal(1), ((100, Decimal(1)), (200, Decimal(3)))),
    )
    assert price.cost(usage) == Cost(nano_usd)


def test_without_a_price_of_their_own_cache_reads_and_writes_cost_what_fresh_input_costs() -> None:
    price = priced(input_mtok="2", output_mtok="4")
    usage = Usage(cache_read_tokens=1, cache_write_5m_tokens=10, cache_write_1h_tokens=100)
    assert price.cost(usage) == Cost(222_000)


def test_a_long_write_is_unknown_where_short_ones_cost_extra_and_it_has_no_price() -> None:
    price = priced(input_mtok="1", cache_write_mtok="1.25", output_mtok="5")
    usage = Usage(input_tokens=10, cache_write_1h_tokens=3)
    assert price.cost(usage) == Cost(10_000, ("cache_write_1h",))


def test_audio_is_never_priced_as_text() -> None:
    price = priced(input_mtok="1", output_mtok="2")
    usage = Usage(input_tokens=11, input_audio_tokens=1, output_tokens=103, output_audio_tokens=100)
    assert price.cost(usage) == Cost(16_000, ("input_audio", "output_audio"))


def test_reasoning_is_part_of_the_output_unless_it_is_priced_apart() -> None:
    usage = Usage(output_tokens=100, reasoning_tokens=40)
    assert priced(input_mtok="1", output_mtok="2").cost(usage) == Cost(200_000)
    apart = priced(input_mtok="1", output_mtok="2", output_reasoning_mtok="3")
    assert apart.cost(usage) == Cost(240_000)


def test_server_tools_are_billed_per_thousand_and_unknown_ones_are_named() -> None:
    price = priced(input_mtok="1", output_mtok="2", web_searches_kcount="10")
    usage = Usage(
        input_tokens=1,
        server_tools={
            "web_search_requests": 2,
            "web_fetch_requests": 9,
            "code_execution_requests": 1,
            "telepathy_requests": 1,
        },
    )
    assert price.cost(usage) == Cost(20_001_000, ("code_execution_requests", "telepathy_requests"))


def test_a_price_per_request_is_added_once() -> None:
    price = priced(input_mtok="1", output_mtok="1", requests_kcount="12")
    assert price.cost(Usage(input_tokens=1)) == Cost(12_001_000)


def test_a_model_billed_by_the_hour_has_no_price_for_tokens() -> None:
    price = priced(audio_hours="3")
    assert price.cost(Usage(input_tokens=5, output_tokens=5)) == Cost(0, ("input", "output"))


def test_an_embedding_needs_no_output_price() -> None:
    assert priced(input_mtok="0.02").cost(Usage(input_tokens=1000)) == Cost(20_000)


def test_lines_show_units_and_unit_prices_and_sum_to_the_unrounded_cost() -> None:
    price = priced(
        input_mtok="3", cache_read_mtok="0.0005", output_mtok="15", web_searches_kcount="10"
    )
    usage = Usage(
        input_tokens=7,
        cache_read_tokens=1,
        output_tokens=2,
        output_audio_tokens=1,
        server_tools={"web_search_requests": 1},
    )
    assert price.lines(usage) == (
        PriceLine("input", 7, 1_000_000, Decimal(3), Decimal("0.000021")),
        PriceLine("cache_read", 1, 1_000_000, Decimal("0.0005"), Decimal("0.0000000005")),
        PriceLine("output", 1, 1_000_000, Decimal(15), Decimal("0.000015")),
        PriceLine("output_audio", 1, 1_000_000, None, None),
        PriceLine("web_search_requests", 1, 1_000, Decimal(10), Decimal("0.01")),
    )
    assert exact_usd(price, usage) == Decimal("0.0100360005")
    assert price.cost(usage) == Cost(10_036_000, ("output_audio",))


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "input_mtok",
                "cache_read_mtok",
                "cache_write_mtok",
                "cache_write_1h_mtok",
                "output_mtok",
                "output_reasoning_mtok",
                "requests_kcount",
            ]
        ),
        st.integers(0, 50).map(str),
    ),
    st.tuples(*[st.integers(0, 10_000)] * 4),
    st.integers(0, 10_000),
)
def test_the_most_that_tokens_can_cost_is_never_less_than_what_they_do(
    prices: dict[str, str], prompt: tuple[int, int, int, int], output: int
) -> None:
    fresh, read, short, long = prompt
    usage = Usage(
        input_tokens=fresh,
        cache_read_tokens=read,
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=long,
        output_tokens=output,
        reasoning_tokens=output // 2,
    )
    price = priced(**prices)
    assert price.most(sum(prompt), output) >= price.cost(usage).nano_usd
