"""Reports fold cells: any grouping and any bucketing has the same total, and savings are never overstated."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metis.analytics import spend
from metis.analytics.ports import (
    COLUMNS,
    Dimension,
    LedgerFilter,
    SpendCell,
    SpendCells,
    TurnCount,
    columns_of,
)
from metis.analytics.spend import (
    Comparison,
    SourceSpend,
    Spend,
    SpendRow,
    Tokens,
    UsageSources,
    cost,
    price_alike,
)
from metis.analytics.window import HOUR_US, Window
from metis.facts.usage import PaidBy, Usage, UsageSource

DAY_US = 24 * HOUR_US


class FlatBaseline:
    """A baseline that asks 10 nano-dollars a token, twice that over 1000 tokens of prompt."""

    model = "big-model"

    def price(self, provider: str, model: str, usage: Usage, at_ts: int) -> int | None:
        if provider == "local":
            return None
        rate = 20 if usage.prompt_tokens > 1000 else 10
        return usage.total_tokens * rate


class Cells:
    """A ledger that holds ready cells, each with a time; only what `cost` asks is there."""

    def __init__(self, timed: Sequence[tuple[int, dict[str, str], dict[str, Any]]]) -> None:
        self._timed = timed
        self.days_apart: bool | None = None

    def spend(
        self,
        where: LedgerFilter,
        group_by: Sequence[Dimension] = (),
        edges: Sequence[int] = (),
        *,
        days_apart: bool = False,
    ) -> SpendCells:
        self.days_apart = days_apart
        windows = [Window(a, b) for a, b in itertools.pairwise(edges)] or [where.window]
        cells: list[SpendCell] = []
        turns: list[TurnCount] = []
        for bucket, window in enumerate(windows):
            for ts, owner, fields in self._timed:
                if window.start_us is not None and ts < window.start_us:
                    continue
                if window.end_us is not None and ts >= window.end_us:
                    continue
                group = tuple((owner | fields)[name] for name in columns_of(group_by))
                cells.append(cell(bucket=bucket, group=group, **fields))
                turns.append(TurnCount(bucket, group, 1))
        return SpendCells(cells, turns, 3)

    def extent(self) -> Window | None:
        instants = [ts for ts, _, _ in self._timed]
        return Window(min(instants), max(instants) + 1) if instants else None


def cell(**fields: Any) -> SpendCell:
    given_fields: dict[str, Any] = {
        "bucket": 0,
        "group": (),
        "day_ts": 0,
        "provider": "anthropic",
        "model": "small",
        "operation": "generate",
        "role": "main",
        "paid_by": PaidBy.GATEWAY,
        "usage_source": UsageSource.REPORTED,
        "outcome": "ok",
        "calls": 1,
        "usage": Usage(input_tokens=100, output_tokens=10),
        "cost_nano_usd": 500,
        "price_unknown_calls": 0,
        **fields,
    }
    return SpendCell(**given_fields)


def report(*cells: dict[str, Any], baseline: Any = None, **options: Any) -> spend.CostReport:
    owner = {name: "x" for columns in COLUMNS.values() for name in columns}
    queries: Any = Cells([(index, owner, fields) for index, fields in enumerate(cells)])
    return cost(queries, LedgerFilter(), baseline=baseline, **options)


CELLS = st.fixed_dictionaries(
    {
        "provider": st.sampled_from(["anthropic", "openai", "local"]),
        "model": st.sampled_from(["m1", "m2"]),
        "role": st.sampled_from(["main", "shadow"]),
        "outcome": st.sampled_from(["ok", "error", "aborted", "interrupted"]),
        "paid_by": st.sampled_from(list(PaidBy)),
        "usage_source": st.sampled_from(list(UsageSource)),
        "calls": st.integers(1, 50),
        "usage": st.builds(
            Usage, input_tokens=st.integers(0, 5000), output_tokens=st.integers(0, 5000)
        ),
        "cost_nano_usd": st.integers(0, 10**15),
        "price_unknown_calls": st.sampled_from([0, 0, 1]),
    }
)
OWNERS = st.fixed_dictionaries(
    {
        name: st.sampled_from([f"{name}-1", f"{name}-2"])
        for name in sorted({name for columns in COLUMNS.values() for name in columns})
    }
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40 * DAY_US), OWNERS, CELLS), max_size=15),
    st.lists(st.sampled_from(list(COLUMNS)), max_size=2),
    st.sampled_from([None, "day", "week", "month"]),
)
def test_rows_of_any_grouping_and_interval_add_up_to_the_ledger(
    timed: list[Any], group_by: list[Dimension], interval: Any
) -> None:
    queries: Any = Cells(timed)
    found = cost(queries, LedgerFilter(), group_by, interval=interval, baseline=FlatBaseline())
    for payer, total in (("spend", PaidBy.GATEWAY), ("client_paid", PaidBy.CLIENT)):
        own = [fields for _, _, fields in timed if fields["paid_by"] is total]
        whole: Spend = getattr(found.total, payer)
        assert whole.cost_nano_usd == sum(fields["cost_nano_usd"] for fields in own)
        assert whole.calls == sum(fields["calls"] for fields in own)
        rows: list[Spend] = [getattr(row, payer) for row in found.rows]
        for name in ("cost_nano_usd", "calls", "errors", "price_unknown_calls"):
            assert sum(getattr(row, name) for row in rows) == getattr(whole, name)
        for name in Tokens.__struct_fields__:
            assert sum(getattr(row.tokens, name) for row in rows) == getattr(whole.tokens, name)
        for row in (*rows, whole):
            sources = [getattr(row.usage_source, name) for name in UsageSources.__struct_fields__]
            assert sum(source.cost_nano_usd for source in sources) == row.cost_nano_usd
            assert sum(source.calls for source in sources) == row.calls
    assert found.total.turns == sum(row.turns for row in found.rows) == len(timed)
    comparisons = [row.comparison for row in found.rows if row.comparison is not None]
    assert found.total.comparison is not None
    assert (found.total.comparison.baseline_nano_usd or 0) == sum(
        comparison.baseline_nano_usd or 0 for comparison in comparisons
    )


def test_a_row_says_everything_and_keeps_payers_apart() -> None:
    found = report(
        {"cost_nano_usd": 5},
        {"cost_nano_usd": 3, "usage_source": UsageSource.ESTIMATED, "outcome": "aborted"},
        {"cost_nano_usd": 0, "usage_source": UsageSource.UNKNOWN, "outcome": "interrupted"},
        {"cost_nano_usd": 0, "price_unknown_calls": 1, "outcome": "error"},
        {"cost_nano_usd": 900, "paid_by": PaidBy.CLIENT},
        group_by=("user",),
    )
    assert found.rows == (
        SpendRow(
            group={"user_id": "x"},
            window=Window(),
            turns=5,
            spend=Spend(
                calls=4,
                errors=1,
                aborted=1,
                interrupted=1,
                tokens=Tokens(fresh=400, output=40),
                cost_nano_usd=8,
                usage_source=UsageSources(
                    reported=SourceSpend(calls=2, cost_nano_usd=5),
                    estimated=SourceSpend(calls=1, cost_nano_usd=3),
                    unknown=SourceSpend(calls=1),
                ),
                price_unknown_calls=1,
            ),
            client_paid=Spend(
                calls=1,
                tokens=Tokens(fresh=100, output=10),
                cost_nano_usd=900,
                usage_source=UsageSources(reported=SourceSpend(calls=1, cost_nano_usd=900)),
            ),
        ),
    )
    assert found.open_calls == 3


def test_rows_come_dearest_first_within_each_bucket() -> None:
    owner = {name: "" for columns in COLUMNS.values() for name in columns}
    timed = [
        (0, owner | {"user_id": "ann"}, {"cost_nano_usd": 1}),
        (1, owner | {"user_id": "bob"}, {"cost_nano_usd": 2}),
        (DAY_US, owner | {"user_id": "cid"}, {"cost_nano_usd": 9}),
    ]
    queries: Any = Cells(timed)
    found = cost(queries, LedgerFilter(), ("user",), interval="day")
    assert [(row.window, row.group["user_id"]) for row in found.rows] == [
        (Window(0, DAY_US), "bob"),
        (Window(0, DAY_US), "ann"),
        (Window(DAY_US, DAY_US + 1), "cid"),
    ]


def test_an_empty_ledger_gives_an_empty_report() -> None:
    queries: Any = Cells([])
    found = cost(queries, LedgerFilter(), ("key",), interval="day", zone=UTC)
    assert (found.rows, found.total.spend, found.total.comparison) == ((), Spend(), None)


def test_named_groupings_group_by_their_columns() -> None:
    named = {
        spend.by_key: {"key_id"},
        spend.by_user: {"user_id"},
        spend.by_team: {"team_id"},
        spend.by_project: {"project_id"},
        spend.by_session: {"key_id", "session_id"},
        spend.by_model: {"provider", "model"},
        spend.by_client: {"client"},
    }
    owner = {name: "x" for columns in COLUMNS.values() for name in columns}
    queries: Any = Cells([(0, owner, {})])
    found = {function: set(function(queries, LedgerFilter()).rows[0].group) for function in named}
    assert found == named


def compare(*cells: dict[str, Any]) -> Comparison:
    found = report(*cells, baseline=FlatBaseline()).total.comparison
    assert found is not None
    return found


def test_savings_compare_the_same_calls() -> None:
    assert compare({}, {"cost_nano_usd": 100}) == Comparison(
        model="big-model",
        baseline_nano_usd=2200,
        compared_cost_nano_usd=600,
        saving_nano_usd=1600,
        compared_calls=2,
    )


@pytest.mark.parametrize(
    "left_out",
    [
        {"provider": "local", "cost_nano_usd": 0},
        {"usage_source": UsageSource.UNKNOWN, "cost_nano_usd": 0},
        {"price_unknown_calls": 1, "cost_nano_usd": 0},
        {"operation": "embeddings"},
        {"operation": "relay"},
    ],
)
def test_what_cannot_be_compared_saves_nothing_and_is_counted(left_out: dict[str, Any]) -> None:
    alone = compare({})
    assert compare({}, left_out) == Comparison(
        model="big-model",
        baseline_nano_usd=alone.baseline_nano_usd,
        compared_cost_nano_usd=alone.compared_cost_nano_usd,
        saving_nano_usd=alone.saving_nano_usd,
        compared_calls=1,
        uncompared_calls=1,
    )
    assert compare(left_out) == Comparison(model="big-model", uncompared_calls=1)


def test_token_counting_is_free_everywhere_and_not_compared() -> None:
    assert compare({}, {"operation": "count_tokens", "cost_nano_usd": 0}) == compare({})


def test_embedded_turns_alone_save_nothing() -> None:
    assert compare({"provider": "local", "cost_nano_usd": 0}).saving_nano_usd is None


def test_metiss_own_calls_and_failed_attempts_lessen_the_saving() -> None:
    found = compare({}, {"role": "judge", "cost_nano_usd": 70}, {"outcome": "error"})
    assert (found.baseline_nano_usd, found.compared_cost_nano_usd) == (1100, 500 + 70 + 500)
    assert (found.saving_nano_usd, found.compared_calls) == (30, 1)


def test_client_paid_calls_are_in_no_comparison() -> None:
    assert compare({"paid_by": PaidBy.CLIENT}) == Comparison(model="big-model")


def test_alike_calls_are_priced_as_calls_of_their_mean_size_not_as_one_large_one() -> None:
    small = cell(calls=7, usage=Usage(input_tokens=7 * 900 + 3, output_tokens=5))
    assert price_alike(FlatBaseline(), small) == (7 * 900 + 3 + 5) * 10
    one = cell(calls=1, usage=Usage(input_tokens=2000))
    assert price_alike(FlatBaseline(), one) == 40_000


def test_days_are_asked_apart_only_for_a_baseline() -> None:
    queries: Any = Cells([])
    cost(queries, LedgerFilter())
    assert queries.days_apart is False
    cost(queries, LedgerFilter(), baseline=FlatBaseline())
    assert queries.days_apart is True
