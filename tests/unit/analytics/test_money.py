"""Nano-dollars as text: exact, whatever the size and sign."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metis.analytics.money import display, rounded, usd, with_dollars


@given(st.integers(-(10**18), 10**18))
def test_dollars_as_text_are_the_exact_amount(nano_usd: int) -> None:
    assert Decimal(usd(nano_usd)) * 1_000_000_000 == nano_usd
    assert Decimal(display(nano_usd).replace("$", "").replace(",", "")) == Decimal(usd(nano_usd))


@pytest.mark.parametrize(
    ("nano_usd", "exact", "shown", "short"),
    [
        (0, "0", "$0.00", "$0.0000"),
        (1, "0.000000001", "$0.000000001", "<$0.0001"),
        (-1, "-0.000000001", "-$0.000000001", ">-$0.0001"),
        (50_000, "0.00005", "$0.00005", "$0.0001"),
        (1_500_000_000, "1.5", "$1.50", "$1.5000"),
        (
            1_234_567_890_123_456_789,
            "1234567890.123456789",
            "$1,234,567,890.123456789",
            "$1,234,567,890.1235",
        ),
        (-999_950_000, "-0.99995", "-$0.99995", "-$1.0000"),
    ],
)
def test_each_form_of_an_amount(nano_usd: int, exact: str, shown: str, short: str) -> None:
    assert (usd(nano_usd), display(nano_usd), rounded(nano_usd)) == (exact, shown, short)


def test_dollars_stand_beside_nano_dollars_at_every_depth() -> None:
    value = {"cost_nano_usd": 5, "rows": [{"baseline_nano_usd": None, "name": "x"}], "n": 1}
    assert with_dollars(value) == {
        "cost_nano_usd": 5,
        "cost_usd": "0.000000005",
        "rows": [{"baseline_nano_usd": None, "baseline_usd": None, "name": "x"}],
        "n": 1,
    }
