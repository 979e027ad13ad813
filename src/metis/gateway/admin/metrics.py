"""Prometheus metrics of one installation: counted from recorded events, and read from the board when scraped.

Counters begin at 0 with the control process. Money here is float dollars, for graphs and alerts; exact
sums are the ledger's. Every label's values are bounded, so that clients cannot grow the set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from metis.gateway.admin.metrics_sums import Batch, Histogram
from metis.trace.events import (
    AnyForm,
    AuthFailed,
    LimitExceeded,
    LlmCallCompleted,
    RouteDecided,
    TurnCompleted,
)
from metis.trace.events.groups import CALL_END, CALL_KIND, TURN_KIND, CallEnd, CallKind
from metis.trace.recorder import RecorderStats

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"
_MAX_MODELS: Final = 200
_MAX_PROVIDERS: Final = 50
_MAX_WORDS: Final = 40
_MAX_DECISIONS: Final = 10_000
_NANO: Final = 1e9
_DURATIONS_S: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
_FIRST_BYTES_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 60)
_OVERHEADS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25)

# Board counters as metrics: the board's name, the metric's, its help. Gauges go up and down.
_BOARD_GAUGES: Final = (
    ("active_connections", "metis_active_connections", "Client connections open now"),
    ("active_turns", "metis_active_turns", "Turns in progress now"),
    ("upstream_connections", "metis_upstream_connections", "Upstream connections open now"),
)
_BOARD_COUNTERS: Final = (
    ("requests", "metis_requests", "Requests read by the door"),
    ("turns", "metis_turns_started", "Turns begun by the door, at once"),
    ("connections", "metis_connections", "Client connections accepted"),
    ("auth_failures", "metis_door_auth_failures", "Requests refused for their key, at once"),
    ("client_gone", "metis_clients_gone", "Clients that hung up before their answer ended"),
    ("upstream_calls", "metis_upstream_calls", "Calls sent upstream, at once"),
    ("upstream_failures", "metis_upstream_failures", "Upstream calls without a usable answer"),
    ("limit_exceeded", "metis_door_limits_exceeded", "Requests refused by a limit, at once"),
    ("unledgered", "metis_unledgered_records", "Ledger records that were dropped"),
    ("dropped", "metis_dropped_records", "Observations dropped because a queue was full"),
    ("stream_chunks", "metis_stream_chunks", "Stream chunks relayed"),
    ("bytes_in", "metis_received_bytes", "Bytes read from clients"),
    ("bytes_out", "metis_sent_bytes", "Bytes written to clients"),
)
_RESPONSES: Final = (
    ("responses_2xx", "2xx"),
    ("responses_4xx", "4xx"),
    ("responses_5xx", "5xx"),
)
_RECORDER_COUNTERS: Final = (
    ("events", "metis_recorder_events", "Events recorded into the ledger"),
    ("batches", "metis_recorder_batches", "Batches recorded into the ledger"),
    ("interrupted", "metis_recorder_interrupted_calls", "Calls ended for a worker that died"),
    ("torn", "metis_recorder_torn_frames", "Spool frames whose append never returned"),
    ("corrupt", "metis_recorder_corrupt_frames", "Damaged places in spools"),
    ("unreadable", "metis_recorder_unreadable_frames", "Spool frames that are no event"),
    ("removed_spools", "metis_recorder_removed_spools", "Spools removed once recorded"),
)
_RECORDER_GAUGES: Final = (
    ("lag_bytes", "metis_spool_lag_bytes", "Spool bytes that are not recorded yet"),
    ("spools", "metis_spools", "Spools that exist now"),
    ("blocked_spools", "metis_blocked_spools", "Spools the recorder cannot get past"),
)


class BoardStats(Protocol):
    """The workers' shared counters, as sums and by name (see `storage.board`)."""

    def totals(self) -> Mapping[str, int]: ...


