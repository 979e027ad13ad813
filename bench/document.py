"""A run from bench/history as the tables of docs/performance.md.

usage: python -m bench.document [FILE]   The newest file is taken when none is named.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from bench.history import FOLDER, Run
from bench.report import Spread, Summary
from bench.specials import bound

SYNC, RATE = "sync 1 KB chat, c16", "open 40/s 1 KB chat"
STREAM, LARGE = "stream 200 paced, chat c16", "sync 600 KB chat, c4"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _said(value: Spread | None, digits: int = 1, scale: float = 1.0) -> str:
    """A median with its spread; a dash for what was not measured."""
    if value is None or not value.most:
        return "–"
    least, most = (f"{one * scale:,.{digits}f}" for one in (value.least, value.most))
    median = f"{value.median * scale:,.{digits}f}"
    return median if least == most else f"{median} ({least}–{most})"


def _median(value: Spread | None, digits: int, scale: float = 1.0) -> str:
    return "–" if value is None else f"{value.median * scale:,.{digits}f}"


def beside(run: Run) -> str:
    """All targets in the scenarios that all of them run."""

    def row(name: str) -> list[str]:
        sync, rate, stream, large = (
            run.scenarios.get(one, {}).get(name, Summary()) for one in (SYNC, RATE, STREAM, LARGE)
        )
        start = run.starts.get(name)
        return [
            name,
            _median(sync.per_second, 0),
            *_cpu(sync, 0),
            _median(rate.added_p50_ms, 2),
            *_cpu(stream, 0),
            _median(stream.added_first_chunk_ms, 1),
            _median(large.cpu_us, 2, 1e-3) if name != "direct" else "–",
            f"{start.cold_start_ms:,.0f}" if start else "–",
            f"{sum(start.idle_mb):.0f} / {sum(start.after_mb):.0f}" if start else "–",
        ]

    titles = ["", "requests a second", "CPU us a request", "x nginx", "added p50 ms at 40/s"]
    titles += ["CPU us a paced chunk", "x nginx", "added first chunk ms", "600 KB: CPU ms"]
    titles += ["first answer ms", "RSS MB idle / after"]
    rows = [row(name) for name in ("direct", *run.starts)]
    return _table(titles, rows)


def _cpu(found: Summary, digits: int) -> list[str]:
    """CPU and its ratio; where other processes work beside, with theirs after a +."""
    if found.cpu_us is None or found.ratio is None or not found.cpu_us.most:
        return ["–", "–"]
    cpu, ratio = _said(found.cpu_us, digits), _median(found.ratio, 2)
    if found.all_us is not None and found.all_ratio is not None and found.all_us != found.cpu_us:
        cpu = f"{cpu}; all {found.all_us.median:.{digits}f}"
        ratio = f"{ratio}; all {found.all_ratio.median:.2f}"
    return [cpu, ratio]


def scenarios(run: Run) -> str:
    """Every scenario, nginx beside Metis."""
    rows: list[list[str]] = []
    for name, found in run.scenarios.items():
        base, mine = found.get("nginx"), found.get("metis")
        if base is None or mine is None:
            continue
        rows.append(
            [
                name,
                _said(base.cpu_us),
                _said(mine.cpu_us),
                _said(mine.ratio, 2),
                _said(mine.all_ratio, 2),
                # A stream's whole time is its pace: what counts is when it begins.
                f"{_median(base.first_chunk_ms or base.p50_ms, 2)} → "
                f"{_median(mine.first_chunk_ms or mine.p50_ms, 2)}",
            ]
        )
    titles = ["", "nginx CPU us", "Metis' worker CPU us", "x nginx", "all of Metis x nginx"]
    return _table([*titles, "p50 ms (streams: first chunk)"], rows)


def specials(run: Run) -> str:
    rows = [
        [scenario, name, f"{value:,.4g}", bound(name, value)[0]]
        for scenario, figures in run.specials.items()
        for name, value in figures.items()
        if not name.startswith("nginx") and not name.endswith((": errors", "bodies a second"))
    ]
    return _table(["", "", "measured", "must be"], rows)


def main(arguments: list[str]) -> int:
    files = [Path(arguments[0])] if arguments else sorted(FOLDER.glob("*.json"))
    if not files:
        raise SystemExit("nothing in bench/history; run make bench ARGS=--save")
    run = msgspec.json.decode(files[-1].read_bytes(), type=Run)
    print(
        f"{run.date}, commit {run.commit}, {run.machine}; {run.rounds} rounds of {run.seconds:g} s"
    )
    for part in (beside(run), scenarios(run), specials(run)):
        print(f"\n{part}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
