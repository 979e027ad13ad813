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
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from metis.trace.events import (
    AuthFailed,
    Event,
    LimitExceeded,
    LlmCallCompleted,
    RouteDecided,
    TurnCompleted,
)
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
    ("unledgered", "metis_unledgered_records", "Ledger records served without being written"),
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
            return Histogram(name, help_text, labels, registry=self.registry, buckets=buckets)

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

    def observe(self, events: Iterable[Event]) -> None:
        """Count one recorded batch."""
        batch = _Batch()
        for event in events:
            match event:
                case LlmCallCompleted():
                    self._observe_call(event, batch)
                case TurnCompleted():
                    batch.add(self._turns, (event.shape, event.operation, event.outcome))
                    if event.overhead_us:
                        batch.see(self._overhead, (), event.overhead_us / 1e6)
                case RouteDecided():
                    batch.add(self._decisions, (self._slot_of(event),))
                case AuthFailed():
                    batch.add(self._auth_failures, (self._words["reason"].of(event.reason),))
                case LimitExceeded():
                    batch.add(self._limits, (self._words["limit"].of(event.limit),))
                case _:
                    pass
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

    def _slot_of(self, event: RouteDecided) -> str:
        """The slot that chose; "other" where the decision was told before this process began."""
        if event.decision is None:
            return self._slots.get(event.decision_id, OTHER)
        if event.decision_id and len(self._slots) < _MAX_DECISIONS:
            self._slots[event.decision_id] = event.decision.slot
        return event.decision.slot

    def _observe_call(self, event: LlmCallCompleted, batch: _Batch) -> None:
        provider = self._providers.of(event.provider)
        model = self._models.of(event.model)
        paid_by = str(event.paid_by)
        batch.add(self._calls, (provider, model, event.role, event.outcome, paid_by))
        if event.failure:
            batch.add(self._failures, (provider, self._words["failure"].of(event.failure)))
        if event.outcome == "ok":
            batch.see(self._durations, (provider, model), event.duration_ms / 1e3)
        if event.first_byte_ms >= 0:
            batch.see(self._first_bytes, (provider, model), event.first_byte_ms / 1e3)
        usage = event.usage
        for kind, tokens in (
            ("fresh", usage.input_tokens),
            ("cache_read", usage.cache_read_tokens),
            ("cache_write_5m", usage.cache_write_5m_tokens),
            ("cache_write_1h", usage.cache_write_1h_tokens),
            ("output", usage.output_tokens),
        ):
            if tokens > 0:
                batch.add(self._tokens, (provider, model, kind, paid_by), tokens)
        if event.cost_nano_usd > 0:
            source = str(event.usage_source)
            batch.add(self._cost, (provider, model, paid_by, source), event.cost_nano_usd / _NANO)
        if event.price_unknown:
            batch.add(self._price_unknown, (provider, model))


class _Batch:
    """What a batch of events adds, summed first: finding a series costs more than everything else about it."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Counter, tuple[str, ...]], float] = {}
        self._seen: dict[tuple[Histogram, tuple[str, ...]], list[float]] = {}

    def add(self, counter: Counter, labels: tuple[str, ...], amount: float = 1) -> None:
        key = (counter, labels)
        self._sums[key] = self._sums.get(key, 0) + amount

    def see(self, histogram: Histogram, labels: tuple[str, ...], value: float) -> None:
        self._seen.setdefault((histogram, labels), []).append(value)

    def flush(self) -> None:
        for (counter, labels), amount in self._sums.items():
            counter.labels(*labels).inc(amount)
        for (histogram, labels), values in self._seen.items():
            series = histogram.labels(*labels) if labels else histogram
            for value in values:
                series.observe(value)


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
