"""Ledgers for tests: events with sensible fields, and a SQLite file that records them as the recorder would."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from metis.facts.decision import RouteDecision, Verdict
from metis.facts.usage import PaidBy, Usage, UsageSource
from metis.storage.sqlite.connection import connect
from metis.storage.sqlite.ledger import SqliteLedgerStore
from metis.storage.sqlite.migrations import migrate
from metis.trace.events import AnyEvent, AnyForm
from metis.trace.events.event import TurnEvent, as_dict
from metis.trace.events.groups import CallKind, Packed, Whose
from metis.trace.events.llm import CallEvent, LlmCallCompleted, LlmCallStarted
from metis.trace.events.route import RouteDecided
from metis.trace.events.turn import FidelityNote, TurnCompleted, TurnFeatures
from metis.trace.ports import START, SpoolBatch, SpoolId, SpoolPosition

NOON = 1_795_176_000_000_000  # 2026-11-20T12:00:00Z, epoch microseconds
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

_counter = itertools.count(1)
E = TypeVar("E", bound=TurnEvent)

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
_STARTS = {
    *Whose.__struct_fields__,
    *CallKind.__struct_fields__,
    *LlmCallStarted.__struct_fields__,
}


def made(kind: type[E], fields: dict[str, Any]) -> E:
    """An event from its fields by name: those of its groups too, a whole `usage`, and `features` as a value."""
    given = dict(fields)
    if "usage" in given:
        given |= msgspec.structs.asdict(given.pop("usage"))
    if isinstance(given.get("features"), TurnFeatures):
        given["features"] = Packed(msgspec.json.encode(given["features"]))
    for name, group in kind.groups.items():
        kind_of_group: Any = group.kind
        names: tuple[str, ...] = kind_of_group.__struct_fields__
        given[name] = group.pack(**{name: given.pop(name) for name in names if name in given})
    return kind(**given)


def said(event: AnyForm) -> dict[str, Any]:
    """All that an event says, by name, and what follows from it."""
    found = as_dict(event)
    return {**found, "call_id": event.call_id} if isinstance(event, CallEvent) else found


def usage_of(event: LlmCallCompleted) -> Usage:
    return Usage(**{name: getattr(event, name) for name in Usage.__struct_fields__})


def replace(event: E, **changes: Any) -> E:
    """The event with some of its fields another, those of its groups too."""
    fields = msgspec.structs.asdict(event)
    for name, group in event.groups.items():
        fields |= msgspec.structs.asdict(group.unpack(fields.pop(name)))
    return made(type(event), {**fields, **changes})


def call(
    ts: int = NOON, *, duration_us: int = 500_000, **fields: Any
) -> tuple[LlmCallStarted, LlmCallCompleted]:
    """A call that started at `ts`: its started and its completed event. Calls of one turn need an `attempt` each."""
    ids = {
        "turn_id": f"turn_{next(_counter)}",
        "attempt": 1,
        "previous_turn_id": "",
        "request_bytes": 0,
        **_OWNER,
        **_CALL,
    }
    done: dict[str, Any] = {
        "outcome": "ok",
        "http_status": 200,
        "usage": Usage(input_tokens=100, output_tokens=10),
        "usage_source": UsageSource.REPORTED,
        "cost_nano_usd": 450_000,
        "first_byte_us": 120_000,
        "stop": "end_turn",
    }
    for name, value in fields.items():
        (ids if name in _STARTS else done)[name] = value
    started = made(LlmCallStarted, {**ids, "ts": ts})
    ended = {**ids, **done, "ts": ts + duration_us, "duration_us": duration_us}
    return started, made(LlmCallCompleted, ended)


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
        "duration_us": 600_000,
        **fields,
    }
    return made(TurnCompleted, {**given, "ts": ts})


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
    return made(RouteDecided, {**given, "ts": ts})


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
