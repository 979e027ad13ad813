"""The receipt of a session or a command: what it used, what it cost, what the baseline model would have cost.

Values and plain text; colours and terminals belong to the command line. Unlike reports over long
ranges, a receipt is folded call by call, so its baseline is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from metis.analytics.money import NANO, display, with_dollars
from metis.analytics.ports import (
    BaselinePricer,
    CallRecord,
    LedgerFilter,
    LedgerQueries,
    SpendCell,
)
from metis.analytics.spend import Comparison, Spend, Tally, Tokens
from metis.facts.usage import PaidBy

_PAGE: Final = 2000


class ModelLine(msgspec.Struct, frozen=True, kw_only=True):
    """One model's share, of one payer."""

    provider: str
    model: str
    paid_by: PaidBy
    turns: int
    spend: Spend


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a session, a set of turns or a stretch of time came to.

    `spend` is what the gateway's credentials paid, `client_paid` what clients' own did, outside it.
    `turns` made at least one call that was not token counting. `open_calls` have not ended, so they are
    in no sum. Times are epoch microseconds, None when there was no call.
    """

    title: str = ""
    first_ts: int | None = None
    last_ts: int | None = None
    turns: int = 0
    models: tuple[ModelLine, ...] = ()
    spend: Spend = Spend()
    client_paid: Spend = Spend()
    comparison: Comparison | None = None
    open_calls: int = 0


def receipt(
    queries: LedgerQueries,
    where: LedgerFilter,
    *,
    baseline: BaselinePricer | None = None,
    title: str = "",
) -> Receipt:
    """Make the receipt of a session, of turns, of a key or since an instant, whatever `where` says.

    Raises StorageError when the ledger cannot be read.
    """
    return fold(_all_calls(queries, where), baseline=baseline, title=title)


def fold(
    calls: Iterable[CallRecord], *, baseline: BaselinePricer | None = None, title: str = ""
) -> Receipt:
    """Fold calls into a receipt."""
    total = Tally(baseline)
    lines: dict[tuple[PaidBy, str, str], _Line] = {}
    turn_ids: set[str] = set()
    first: int | None = None
    last: int | None = None
    open_calls = 0
    for call in calls:
        first = call.started_ts if first is None else min(first, call.started_ts)
        if call.completed_ts is None:
            open_calls += 1
            continue
        last = call.completed_ts if last is None else max(last, call.completed_ts)
        cell = _cell_of(call)
        total.add(cell)
        line = lines.setdefault((call.paid_by, call.provider, call.model), _Line())
        line.tally.add(cell)
        if call.operation != "count_tokens":
            line.turn_ids.add(call.turn_id)
            turn_ids.add(call.turn_id)
    models = [
        ModelLine(
            provider=provider,
            model=model,
            paid_by=paid_by,
            turns=len(line.turn_ids),
            spend=line.tally.spend(paid_by),
        )
        for (paid_by, provider, model), line in lines.items()
    ]
    models.sort(
        key=lambda m: (m.paid_by is PaidBy.CLIENT, -m.spend.cost_nano_usd, m.provider, m.model)
    )
    return Receipt(
        title=title,
        first_ts=first,
        last_ts=last,
        turns=len(turn_ids),
        models=tuple(models),
        spend=total.spend(PaidBy.GATEWAY),
        client_paid=total.spend(PaidBy.CLIENT),
        comparison=total.comparison(),
        open_calls=open_calls,
    )


def as_dict(value: Receipt) -> dict[str, Any]:
    """The receipt as plain values: every `_nano_usd` integer has its exact `_usd` string beside it."""
    return with_dollars(msgspec.to_builtins(value))


def to_json(value: Receipt) -> str:
    """The receipt as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(as_dict(value)), indent=2).decode()


def render_text(value: Receipt) -> str:
    """The receipt as plain, aligned text, amounts exact to the nano-dollar. Ends with a newline."""
    parts = [_heading(value)]
    gateway = [line for line in value.models if line.paid_by is PaidBy.GATEWAY]
    client = [line for line in value.models if line.paid_by is PaidBy.CLIENT]
    if gateway:
        parts.append(_table(gateway, value.spend))
    facts = [*_comparison_facts(value.comparison), *_doubt_facts(value)]
    if facts:
        parts.append("\n".join(facts))
    if client:
        parts.append(
            "Paid by the client's own credential, not part of the total (at list price):\n"
            + _table(client, value.client_paid)
        )
    return "\n\n".join(parts) + "\n"


class _Line:
    def __init__(self) -> None:
        self.tally = Tally(None)
        self.turn_ids: set[str] = set()


def _all_calls(queries: LedgerQueries, where: LedgerFilter) -> Iterator[CallRecord]:
    after = 0
    while page := queries.calls(where, after_rowid=after, limit=_PAGE):
        yield from page
        after = page[-1].rowid


