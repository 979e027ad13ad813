"""`make fuzz`: valid requests, answers and streams, changed in every way, through every codec, tap, fold and crossing.

Prints what it did; exits with 1 when anything was found, and leaves the input in a file. The same seed gives the same
examples: batches are seeded one by one, and the time only says how many there are.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzz.case import Case
from fuzz.cases import CHANGED, WELL_FORMED
from fuzz.large import NAMES, large
from fuzz.properties import Broken, check
from fuzz.scaling import check_growth, check_memory

_BATCH: Final = 250
_WELL_FORMED_EACH: Final = 5  # one batch in so many is well-formed
_MOST_FINDS: Final = 20
# The parts of the time that large inputs may take at most.
_LARGE_SHARE: Final = 0.4
_LARGE_BYTES: Final = 2_000_000
_HUGE_BYTES: Final = 10_000_000
_SHORT_S: Final = 60.0
_SHORT_BYTES: Final = 100_000


class Run:
    """What was tried and found."""

    def __init__(self, folder: Path) -> None:
        self.examples: Counter[str] = Counter()
        self.finds: dict[str, Path] = {}
        self._folder = folder

    def found(self, case: Case, why: str) -> None:
        """Keep an input; one of each reason."""
        kind = f"{case.shape} {case.kind}: {why[:80]}"
        if kind in self.finds:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = (
            self._folder / f"find-{len(self.finds)}-{case.shape}-{case.kind}-cuts-{case.cuts}.bin"
        )
        path.write_bytes(case.data)
        self.finds[kind] = path
        print(
            f"FOUND {case.shape} {case.kind}: {why}\n  {len(case.data)} bytes in {path}", flush=True
        )

    def knows(self, case: Case, why: str) -> bool:
        return f"{case.shape} {case.kind}: {why[:80]}" in self.finds


def batch(run: Run, number: int, seed_number: int, examples: int) -> None:
    """One batch of examples, which ends with the first that breaks something new."""
    strategy = CHANGED if number % _WELL_FORMED_EACH else WELL_FORMED
    last: tuple[Case, str] | None = None

    @seed(seed_number * 1_000_003 + number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        # Shrinking takes minutes; the pieces are small as they are.
        phases=(Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def tried(case: Case) -> None:
        nonlocal last
        run.examples["changed" if case.mutated else "well-formed"] += 1
        try:
            check(case)
        except Broken as exc:
            if run.knows(case, str(exc)):
                return
            last = (case, str(exc))
            raise

    try:
        tried()
    except Broken:
        assert last is not None
        run.found(*last)


def try_large(run: Run, *, seed_number: int, size: int, seconds: float, memory: bool) -> None:
    """Large inputs, in an order of the seed's, until the time is over: their growth, or their memory."""
    began = time.process_time()
    for name, shape in random.Random(seed_number).sample(NAMES, len(NAMES)):
        if time.process_time() - began > seconds or len(run.finds) >= _MOST_FINDS:
            return
        run.examples["large"] += 1
        try:
            (check_memory if memory else check_growth)(name, shape, size)
        except Broken as exc:
            run.found(large(name, shape, size), str(exc))


def fuzz(run: Run, *, seconds: float, seed_number: int) -> None:
    """Until the CPU time is used up, or enough was found."""
    began = time.process_time()
    short = seconds < _SHORT_S
    share = seconds * _LARGE_SHARE / (1 if short else 2)
    size = _SHORT_BYTES if short else _LARGE_BYTES
    try_large(run, seed_number=seed_number, size=size, seconds=share, memory=False)
    if not short:
        try_large(run, seed_number=seed_number, size=_HUGE_BYTES, seconds=share, memory=True)
    number = 0
    while time.process_time() - began < seconds and len(run.finds) < _MOST_FINDS:
        batch(run, number, seed_number, _BATCH)
        number += 1


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=900.0, help="of CPU; default: 900")
    parser.add_argument("--seed", type=int, default=1, help="another gives other examples")
    parser.add_argument(
        "--save", type=Path, default=Path("build/fuzz"), help="where finds are left"
    )
    parser.add_argument("--again", type=Path, metavar="FILE", help="try a find once more")
    options = parser.parse_args(words)
    if options.again:
        return _again(options.again)
    run = Run(options.save)
    began = time.process_time()
    fuzz(run, seconds=options.seconds, seed_number=options.seed)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(run.examples.items()))
    print(
        f"seed {options.seed}: {told} examples in {time.process_time() - began:.0f} s of CPU; "
        f"{len(run.finds)} found"
    )
    return 1 if run.finds else 0


def _again(path: Path) -> int:
    """Try a kept input: its name says what it is."""
    _, _, shape, kind, _, cuts = path.stem.split("-")
    case = Case(shape, kind, path.read_bytes(), mutated=True, cuts=int(cuts))  # type: ignore[arg-type]
    check(case)
    print("it holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
