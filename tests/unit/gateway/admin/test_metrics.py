"""Metrics count what was recorded, read the board when scraped, and cannot be made to grow without end."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ledgers import NOON, call, client_paid, decided, turn
from tests.unit.gateway.admin.conftest import Plane

from metis.facts.usage import Usage, UsageSource
from metis.gateway.admin.metrics import CONTENT_TYPE, OTHER, BoundedLabel, GatewayMetrics
from metis.storage.board import COUNTERS
from metis.trace.events import AuthFailed, LimitExceeded
from metis.trace.recorder import RecorderStats


@pytest.fixture
def metrics() -> GatewayMetrics:
    return GatewayMetrics()


class Board:
    def totals(self) -> dict[str, int]:
        return {name: index + 1 for index, name in enumerate(COUNTERS)}


def value(metrics: GatewayMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


MODEL = {"provider": "anthropic", "model": "claude-sonnet-5"}


def test_a_finished_call_is_counted_in_all_its_facets(metrics: GatewayMetrics) -> None:
    usage = Usage(
        input_tokens=1, cache_read_tokens=2, cache_write_5m_tokens=3, cache_write_1h_tokens=4,
        output_tokens=5,
    )  # fmt: skip
    _, done = call(
        usage=usage, cost_nano_usd=1_500_000_000, duration_us=700_000, first_byte_us=300_000
    )
    metrics.observe([done])
    labels = {**MODEL, "role": "main", "outcome": "ok", "paid_by": "gateway"}
    assert value(metrics, "metis_calls_total", **labels) == 1
    kinds = ("fresh", "cache_read", "cache_write_5m", "cache_write_1h", "output")
    counted = [
        value(metrics, "metis_tokens_total", **MODEL, kind=kind, paid_by="gateway")
        for kind in kinds
    ]
    assert counted == [1, 2, 3, 4, 5]
    cost = value(
        metrics, "metis_cost_usd_total", **MODEL, paid_by="gateway", usage_source="reported"
    )
    assert cost == 1.5
    assert value(metrics, "metis_call_duration_seconds_sum", **MODEL) == 0.7
    assert value(metrics, "metis_call_duration_seconds_bucket", **MODEL, le="0.5") == 0
    assert value(metrics, "metis_call_duration_seconds_bucket", **MODEL, le="1.0") == 1
    assert value(metrics, "metis_call_first_byte_seconds_sum", **MODEL) == 0.3


def test_failures_unknown_prices_and_client_paid_calls_stand_apart(metrics: GatewayMetrics) -> None:
    _, failed = call(outcome="error", failure="overloaded", cost_nano_usd=0, first_byte_us=-1)
    _, unknown = call(price_unknown=True, cost_nano_usd=0, usage_source=UsageSource.UNKNOWN)
    _, paid = call(**client_paid(cost_nano_usd=2_000_000_000))
    metrics.observe([failed, unknown, paid])
    assert (
        value(metrics, "metis_call_failures_total", provider="anthropic", failure="overloaded") == 1
    )
    assert value(metrics, "metis_calls_price_unknown_total", **MODEL) == 1
    assert value(metrics, "metis_call_duration_seconds_count", **MODEL) == 2
    assert value(metrics, "metis_call_first_byte_seconds_count", **MODEL) == 2
    sources = {"paid_by": "client", "usage_source": "reported"}
    assert value(metrics, "metis_cost_usd_total", **MODEL, **sources) == 2


def test_a_decision_that_is_referred_to_counts_for_the_slot_it_was_told_with(
    metrics: GatewayMetrics,
) -> None:
    metrics.observe(
        [
            decided(turn_id="turn_1", decision_id="a"),
            decided(turn_id="turn_2", decision_id="a", decision=None),
            decided(turn_id="turn_3", decision_id="b", decision=None),
        ]
    )
    assert value(metrics, "metis_route_decisions_total", slot="requested") == 2
    assert value(metrics, "metis_route_decisions_total", slot=OTHER) == 1


def test_turns_decisions_and_refusals_are_counted(metrics: GatewayMetrics) -> None:
    metrics.observe(
        [
            turn(overhead_us=300),
            turn(outcome="refused", overhead_us=0),
            decided(turn_id="turn_1"),
            AuthFailed(event_id="e1", ts=NOON, reason="revoked"),
            LimitExceeded(event_id="e2", ts=NOON, limit="max_body_bytes"),
            call()[0],
        ]
    )
    labels = {"shape": "anthropic_messages", "operation": "generate"}
    assert value(metrics, "metis_turns_total", **labels, outcome="ok") == 1
    assert value(metrics, "metis_turns_total", **labels, outcome="refused") == 1
    assert value(metrics, "metis_turn_overhead_seconds_count") == 1
    assert value(metrics, "metis_route_decisions_total", slot="requested") == 1
    assert value(metrics, "metis_auth_failures_total", reason="revoked") == 1
    assert value(metrics, "metis_limits_exceeded_total", limit="max_body_bytes") == 1


def test_labels_are_bounded_however_many_models_there_are(metrics: GatewayMetrics) -> None:
    metrics.observe([call(model=f"model-{number}")[1] for number in range(500)])
    samples = [
        sample
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "metis_calls_total"
    ]
    assert len(samples) == 201
    others = [sample.value for sample in samples if sample.labels["model"] == OTHER]
    assert others == [300]


def test_a_bounded_label_keeps_those_it_knows() -> None:
    label = BoundedLabel(2)
    assert [label.of(word) for word in ("a", "b", "c", "a", "b", "d")] == [
        *("a", "b", OTHER, "a", "b", OTHER)
    ]


def test_the_board_and_the_recorder_are_read_at_each_scrape(metrics: GatewayMetrics) -> None:
    stats = {"now": RecorderStats(events=3, lag_bytes=10)}
    metrics.attach_board(Board(), lambda: 2)
    metrics.attach_recorder(lambda: stats["now"])
    board: dict[str, Any] = Board().totals()
    assert value(metrics, "metis_workers") == 2
    assert value(metrics, "metis_active_turns") == board["active_turns"]
    assert value(metrics, "metis_unledgered_records_total") == board["unledgered"]
    assert (
        metrics.registry.get_sample_value("metis_responses_total", {"class": "5xx"})
        == board["responses_5xx"]
    )
    assert value(metrics, "metis_spool_lag_bytes") == 10
    stats["now"] = RecorderStats(events=5, lag_bytes=0)
    assert value(metrics, "metis_spool_lag_bytes") == 0
    assert value(metrics, "metis_recorder_events_total") == 5


def test_every_board_counter_is_exported(metrics: GatewayMetrics) -> None:
    metrics.attach_board(Board(), lambda: 1)
    shown = {
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if family.name != "metis_workers"
    }
    assert {name for name, count in Board().totals().items() if count not in shown} == set()


def test_the_route_renders_prometheus_text(plane: Plane) -> None:
    plane.metrics.observe([call()[1]])
    answer = plane.client(token=None).get("/metrics")
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert "# TYPE metis_calls_total counter" in answer.text
