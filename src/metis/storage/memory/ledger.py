"""LedgerStore in memory, one event after the other: slower and plainer than SQLite's, to check that by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

from metis.errors import LedgerError
from metis.storage.rows import (
    CALL_COLUMNS,
    OPENING_COLUMNS,
    Rollups,
    Row,
    Sessions,
    add_sums,
    completion_of,
    decision_row,
    event_row,
    opening_of,
    rollups_of,
    sessions_of,
    started_of,
    turn_row,
)
from metis.trace.events import (
    AnyEvent,
    LlmCallCompleted,
    LlmCallStarted,
    RouteDecided,
    TurnCompleted,
)
from metis.trace.ports import (
    START,
    SpoolBatch,
    SpoolId,
    SpoolPosition,
    UnreadableFrame,
)


class MemoryLedger:
    """The tables: calls as CALL_COLUMNS (open ones as OPENING_COLUMNS), the rest as their columns."""

    def __init__(self) -> None:
        self.calls: dict[str, Row] = {}
        self.turns: dict[str, Row] = {}
        self.decisions: dict[str, Row] = {}
        self.events: dict[str, Row] = {}
        self.rollups: Rollups = {}
        self.sessions: Sessions = {}
        self.unreadable: dict[tuple[SpoolId, int, int], UnreadableFrame] = {}
        self.positions: dict[SpoolId, SpoolPosition] = {}


class MemoryLedgerStore:
    """Keep the ledger for as long as this object lives, in `tables`."""

    def __init__(self) -> None:
        self.tables = MemoryLedger()

    def commit(self, batches: Sequence[SpoolBatch]) -> None:
        """See LedgerStore.commit."""
        tables = deepcopy(self.tables)
        for batch in batches:
            stored = tables.positions.get(batch.spool, START)
            if stored != batch.start:
                raise LedgerError(
                    f"spool {'/'.join(batch.spool)} is recorded up to {tuple(stored)}, not "
                    f"{tuple(batch.start)}; is another recorder at work?"
                )
            for event in batch.events:
                _write(tables, event, batch.spool)
            for frame in batch.unreadable:
                tables.unreadable.setdefault((batch.spool, frame.segment, frame.offset), frame)
            tables.positions[batch.spool] = batch.end
        self.tables = tables

    def positions(self) -> Mapping[SpoolId, SpoolPosition]:
        return dict(self.tables.positions)

    def open_calls(self, spool: SpoolId) -> Sequence[LlmCallStarted]:
        return [
            started_of(row)
            for row in self.tables.calls.values()
            if len(row) == len(OPENING_COLUMNS) and row[1:3] == spool
        ]

    def forget(self, spools: Sequence[SpoolId]) -> None:
        for spool in spools:
            self.tables.positions.pop(spool, None)

    def close(self) -> None:
        """Nothing to let go of."""


def _write(tables: MemoryLedger, event: AnyEvent, spool: SpoolId) -> None:
    match event:
        case LlmCallStarted():
            tables.calls.setdefault(event.call_id, opening_of(event, spool))
        case LlmCallCompleted():
            known = tables.calls.get(event.call_id) or opening_of(event, spool)
            if len(known) < len(CALL_COLUMNS):
                call = known + completion_of(event)
                tables.calls[event.call_id] = call
                for key, sums in rollups_of([call]).items():
                    old = tables.rollups.get(key, [0] * len(sums))
                    tables.rollups[key] = [a + b for a, b in zip(old, sums, strict=True)]
                _add_sessions(tables, sessions_of([call], []))
        case TurnCompleted():
            if event.turn_id not in tables.turns:
                tables.turns[event.turn_id] = turn_row(event)
                _add_sessions(tables, sessions_of([], [event]))
        case RouteDecided():
            tables.decisions.setdefault(event.event_id, decision_row(event))
        case _:
            tables.events.setdefault(event.event_id, event_row(event))


def _add_sessions(tables: MemoryLedger, sessions: Sessions) -> None:
    for key, (owner, sums) in sessions.items():
        known = tables.sessions.get(key)
        tables.sessions[key] = (
            (owner, sums) if known is None else (known[0], add_sums(known[1], sums))
        )
