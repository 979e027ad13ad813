"""Sums of the ledger as people ask for them: by key, user, team, ..., by hour or day. Pure folds over a port's cells.

Every row tells apart what the gateway's credentials paid (the row's own numbers) and what clients'
own did (`client_paid`, outside spend); and within a payer how the usage is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo
from itertools import pairwise
from typing import Final

import msgspec

from metis.analytics.ports import (
    BaselinePricer,
    Dimension,
    LedgerFilter,
    LedgerQueries,
    SpendCell,
    columns_of,
)
from metis.analytics.window import Interval, Window, edges
from metis.facts.usage import PaidBy, Usage, UsageSource

# What Metis itself asked for: it costs, and without Metis nobody would have paid a baseline model for it.
OVERHEAD_ROLES: Final = frozenset({"judge", "curator", "shadow", "hedge", "probe"})
_COMPARABLE_OPERATIONS: Final = frozenset({"generate", "completions"})


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens by kind. `output` includes `reasoning`; the input kinds do not overlap."""

    fresh: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0


class SourceSpend(msgspec.Struct, frozen=True, kw_only=True):
    """The share of a sum whose usage is known in one way."""

    calls: int = 0
    cost_nano_usd: int = 0


class UsageSources(msgspec.Struct, frozen=True, kw_only=True):
    """The three ways a usage is known, apart (promise P9). They add up to the sum they stand in."""

    reported: SourceSpend = SourceSpend()
    estimated: SourceSpend = SourceSpend()
    unknown: SourceSpend = SourceSpend()


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """What one payer's calls came to. `price_unknown_calls` are in `calls` and cost 0 here: nobody knows."""

    calls: int = 0
    errors: int = 0
    aborted: int = 0
    interrupted: int = 0
    tokens: Tokens = Tokens()
    cost_nano_usd: int = 0
    usage_source: UsageSources = UsageSources()
    price_unknown_calls: int = 0


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What the baseline model would have cost, beside what the same work did cost.

    `compared_calls` could be priced both ways; `compared_cost_nano_usd` is theirs and that of Metis's
    own calls. Calls left out (embedded models, unknown price or usage) are `uncompared_calls`.
    `baseline_nano_usd` and `saving_nano_usd` are None when nothing could be compared.
    """

    model: str = ""
    baseline_nano_usd: int | None = None
    compared_cost_nano_usd: int = 0
    saving_nano_usd: int | None = None
    compared_calls: int = 0
    uncompared_calls: int = 0


class SpendRow(msgspec.Struct, frozen=True, kw_only=True):
    """One group in one bucket of time. `window` is the bucket's, `group` maps columns to values."""

    group: dict[str, str]
    window: Window
    turns: int
    spend: Spend
    client_paid: Spend
    comparison: Comparison | None = None


class CostReport(msgspec.Struct, frozen=True, kw_only=True):
    """All rows, dearest first within each bucket of time, and their total. Empty buckets have no rows."""

    window: Window
    group_by: tuple[Dimension, ...]
    interval: Interval | None
    zone: str
    rows: tuple[SpendRow, ...]
    total: SpendRow
    open_calls: int


def cost(
    queries: LedgerQueries,
    where: LedgerFilter,
    group_by: Sequence[Dimension] = (),
    *,
    interval: Interval | None = None,
    zone: tzinfo = UTC,
    baseline: BaselinePricer | None = None,
) -> CostReport:
    """Report what was spent in `where.window`, by group and calendar interval.

    Without a baseline the rows carry no comparison. Raises BadRequest when the interval cuts the window
    into too many buckets, StorageError when the ledger cannot be read.
    """
    window = where.window
    cuts: tuple[int, ...] = ()
    if interval is not None:
        window = _closed(window, queries.extent())
        if window.start_us is not None and window.end_us is not None:
            cuts = edges(window.start_us, window.end_us, interval, zone)
    found = queries.spend(where, group_by, cuts, days_apart=baseline is not None)
    windows = [Window(start, end) for start, end in pairwise(cuts)] if cuts else [window]
    columns = columns_of(group_by)
    tallies: dict[tuple[int, tuple[str, ...]], Tally] = {}
    total = Tally(baseline)
    for cell in found.cells:
        tally = tallies.get((cell.bucket, cell.group))
        if tally is None:
            tally = tallies[cell.bucket, cell.group] = Tally(baseline)
        tally.add(cell)
    for count in found.turns:
        tally = tallies.setdefault((count.bucket, count.group), Tally(baseline))
        tally.turns += count.turns
    for tally in tallies.values():
        total.merge(tally)
    rows = [
        (bucket, tally.row(dict(zip(columns, group, strict=True)), windows[bucket]))
        for (bucket, group), tally in tallies.items()
    ]
    rows.sort(key=lambda item: (item[0], *_dearest(item[1])))
    return CostReport(
        window=window,
        group_by=tuple(group_by),
        interval=interval,
        zone=str(zone),
        rows=tuple(row for _, row in rows),
        total=total.row({}, window),
        open_calls=found.open_calls,
    )