def _cell_of(call: CallRecord) -> SpendCell:
    return SpendCell(
        bucket=0,
        group=(),
        day_ts=call.started_ts,
        provider=call.provider,
        model=call.model,
        operation=call.operation,
        role=call.role,
        paid_by=call.paid_by,
        usage_source=call.usage_source,
        outcome=call.outcome,
        calls=1,
        usage=call.usage,
        cost_nano_usd=call.cost_nano_usd,
        price_unknown_calls=int(call.price_unknown),
    )


def _heading(value: Receipt) -> str:
    title = f"Receipt · {value.title}" if value.title else "Receipt"
    if not value.models:
        return f"{title}\nNo call has ended{_still_open(value.open_calls)}."
    seconds = ((value.last_ts or 0) - (value.first_ts or 0)) / 1e6
    return f"{title}\n{_count(value.turns, 'turn')} in {_duration(seconds)}{_still_open(value.open_calls)}"


def _still_open(open_calls: int) -> str:
    return f"; {_count(open_calls, 'call')} still running, not counted" if open_calls else ""


def _table(lines: Sequence[ModelLine], total: Spend) -> str:
    amounts = _amounts([line.spend.cost_nano_usd for line in lines] + [total.cost_nano_usd])
    rows = [("model", "turns", "calls", "cached", "written", "fresh", "out", "cost")]
    for line, amount in zip(lines, amounts, strict=False):
        shown = amount
        if line.spend.price_unknown_calls:
            shown = f"≥ {amount}" if line.spend.cost_nano_usd else "unknown"
        name = f"{line.provider}/{line.model}" if line.provider else line.model
        rows.append((name, f"{line.turns:,}", *_cells(line.spend), shown))
    if len(lines) > 1:
        rows.append(("total", "", *_cells(total), amounts[-1]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if column else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _cells(spend: Spend) -> tuple[str, str, str, str, str]:
    tokens = spend.tokens
    return (
        f"{spend.calls:,}",
        f"{tokens.cache_read:,}",
        f"{written(tokens):,}",
        f"{tokens.fresh:,}",
        f"{tokens.output:,}",
    )


def written(tokens: Tokens) -> int:
    """Tokens written to the provider's cache, of either lifetime."""
    return tokens.cache_write_5m + tokens.cache_write_1h


def _comparison_facts(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return []
    baseline, saving = comparison.baseline_nano_usd, comparison.saving_nano_usd
    facts: list[str] = []
    if baseline is not None and saving is not None:
        amounts = _amounts([baseline, comparison.compared_cost_nano_usd, abs(saving)])
        width = max(map(len, amounts))
        label = "saved" if saving >= 0 else "spent more"
        share = f"  ({100 * abs(saving) / baseline:.1f} %)" if baseline else ""
        names = (f"baseline: these tokens on {comparison.model}", "these calls as they were", label)
        indent = max(map(len, names))
        facts += [
            f"{name.ljust(indent)}  {amount.rjust(width)}{note}"
            for name, amount, note in zip(names, amounts, ("", "", share), strict=True)
        ]
    if comparison.uncompared_calls:
        facts.append(
            f"{_count(comparison.uncompared_calls, 'call')} not compared with {comparison.model}: "
            "embedded model, or usage or price unknown"
        )
    return facts


def _doubt_facts(value: Receipt) -> list[str]:
    spend = value.spend
    estimated = spend.usage_source.estimated
    unknown = spend.usage_source.unknown
    facts: list[str] = []
    if estimated.calls:
        facts.append(
            f"{_count(estimated.calls, 'call')} with estimated usage "
            f"({display(estimated.cost_nano_usd)} of the total)"
        )
    if unknown.calls:
        facts.append(f"{_count(unknown.calls, 'call')} with unknown usage, counted as $0.00")
    if spend.price_unknown_calls:
        facts.append(
            f"{_count(spend.price_unknown_calls, 'call')} whose price is not known, so the total lacks it; "
            "set one under [[catalog.prices]] in metis.toml"
        )
    if spend.errors:
        facts.append(f"{_count(spend.errors, 'call')} failed")
    return facts


def _amounts(amounts: Sequence[int]) -> list[str]:
    """Amounts with one number of decimals, the fewest (2 to 9) that round none of them."""
    decimals = 9
    while decimals > 2 and all(abs(amount) % 10 ** (10 - decimals) == 0 for amount in amounts):
        decimals -= 1
    return [
        f"{'-' if amount < 0 else ''}${abs(amount) // NANO:,}.{abs(amount) % NANO:09d}"[
            : decimals - 9 or None
        ]
        for amount in amounts
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
