"""Rows into medians, ratios and tables. Pure: no process, no clock.

A ratio is made within a round, between runs that lie seconds apart, and its median is taken over the rounds: machines
drift from hour to hour by more than what is looked for.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from bench.measuring import Row

YARDSTICK: Final = "nginx"
# By scenario and target: one row a round, None where a target was not asked.
Rounds = Mapping[str, Mapping[str, Sequence[Row]]]


class Spread(msgspec.Struct, frozen=True, array_like=True):
    """A median with the least and the largest."""

    median: float
    least: float
    most: float

    def text(self, digits: int = 1) -> str:
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}-{self.most:.{digits}f})"


def spread(values: Iterable[float], digits: int = 3) -> Spread | None:
    """None of nothing."""
    known = sorted(values)
    if not known:
        return None
    return Spread(*(round(one, digits) for one in (statistics.median(known), known[0], known[-1])))


class Summary(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A target in a scenario over all rounds. `ratio`: CPU in nginx's of the same round; `all_`: of all processes."""

    per_second: Spread | None = None
    p50_ms: Spread | None = None
    p99_ms: Spread | None = None
    first_chunk_ms: Spread | None = None
    cpu_us: Spread | None = None
    all_us: Spread | None = None
    ratio: Spread | None = None
    all_ratio: Spread | None = None
    load_share: Spread | None = None
    added_p50_ms: Spread | None = None
    added_first_chunk_ms: Spread | None = None
    errors: int = 0
    first_error: str = ""


def summarise(rows: Sequence[Row], yardstick: Sequence[Row], direct: Sequence[Row]) -> Summary:
    """Medians of one target's rounds, beside the same rounds of nginx and the bare upstream (either may be empty)."""
    pairs = [(row, base) for row, base in zip(rows, yardstick, strict=False) if base.cpu_us]
    added = [(row, bare) for row, bare in zip(rows, direct, strict=False)]
    return Summary(
        per_second=spread((row.per_second for row in rows), 1),
        p50_ms=spread(row.latency_ms[0] for row in rows if row.latency_ms),
        p99_ms=spread(row.latency_ms[2] for row in rows if row.latency_ms),
        first_chunk_ms=spread(row.first_chunk_ms[0] for row in rows if row.first_chunk_ms),
        cpu_us=spread((row.cpu_us for row in rows), 1),
        all_us=spread((row.all_us for row in rows), 1),
        ratio=spread((row.cpu_us / base.cpu_us for row, base in pairs), 2),
        all_ratio=spread((row.all_us / base.cpu_us for row, base in pairs), 2),
        load_share=spread((row.load_share for row in rows), 2),
        added_p50_ms=spread(
            row.latency_ms[0] - bare.latency_ms[0]
            for row, bare in added
            if row.latency_ms and bare.latency_ms
        ),
        added_first_chunk_ms=spread(
            row.first_chunk_ms[0] - bare.first_chunk_ms[0]
            for row, bare in added
            if row.first_chunk_ms and bare.first_chunk_ms
        ),
        errors=sum(row.errors for row in rows),
        first_error=next((row.first_error for row in rows if row.first_error), ""),
    )


def summaries(rounds: Rounds) -> dict[str, dict[str, Summary]]:
    """All scenarios and targets, in their order."""
    return {
        scenario: {
            name: summarise(rows, targets.get(YARDSTICK, ()), targets.get("direct", ()))
            for name, rows in targets.items()
            if rows
        }
        for scenario, targets in rounds.items()
    }


_COLUMNS: Final = (
    ("target", 11),
    ("a second", 10),
    ("p50 ms", 9),
    ("p99 ms", 9),
    ("1st chunk", 10),
    ("CPU us (spread)", 24),
    ("x nginx", 18),
    ("all us", 9),
    ("x nginx", 8),
    ("load", 5),
)


def table(name: str, per: str, found: Mapping[str, Summary], limit: float | None) -> str:
    """One scenario as a table for a terminal. `per`: what CPU is divided by."""
    said = (
        f"{name}  [CPU per {per.removesuffix('s')}{f', limit {limit:g}x nginx' if limit else ''}]"
    )
    lines = [said, " ".join(f"{title:>{width}}" for title, width in _COLUMNS)]
    for target, summary in found.items():
        cells = (
            target,
            _cell(summary.per_second, 0),
            _cell(summary.p50_ms, 2),
            _cell(summary.p99_ms, 2),
            _cell(summary.first_chunk_ms, 2),
            "-" if target == "direct" or summary.cpu_us is None else summary.cpu_us.text(),
            "-" if target == "direct" or summary.ratio is None else summary.ratio.text(2),
            "-" if target == "direct" else _cell(summary.all_us, 1),
            "-" if target == "direct" else _cell(summary.all_ratio, 2),
            _cell(summary.load_share, 2),
        )
        line = " ".join(
            f"{cell:>{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True)
        )
        if target == "metis" and limit and summary.ratio is not None:
            line += _verdict(summary, limit)
        if summary.errors:
            line += f"  {summary.errors} ERRORS: {summary.first_error}"
        lines.append(line)
    return "\n".join(lines)


def _verdict(summary: Summary, limit: float) -> str:
    worker = summary.ratio is not None and summary.ratio.median <= limit
    whole = summary.all_ratio is not None and summary.all_ratio.median <= limit
    if worker and whole:
        return "  ok"
    return "  OVER" if not worker else "  ok; OVER with recording"


def _cell(value: Spread | None, digits: int) -> str:
    return "-" if value is None else f"{value.median:.{digits}f}"