def by_key(queries: LedgerQueries, where: LedgerFilter) -> CostReport:
    """What each key spent."""
    return cost(queries, where, ("key",))


def by_user(queries: LedgerQueries, where: LedgerFilter) -> CostReport:
    """What each user spent."""
    return cost(queries, where, ("user",))


def by_team(queries: LedgerQueries, where: LedgerFilter) -> CostReport:
    """What each team spent."""
    return cost(queries, where, ("team",))


def by_project(queries: LedgerQueries, where: LedgerFilter) -> CostReport:
    """What each project spent."""
    return cost(queries, where, ("project",))


def by_session(queries: LedgerQueries, where: LedgerFilter) -> CostReport:
    """What each conversation cost. Reads calls, not rollups: slower over long ranges."""
    return cost(queries, where, ("session",))


def by_model(queries: LedgerQueries, where: LedgerFilter) -> CostReport:
    """What was spent on each provider's model."""
    return cost(queries, where, ("model",))


def by_client(queries: LedgerQueries, where: LedgerFilter) -> CostReport:
    """What each client tool spent."""
    return cost(queries, where, ("client",))


class Tally:
    """A sum in the making: cells in, one row out. Adding in any order and grouping gives the same."""

    def __init__(self, baseline: BaselinePricer | None) -> None:
        self.turns = 0
        self._baseline = baseline
        self._payers = {payer: _PayerTally() for payer in PaidBy}
        self._baseline_nano_usd = 0
        self._compared_cost = 0
        self._compared_calls = 0
        self._uncompared_calls = 0

    def add(self, cell: SpendCell) -> None:
        """Add one cell's calls."""
        self._payers[cell.paid_by].add(cell)
        if self._baseline is not None and cell.paid_by is PaidBy.GATEWAY:
            self._compare(cell, self._baseline)

    def merge(self, other: Tally) -> None:
        """Add another sum to this one."""
        self.turns += other.turns
        for payer, tally in self._payers.items():
            tally.merge(other._payers[payer])
        self._baseline_nano_usd += other._baseline_nano_usd
        self._compared_cost += other._compared_cost
        self._compared_calls += other._compared_calls
        self._uncompared_calls += other._uncompared_calls

    def spend(self, payer: PaidBy) -> Spend:
        """What one payer's calls came to so far."""
        return self._payers[payer].value()

    def comparison(self) -> Comparison | None:
        """What the baseline model would have cost so far; None when no baseline is set."""
        if self._baseline is None:
            return None
        known = self._compared_calls > 0
        return Comparison(
            model=self._baseline.model,
            baseline_nano_usd=self._baseline_nano_usd if known else None,
            compared_cost_nano_usd=self._compared_cost,
            saving_nano_usd=self._baseline_nano_usd - self._compared_cost if known else None,
            compared_calls=self._compared_calls,
            uncompared_calls=self._uncompared_calls,
        )

    def row(self, group: dict[str, str], window: Window) -> SpendRow:
        """The sum as a report's row."""
        return SpendRow(
            group=group,
            window=window,
            turns=self.turns,
            spend=self.spend(PaidBy.GATEWAY),
            client_paid=self.spend(PaidBy.CLIENT),
            comparison=self.comparison(),
        )

    def _compare(self, cell: SpendCell, baseline: BaselinePricer) -> None:
        if cell.operation == "count_tokens":
            return  # free everywhere, so there is nothing to compare
        if cell.price_unknown_calls:
            self._uncompared_calls += cell.calls
            return
        if cell.role in OVERHEAD_ROLES or cell.outcome == "error":
            # A failed attempt's tokens are bought again by the attempt that cures it: pricing both for
            # the baseline would count its work twice, and so would overstate the saving.
            self._compared_cost += cell.cost_nano_usd
            return
        nano_usd = None
        if (
            cell.operation in _COMPARABLE_OPERATIONS
            and cell.usage_source is not UsageSource.UNKNOWN
        ):
            nano_usd = price_alike(baseline, cell)
        if nano_usd is None:
            self._uncompared_calls += cell.calls
            return
        self._compared_calls += cell.calls
        self._compared_cost += cell.cost_nano_usd
        self._baseline_nano_usd += nano_usd


