"""Ledgers for tests: events with sensible fields, and a SQLite file that records them as the recorder would."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec

from metis.facts.decision import RouteDecision, Verdict
from metis.facts.usage import PaidBy, Usage, UsageSource
from metis.storage.sqlite.connection import connect
from metis.storage.sqlite.ledger import SqliteLedgerStore
from metis.storage.sqlite.migrations import migrate
from metis.trace.events import AnyEvent
from metis.trace.events.llm import LlmCallCompleted, LlmCallStarted
from metis.trace.events.route import RouteDecided
from metis.trace.events.turn import FidelityNote, TurnCompleted, TurnFeatures
from metis.trace.ports import START, SpoolBatch, SpoolId, SpoolPosition

NOON = 1_795_176_000_000_000  # 2026-11-20T12:00:00Z, epoch microseconds
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

_counter = itertools.count(1)

_OWNER = {
    "org_id": "default",
    "team_id": "team-a",
    "user_id": "ann",
    "project_id": "web",
    "key_id": "key_aaaaaaaa",
    "client": "claude-code",
    "session_id": "session-1",
}
_CALL = {
    "role": "main",
    "provider": "anthropic",
    "model": "claude-sonnet-5",
    "requested_model": "claude-sonnet-5",
    "operation": "generate",
    "shape": "anthropic_messages",
    "upstream_shape": "anthropic_messages",
}


def call(ts: int = NOON, *, duration_ms: float = 500.0, **fields: Any) -> tuple[AnyEvent, AnyEvent]:
    """A call that started at `ts`: its started and its completed event."""
    number = next(_counter)
    ids = {
        "call_id": f"call_{number}",
        "turn_id": f"turn_{number}",
        "attempt": 1,
        **_OWNER,
        **_CALL,
    }
    done: dict[str, Any] = {
        "outcome": "ok",
        "http_status": 200,
        "usage": Usage(input_tokens=100, output_tokens=10),
        "usage_source": UsageSource.REPORTED,
        "cost_nano_usd": 450_000,
        "first_byte_ms": 120.0,
        "stop": "end_turn",
    }
    for name, value in fields.items():
        (ids if name in LlmCallStarted.__struct_fields__ else done)[name] = value
    started = LlmCallStarted(**ids, event_id=f"evt_s{number}", ts=ts)
    completed = LlmCallCompleted(
        **ids,
        **done,
        event_id=f"evt_c{number}",
        ts=ts + round(duration_ms * 1000),
        duration_ms=duration_ms,
    )
    return started, completed


def turn(ts: int = NOON, **fields: Any) -> TurnCompleted:
    """A turn that ended at `ts`."""
    number = next(_counter)
    given: dict[str, Any] = {
        "turn_id": f"turn_{number}",
        **_OWNER,
        "operation": "generate",
        "shape": "anthropic_messages",
        "requested_model": "claude-sonnet-5",
        "provider": "anthropic",
        "model": "claude-sonnet-5",
        "outcome": "ok",
        "http_status": 200,
        "attempts": 1,
        "client_version": "2.1.330",
        "stream": True,
        "response_id": f"msg_{number}",
        "features": TurnFeatures(messages=3, tools=2),
        "fidelity": (FidelityNote("dropped", "$.thread", "not in this shape"),),
        "overhead_us": 310,
        "duration_ms": 600.0,
        **fields,
    }
    return TurnCompleted(**given, event_id=f"evt_t{number}", ts=ts)


DECISION = RouteDecision(
    requested_model="claude-sonnet-5",
    provider="anthropic",
    model="claude-sonnet-5",
    slot="requested",
    reason="the client asked for it",
    verdicts=(
        Verdict("override", "pass", "no override"),
        Verdict("requested", "choose", "the client asked for it", "claude-sonnet-5"),
    ),
)


def decided(
    ts: int = NOON, *, turn_id: str, decision: RouteDecision | None = DECISION, **fields: Any
) -> RouteDecided:
    """The decision of a turn."""
    given = {**_OWNER, "turn_id": turn_id, "decision": decision, **fields}
    return RouteDecided(**given, event_id=f"evt_r{next(_counter)}", ts=ts)


class LedgerFile:
    """A SQLite ledger in a directory; `record` commits events as one batch of one spool."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "metis.db"
        connection = connect(self.path)
        migrate(connection, now_ts=NOON)
        self._store = SqliteLedgerStore(connection)
        self._position = START

    def record(self, *events: AnyEvent | tuple[AnyEvent, ...]) -> None:
        flat: list[AnyEvent] = []
        for event in events:
            flat.extend(event if isinstance(event, tuple) else (event,))
        end = SpoolPosition(self._position.segment, self._position.offset + 1)
        batch = SpoolBatch(spool=SpoolId("r", "w"), start=self._position, end=end, events=flat)
        self._store.commit([batch])
        self._position = end

    def close(self) -> None:
        self._store.close()


def client_paid(**fields: Any) -> dict[str, Any]:
    """Fields of a call that the client's own credential paid."""
    return {"paid_by": PaidBy.CLIENT, **fields}


def replace(event: AnyEvent, **fields: Any) -> AnyEvent:
    """The event with some fields changed."""
    return msgspec.structs.replace(event, **fields)
