"""Large inputs: four times as much must cost about four times the time, and memory in proportion."""

from __future__ import annotations

import gc
import os
import time
from typing import Final

from bench.processes import forget_peak, peak_mb, rss_mb

from fuzz.case import Case
from fuzz.large import large
from fuzz.properties import Broken, check
from metis.wire.codec import ShapeName

_TIMES: Final = 4
# Linear is 4, squared is 16; the machine is shared.
_MOST_GROWTH: Final = 8.0
_TOO_SHORT_S: Final = 0.05
_TRIES: Final = 3
# Python's objects for `[{},{},...]` take 24 bytes for each of JSON's, and a few copies stand side by side.
_MEMORY_A_BYTE: Final = 150
_LEAST_MEMORY: Final = 64 * 2**20


def check_growth(name: str, shape: ShapeName, size: int) -> Case:
    """Compare the time of a quarter with that of the whole. Raises Broken; gives the larger case."""
    small, whole = large(name, shape, size // _TIMES), large(name, shape, size)
    growth = 0.0
    for _ in range(_TRIES):
        least_s, spent_s = _spent_s(small), _spent_s(whole)
        growth = spent_s / max(least_s, _TOO_SHORT_S / _MOST_GROWTH)
        if spent_s < _TOO_SHORT_S or growth <= _MOST_GROWTH:
            return whole
    raise Broken(f"{name}: {_TIMES} times the size took {growth:.0f} times the time")


def check_memory(name: str, shape: ShapeName, size: int) -> Case:
    """Bound what is held at the worst moment, by the process's peak. Raises Broken."""
    case, own = large(name, shape, size), os.getpid()
    gc.collect()
    before_mb = rss_mb(own)
    forget_peak(own)
    check(case)
    held_mb = peak_mb(own) - before_mb
    if held_mb * 2**20 > _LEAST_MEMORY + _MEMORY_A_BYTE * len(case.data):
        raise Broken(f"{name}: {held_mb:.0f} MB held for {len(case.data)} bytes")
    return case


def _spent_s(case: Case) -> float:
    began = time.process_time()
    check(case)
    return time.process_time() - began