def price_alike(baseline: BaselinePricer, cell: SpendCell) -> int | None:
    """Price a cell's calls for the baseline model as calls of the cell's mean size.

    Prices have tiers by prompt size, so a thousand calls must not be priced as one large one. The last
    call takes the remainder of the division, so that no token is lost. Exact for cells of one call.
    """
    if cell.calls == 1:
        return baseline.price(cell.provider, cell.model, cell.usage, cell.day_ts)
    mean, last = _split(cell.usage, cell.calls)
    each = baseline.price(cell.provider, cell.model, mean, cell.day_ts)
    rest = baseline.price(cell.provider, cell.model, last, cell.day_ts)
    return None if each is None or rest is None else each * (cell.calls - 1) + rest


def _split(usage: Usage, calls: int) -> tuple[Usage, Usage]:
    counts = {
        name: value
        for name in Usage.__struct_fields__
        if isinstance(value := getattr(usage, name), int)
    }
    mean = {name: value // calls for name, value in counts.items()}
    last = {name: value - mean[name] * (calls - 1) for name, value in counts.items()}
    mean_tools = {name: value // calls for name, value in usage.server_tools.items()}
    last_tools = {
        name: value - mean_tools[name] * (calls - 1) for name, value in usage.server_tools.items()
    }
    return Usage(**mean, server_tools=mean_tools), Usage(**last, server_tools=last_tools)


def _dearest(row: SpendRow) -> tuple[int, int, int, int, tuple[str, ...]]:
    return (
        -row.spend.cost_nano_usd,
        -row.client_paid.cost_nano_usd,
        -row.spend.calls - row.client_paid.calls,
        -row.turns,
        tuple(row.group.values()),
    )


def _closed(window: Window, extent: Window | None) -> Window:
    """Close a window's open ends at the ledger's own, so that it can be cut into buckets."""
    if extent is None:
        return window
    start = window.start_us if window.start_us is not None else extent.start_us
    end = window.end_us if window.end_us is not None else extent.end_us
    if start is None or end is None or start >= end:
        return window
    return Window(start, end)


class _PayerTally:
    """One payer's running numbers."""

    def __init__(self) -> None:
        self._calls = 0
        self._outcomes: dict[str, int] = {}
        self._tokens = [0] * 6
        self._cost = 0
        self._price_unknown = 0
        self._sources = {source: [0, 0] for source in UsageSource}

    def add(self, cell: SpendCell) -> None:
        self._calls += cell.calls
        self._outcomes[cell.outcome] = self._outcomes.get(cell.outcome, 0) + cell.calls
        self._add_tokens(_token_counts(cell.usage))
        self._cost += cell.cost_nano_usd
        self._price_unknown += cell.price_unknown_calls
        source = self._sources[cell.usage_source]
        source[0] += cell.calls
        source[1] += cell.cost_nano_usd

    def merge(self, other: _PayerTally) -> None:
        self._calls += other._calls
        for outcome, calls in other._outcomes.items():
            self._outcomes[outcome] = self._outcomes.get(outcome, 0) + calls
        self._add_tokens(other._tokens)
        self._cost += other._cost
        self._price_unknown += other._price_unknown
        for source, (calls, nano_usd) in other._sources.items():
            self._sources[source][0] += calls
            self._sources[source][1] += nano_usd

    def value(self) -> Spend:
        sources = {
            source.value: SourceSpend(calls=calls, cost_nano_usd=nano_usd)
            for source, (calls, nano_usd) in self._sources.items()
        }
        return Spend(
            calls=self._calls,
            errors=self._outcomes.get("error", 0),
            aborted=self._outcomes.get("aborted", 0),
            interrupted=self._outcomes.get("interrupted", 0),
            tokens=Tokens(**dict(zip(Tokens.__struct_fields__, self._tokens, strict=True))),
            cost_nano_usd=self._cost,
            usage_source=UsageSources(**sources),
            price_unknown_calls=self._price_unknown,
        )

    def _add_tokens(self, counts: Iterable[int]) -> None:
        for position, count in enumerate(counts):
            self._tokens[position] += count


def _token_counts(usage: Usage) -> tuple[int, ...]:
    """The counts in the order of Tokens' fields."""
    return (
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_5m_tokens,
        usage.cache_write_1h_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    )
