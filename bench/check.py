"""`make bench-check`: is a request dearer than it was when bench/expected.json was written?

CPU as a ratio to nginx in the same run, over `RATIO_MORE` is a failure; so are instructions per request over
`INSTRUCTIONS_MORE` where valgrind is there and the same Python. A ratio that fails is measured once more before it
counts, since other work on the machine can double a round. `--update` writes the file.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from bench.history import build, circumstances
from bench.hotpath import instructions
from bench.measuring import measure
from bench.processes import end_on_sigterm
from bench.report import Summary, summarise
from bench.scenarios import SCENARIOS, Scenario
from bench.targets import Metis, Nginx, Upstream

FILE: Final = Path(__file__).parent / "expected.json"
RATIO_MORE: Final = 0.25
INSTRUCTIONS_MORE: Final = 0.05
_ROUNDS: Final = 7
_SECONDS: Final = 0.7
_RATIOS_OF: Final = (
    "sync 1 KB chat, c16",
    "sync 600 KB chat, c4",
    "stream 200 paced, chat c16",
    "stream 200 paced, messages->chat c16",
)
_INSTRUCTIONS_OF: Final = ("sync 1 KB chat, c16", "sync 1 KB messages, c16")


class Ratios(msgspec.Struct, frozen=True, kw_only=True):
    """CPU in nginx's: of the worker alone, and of all processes."""

    worker: float
    all: float


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured when the file was written, and where."""

    date: str
    commit: str
    machine: str
    python: str
    build: str
    ratios: dict[str, Ratios]
    instructions: dict[str, int]


def too_dear(expected: Mapping[str, Ratios], found: Mapping[str, Ratios]) -> dict[str, str]:
    """The scenarios that cost over a quarter more than expected, each with a sentence why."""
    said: dict[str, str] = {}
    for name, now in found.items():
        then = expected.get(name)
        if then is None:
            said[name] = f"{name}: nothing is expected of it; write the file with --update"
            continue
        for what, old, new in (("worker", then.worker, now.worker), ("all", then.all, now.all)):
            if new > old * (1 + RATIO_MORE):
                more = f"{new / old - 1:+.0%}, {RATIO_MORE:.0%} allowed"
                said[name] = f"{name}: {what} at {new:.2f}x nginx, expected {old:.2f} ({more})"
    return said


def too_many(expected: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """A sentence for each scenario with over a twentieth more instructions than expected."""
    said: list[str] = []
    for name, now in found.items():
        then = expected.get(name)
        if then is None:
            said.append(f"{name}: no instructions are expected of it; write the file with --update")
        elif now > then * (1 + INSTRUCTIONS_MORE):
            more = f"{now / then - 1:+.1%}, {INSTRUCTIONS_MORE:.0%} allowed"
            said.append(f"{name}: {now:,} instructions a request, expected {then:,} ({more})")
    return said


def least(first: Mapping[str, Ratios], second: Mapping[str, Ratios]) -> dict[str, Ratios]:
    """The smaller of two measurements: what else runs on a machine only ever makes it dearer."""
    merged = dict(first)
    for name, again in second.items():
        once = merged.get(name, again)
        merged[name] = Ratios(worker=min(once.worker, again.worker), all=min(once.all, again.all))
    return merged


def _ratios(names: Iterable[str]) -> dict[str, Ratios]:
    """Interleaved rounds of nginx and Metis; the median over the rounds."""
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in set(names)]
    with tempfile.TemporaryDirectory(prefix="metis-bench-") as name, ExitStack() as running:
        folder = Path(name)
        upstream = Upstream(folder / "upstream")
        running.callback(upstream.stop)
        nginx = Nginx(folder / "nginx", upstream)
        running.callback(nginx.stop)
        metis = Metis(folder / "metis", upstream)
        running.callback(metis.stop)
        return {
            scenario.name: _of(_summary(scenario, nginx, metis, upstream)) for scenario in scenarios
        }


def _summary(scenario: Scenario, nginx: Nginx, metis: Metis, upstream: Upstream) -> Summary:
    rows = {"nginx": [], "metis": []}
    for number in range(_ROUNDS):
        for target in (nginx, metis) if number % 2 == 0 else (metis, nginx):
            row = measure(target, scenario, _SECONDS, upstream)
            if row is None or row.errors:
                raise SystemExit(f"{scenario.name}, {target.name}: {row and row.first_error}")
            rows[target.name].append(row)
    summary = summarise(rows["metis"], rows["nginx"], ())
    assert summary.ratio is not None
    assert summary.all_ratio is not None
    print(
        f"{scenario.name:40} worker {summary.ratio.text(2)}, all {summary.all_ratio.text(2)}",
        flush=True,
    )
    return summary


def _of(summary: Summary) -> Ratios:
    assert summary.ratio is not None
    assert summary.all_ratio is not None
    return Ratios(worker=summary.ratio.median, all=summary.all_ratio.median)


def _instructions() -> dict[str, int]:
    """Counted by valgrind, two at a time; empty where it is missing."""
    if shutil.which("valgrind") is None:
        print("no valgrind here: instructions are not counted")
        return {}
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in _INSTRUCTIONS_OF]
    with ThreadPoolExecutor(2) as pool:
        counted = pool.map(instructions, scenarios)
        found = {one.name: round(count) for one, count in zip(scenarios, counted, strict=True)}
    for name, count in found.items():
        print(f"{name:40} {count:,} instructions a request", flush=True)
    return found


def check(expected: Expected) -> list[str]:
    """Measure, and again what seems too dear. Gives a sentence for each failure."""
    found = _ratios(_RATIOS_OF)
    dear = too_dear(expected.ratios, found)
    if dear:
        print("again, to be sure:", *dear.values(), sep="\n  ", flush=True)
        found = least(found, _ratios(dear))
        dear = too_dear(expected.ratios, found)
    counted = _instructions()
    if counted and expected.python != platform.python_version():
        print(f"not compared: expected ones were counted on Python {expected.python}")
        counted = {}
    return [*dear.values(), *too_many(expected.instructions, counted)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-check", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write bench/expected.json")
    options = parser.parse_args()
    end_on_sigterm()
    began = time.monotonic()
    if options.update:
        expected = Expected(
            **circumstances(),
            python=platform.python_version(),
            build=build(),
            ratios=_ratios(_RATIOS_OF),
            instructions=_instructions(),
        )
        FILE.write_bytes(msgspec.json.format(msgspec.json.encode(expected), indent=1) + b"\n")
        print(f"written: {FILE}")
        return 0
    expected = msgspec.json.decode(FILE.read_bytes(), type=Expected)
    if build() != expected.build:
        print(
            f"cannot be compared: this is the {build()} build, and what is expected is of the "
            f"{expected.build} one; see 'make compile', or write the file anew with --update"
        )
        return 1
    failures = check(expected)
    for failure in failures:
        print(f"TOO DEAR: {failure}")
    print(f"{len(failures)} too dear; {time.monotonic() - began:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
