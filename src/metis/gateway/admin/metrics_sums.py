"""Summing what a batch of events adds to metrics, and histograms that take many values at once.

prometheus-client's own histograms take one value at a time, under a lock: at thousands of calls a second that was
most of what observing cost. What is measured, and under which names, is in `metrics`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import Counter
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_NO_LABELS: Final = ()


class _Series:
    """How many values fell under each bound (the last: none), and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.total = 0.0


class Histogram(Collector):
    """A histogram with labels. Written by one thread; others may read it at any time."""

    def __init__(self, name: str, help_text: str, bounds: Sequence[float], *labels: str) -> None:
        self._name, self._help, self._labels = name, help_text, labels
        self._bounds = tuple(bounds)
        self._said = [*(str(float(bound)) for bound in bounds), "+Inf"]
        self._series: dict[tuple[str, ...], _Series] = {}
        if not labels:
            self._series[_NO_LABELS] = _Series(len(self._bounds))  # shown from the start, as zeros

    def see(self, labels: tuple[str, ...], values: Iterable[float]) -> None:
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = _Series(len(self._bounds))
        counts, bounds, total = series.counts, self._bounds, 0.0
        for value in values:
            counts[bisect_left(bounds, value)] += 1
            total += value
        series.total += total

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._help, labels=self._labels)
        for labels, series in list(self._series.items()):
            counts = list(accumulate(series.counts))
            family.add_metric(labels, list(zip(self._said, counts, strict=True)), series.total)
        yield family


class Batch:
    """What a batch of events adds, summed first: finding a series costs more than everything else about it."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Counter, tuple[str, ...]], float] = {}
        self._seen: dict[tuple[Histogram, tuple[str, ...]], list[float]] = {}

    def add(self, counter: Counter, labels: tuple[str, ...], amount: float = 1) -> None:
        key = (counter, labels)
        self._sums[key] = self._sums.get(key, 0) + amount

    def see(self, histogram: Histogram, labels: tuple[str, ...], values: Iterable[float]) -> None:
        self._seen.setdefault((histogram, labels), []).extend(values)

    def flush(self) -> None:
        for (counter, labels), amount in self._sums.items():
            counter.labels(*labels).inc(amount)
        for (histogram, labels), values in self._seen.items():
            histogram.see(labels, values)
