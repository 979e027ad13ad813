"""`make bench`: interleaved rounds of the bare upstream, nginx, Metis with everything on, and other gateways.

Ratios to nginx of the same round are what counts: machines are shared and drift. The gateway has one core, load and
upstream the other.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import history
from bench.measuring import Row, measure
from bench.peers import PEERS, Peer, chosen, install, installed, launch
from bench.processes import end_on_sigterm, rss_mb
from bench.report import Summary, summaries, table
from bench.scenarios import SCENARIOS, Scenario
from bench.specials import SPECIALS, Figures, Stage, bound
from bench.targets import Metis, Nginx, Target, Upstream


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        help="scenarios whose name holds this; may be repeated",
    )
    parser.add_argument("--quick", action="store_true", help="the main scenarios, in three minutes")
    parser.add_argument("--peers", default="none", help="all, installed, none, or names: A,B")
    parser.add_argument("--list", action="store_true", help="name scenarios and peers, and end")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--save", action="store_true", help="write them into bench/history")
    return parser.parse_args()


def _wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(part in name for part in only)


class Progress:
    """One line on the terminal that says how far it is; in a log, a line now and then."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._began = total, 0, time.monotonic()
        self._live = sys.stderr.isatty()
        self._width = shutil.get_terminal_size((100, 24)).columns - 1

    def step(self, what: str) -> None:
        self._done += 1
        left = (time.monotonic() - self._began) / self._done * (self._total - self._done)
        line = f"{self._done}/{self._total}, {left:.0f} s left: {what}"[: self._width]
        if self._live:
            print(f"\r{line:{self._width}}", end="", file=sys.stderr, flush=True)
        elif self._done % max(1, self._total // 10) == 0:
            print(line, file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._live:
            print(f"\r{'':{self._width}}\r", end="", file=sys.stderr, flush=True)


def _rounds(
    scenarios: Sequence[Scenario],
    targets: Sequence[Target],
    upstream: Upstream,
    *,
    rounds: int,
    seconds: float,
) -> dict[str, dict[str, list[Row]]]:
    """Every scenario on every target, in turn and back, round by round."""
    found: dict[str, dict[str, list[Row]]] = {
        scenario.name: {target.name: [] for target in targets} for scenario in scenarios
    }
    progress = Progress(rounds * len(scenarios) * len(targets))
    for number in range(rounds):
        for scenario in scenarios:
            for target in targets if number % 2 == 0 else tuple(reversed(targets)):
                progress.step(f"{scenario.name}, {target.name}")
                own = target.name in ("direct", "nginx", "metis")
                row = (
                    measure(target, scenario, seconds, upstream) if own or scenario.peers else None
                )
                if row is not None:
                    found[scenario.name][target.name].append(row)
    progress.clear()
    return found


def _specials(names: Sequence[str], stage: Stage) -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    for name in names:
        print(f"\n{name}", flush=True)
        found[name] = {key: round(value, 3) for key, value in SPECIALS[name](stage).items()}
        for key, value in found[name].items():
            words, holds = bound(key, value)
            said = f"  ({words}){'' if holds else ' MISSED'}" if words else ""
            print(f"  {key:55} {value:>10g}{said}", flush=True)
    return found


def _list() -> None:
    for name in (*(one.name for one in SCENARIOS), *SPECIALS):
        print(name)
    named = [f"{one.name}{'' if installed(one) else ' (not installed)'}" for one in PEERS]
    print("peers:", ", ".join(named))


def _install_missing(peers: Sequence[Peer]) -> None:
    for peer in peers:
        if not installed(peer):
            print(f"installing {peer.name}", file=sys.stderr, flush=True)
            install(peer)


def _print(
    scenarios: Sequence[Scenario],
    found: dict[str, dict[str, Summary]],
    starts: dict[str, history.Start],
) -> None:
    for scenario in scenarios:
        print(f"\n{table(scenario.name, scenario.per, found[scenario.name], scenario.limit)}")
    for one, start in starts.items():
        print(f"\n{one}: {start.text()}", end="")
    print(flush=True)


def main() -> int:
    end_on_sigterm()
    options = _options()
    scenarios = [
        one
        for one in SCENARIOS
        if _wanted(one.name, options.only) and (one.quick or not options.quick)
    ]
    specials = [name for name in SPECIALS if _wanted(name, options.only) and not options.quick]
    peers = chosen(options.peers)
    if options.list:
        _list()
        return 0
    _install_missing(peers)
    starts: dict[str, history.Start] = {}
    with tempfile.TemporaryDirectory(prefix="metis-bench-") as name, ExitStack() as running:
        folder = Path(name)
        upstream = Upstream(folder / "upstream")
        running.callback(upstream.stop)
        nginx = Nginx(folder / "nginx", upstream)
        running.callback(nginx.stop)
        targets: list[Target] = [upstream, nginx]
        found: dict[str, dict[str, Summary]] = {}
        if scenarios:
            targets.append(Metis(folder / "metis", upstream))
            running.callback(targets[-1].stop)
            for peer in peers:
                print(f"starting {peer.name}", file=sys.stderr, flush=True)
                targets.append(launch(peer, folder / peer.name, upstream))
                running.callback(targets[-1].stop)
            time.sleep(1)
            idle = {target.name: _memory(target) for target in targets}
            rows = _rounds(
                scenarios, targets, upstream, rounds=options.rounds, seconds=options.seconds
            )
            found = summaries(rows)
            starts = {
                target.name: history.Start(
                    cold_start_ms=round(target.cold_start_ms),
                    idle_mb=idle[target.name],
                    after_mb=_memory(target),
                )
                for target in targets[1:]
            }
        _print(scenarios, found, starts)
        stage = Stage(
            folder=folder / "special",
            upstream=upstream,
            nginx=nginx,
            seconds=options.seconds,
            rounds=options.rounds,
        )
        figures = _specials(specials, stage)
    if not peers and not options.only:
        print("\nother gateways beside it: make bench PEERS=all")
    run = history.Run(
        **history.circumstances(),
        rounds=options.rounds,
        seconds=options.seconds,
        scenarios=found,
        specials=figures,
        starts=starts,
    )
    if options.save:
        print(f"written: {history.save(run)}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_bytes(history.encode(run))
    return 0


def _memory(target: Target) -> tuple[float, float]:
    """Resident MB of the compared processes and of all others."""
    compared = sum(rss_mb(pid) for pid in target.measured())
    return round(compared, 1), round(sum(rss_mb(pid) for pid in target.others()), 1)


if __name__ == "__main__":
    sys.exit(main())
