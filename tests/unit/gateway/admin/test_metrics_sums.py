"""Our histogram says what prometheus-client's says of the same values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as Theirs

from metis.gateway.admin.metrics_sums import Histogram

BOUNDS = (0.0001, 0.00025, 0.5, 1, 20, 320)
_values = st.floats(0, 1000, allow_nan=False) | st.sampled_from(BOUNDS)


def lines(registry: CollectorRegistry) -> list[str]:
    """What is exposed, but for when a series was made."""
    said = generate_latest(registry).decode().splitlines()
    return sorted(line for line in said if "_created" not in line)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.lists(_values, max_size=5)), max_size=6))
def test_the_same_values_are_told_the_same_way(batches: list[tuple[str, list[float]]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    histogram = Histogram("x_seconds", "Some time", BOUNDS, "model")
    ours.register(histogram)
    reference = Theirs("x_seconds", "Some time", ["model"], buckets=BOUNDS, registry=theirs)
    for model, values in batches:
        if values:
            histogram.see((model,), values)
        for value in values:
            reference.labels(model).observe(value)

    def without_sums(found: list[str]) -> list[str]:
        return [line for line in found if "_sum" not in line]

    assert without_sums(lines(ours)) == without_sums(lines(theirs))
    for model in ("a", "b"):
        names = "x_seconds_sum", {"model": model}
        one, other = ours.get_sample_value(*names), theirs.get_sample_value(*names)
        assert (one is None) == (other is None)
        assert one is None or other is None or abs(one - other) < 1e-6


def test_a_histogram_without_labels_is_there_from_the_start() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    ours.register(Histogram("y_seconds", "Some time", BOUNDS))
    Theirs("y_seconds", "Some time", buckets=BOUNDS, registry=theirs)
    assert lines(ours) == lines(theirs)