class BoundedLabel:
    """Keep a label's first `most` distinct values; every later one becomes "other"."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, value: str) -> str:
        if value in self._known:
            return value
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(value)
        return value


class GatewayMetrics:
    """All metrics, in a registry of their own. `observe` may be called from the recorder's thread."""

    def __init__(self) -> None:
        disable_created_metrics()  # they double the series, and nothing reads them
        self.registry = CollectorRegistry()
        self._models = BoundedLabel(_MAX_MODELS)
        self._providers = BoundedLabel(_MAX_PROVIDERS)
        self._words = {name: BoundedLabel(_MAX_WORDS) for name in ("reason", "limit", "failure")}
        self._slots: dict[str, str] = {}  # of decisions that were told, by their id

        def counter(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(name, help_text, labels, registry=self.registry)

        def histogram(
            name: str, help_text: str, buckets: Sequence[float], *labels: str
        ) -> Histogram:
            made = Histogram(name, help_text, buckets, *labels)
            self.registry.register(made)
            return made

        self._turns = counter(
            "metis_turns", "Client requests answered", "shape", "operation", "outcome"
        )
        self._overhead = histogram(
            "metis_turn_overhead_seconds",
            "Metis's own time before the first upstream byte leaves",
            _OVERHEADS_S,
        )
        self._decisions = counter("metis_route_decisions", "Routing decisions by slot", "slot")
        self._calls = counter(
            *("metis_calls", "Upstream calls ended"),
            *("provider", "model", "role", "outcome", "paid_by"),
        )
        self._failures = counter(
            "metis_call_failures", "Upstream calls that failed", "provider", "failure"
        )
        self._durations = histogram(
            *("metis_call_duration_seconds", "Time of upstream calls that succeeded", _DURATIONS_S),
            *("provider", "model"),
        )
        self._first_bytes = histogram(
            *("metis_call_first_byte_seconds", "Time to the upstream's first body byte"),
            _FIRST_BYTES_S,
            *("provider", "model"),
        )
        self._tokens = counter(
            "metis_tokens", "Tokens used", "provider", "model", "kind", "paid_by"
        )
        self._cost = counter(
            *("metis_cost_usd", "Dollars spent, approximately"),
            *("provider", "model", "paid_by", "usage_source"),
        )
        self._price_unknown = counter(
            "metis_calls_price_unknown", "Calls whose price is not known", "provider", "model"
        )
        self._auth_failures = counter("metis_auth_failures", "Refused keys, as recorded", "reason")
        self._limits = counter(
            "metis_limits_exceeded", "Requests refused by a limit, as recorded", "limit"
        )

    def observe(self, events: Iterable[AnyForm]) -> None:
        """Count one recorded batch. Calls and turns that are alike but for their numbers are counted together."""
        batch = Batch()
        calls: dict[tuple[bytes, bytes], list[LlmCallCompleted]] = {}
        turns: dict[bytes, list[TurnCompleted]] = {}
        decisions: dict[str, int] = {}
        for event in events:
            if isinstance(event, LlmCallCompleted):
                calls.setdefault((bytes(event.kind), bytes(event.ending)), []).append(event)
            elif isinstance(event, TurnCompleted):
                turns.setdefault(bytes(event.kind), []).append(event)
            elif isinstance(event, RouteDecided):
                if event.decision is None and event.decision_id in decisions:
                    decisions[event.decision_id] += 1
                else:
                    self._meet_decision(event, decisions, batch)
            elif isinstance(event, AuthFailed):
                batch.add(self._auth_failures, (self._words["reason"].of(event.reason),))
            elif isinstance(event, LimitExceeded):
                batch.add(self._limits, (self._words["limit"].of(event.limit),))
        for (kind, ending), alike in calls.items():
            self._count_calls(
                CALL_KIND.unpack_bytes(kind), CALL_END.unpack_bytes(ending), alike, batch
            )
        for kind, ended in turns.items():
            turn = TURN_KIND.unpack_bytes(kind)
            batch.add(self._turns, (turn.shape, turn.operation, turn.outcome), len(ended))
            batch.see(
                self._overhead, (), [one.overhead_us / 1e6 for one in ended if one.overhead_us]
            )
        for decision_id, count in decisions.items():
            batch.add(self._decisions, (self._slots.get(decision_id, OTHER),), count)
        batch.flush()

    def attach_board(self, board: BoardStats, workers_alive: Callable[[], int]) -> None:
        """Read the workers' counters at each scrape."""
        self.registry.register(_BoardCollector(board, workers_alive))

    def attach_recorder(self, totals: Callable[[], RecorderStats]) -> None:
        """Read the recorder's sums at each scrape."""
        self.registry.register(_RecorderCollector(totals))

    def render(self) -> bytes:
        """All metrics in Prometheus's text format, CONTENT_TYPE."""
        return generate_latest(self.registry)

    def _meet_decision(self, event: RouteDecided, referred: dict[str, int], batch: Batch) -> None:
        """Count a decision that is told, or the first in a batch that is referred to.

        The slot is "other" where the decision was told before this process began.
        """
        if event.decision is None:
            referred[event.decision_id] = 1
            return
        if event.decision_id and len(self._slots) < _MAX_DECISIONS:
            self._slots[event.decision_id] = event.decision.slot
        batch.add(self._decisions, (event.decision.slot,))

    def _count_calls(
        self, kind: CallKind, end: CallEnd, calls: list[LlmCallCompleted], batch: Batch
    ) -> None:
        provider, model = self._providers.of(kind.provider), self._models.of(kind.model)
        paid_by, count = str(kind.paid_by), len(calls)
        batch.add(self._calls, (provider, model, kind.role, end.outcome, paid_by), count)
        if end.failure:
            failure = self._words["failure"].of(end.failure)
            batch.add(self._failures, (provider, failure), count)
        if end.outcome == "ok":
            batch.see(
                self._durations, (provider, model), [call.duration_us / 1e6 for call in calls]
            )
        first = [call.first_byte_us / 1e6 for call in calls if call.first_byte_us >= 0]
        if first:
            batch.see(self._first_bytes, (provider, model), first)
        for what, tokens in (
            ("fresh", sum(call.input_tokens for call in calls)),
            ("cache_read", sum(call.cache_read_tokens for call in calls)),
            ("cache_write_5m", sum(call.cache_write_5m_tokens for call in calls)),
            ("cache_write_1h", sum(call.cache_write_1h_tokens for call in calls)),
            ("output", sum(call.output_tokens for call in calls)),
        ):
            if tokens > 0:
                batch.add(self._tokens, (provider, model, what, paid_by), tokens)
        cost = sum(call.cost_nano_usd for call in calls)
        if cost > 0:
            source = str(end.usage_source)
            batch.add(self._cost, (provider, model, paid_by, source), cost / _NANO)
        if end.price_unknown:
            batch.add(self._price_unknown, (provider, model), count)


class _BoardCollector(Collector):
    def __init__(self, board: BoardStats, workers_alive: Callable[[], int]) -> None:
        self._board = board
        self._workers_alive = workers_alive

    def collect(self) -> Iterable[Metric]:
        totals = self._board.totals()
        yield GaugeMetricFamily("metis_workers", "Workers alive", value=self._workers_alive())
        for name, metric, help_text in _BOARD_GAUGES:
            yield GaugeMetricFamily(metric, help_text, value=totals.get(name, 0))
        for name, metric, help_text in _BOARD_COUNTERS:
            yield CounterMetricFamily(metric, help_text, value=totals.get(name, 0))
        responses = CounterMetricFamily(
            "metis_responses", "Responses sent, by status class", labels=["class"]
        )
        for name, label in _RESPONSES:
            responses.add_metric([label], totals.get(name, 0))
        yield responses


class _RecorderCollector(Collector):
    def __init__(self, totals: Callable[[], RecorderStats]) -> None:
        self._totals = totals

    def collect(self) -> Iterable[Metric]:
        totals = self._totals()
        for name, metric, help_text in _RECORDER_COUNTERS:
            yield CounterMetricFamily(metric, help_text, value=getattr(totals, name))
        for name, metric, help_text in _RECORDER_GAUGES:
            yield GaugeMetricFamily(metric, help_text, value=getattr(totals, name))
