"""LedgerStore in memory, one event after the other: slower and plainer than SQLite's, to check that by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy

from metis.errors import LedgerError
from metis.storage.columns import (
    CALL_KIND_COLUMNS,
    OPENING_COLUMNS,
    OWNER_COLUMNS,
    SPOOL_COLUMNS,
    START_COLUMNS,
)
from metis.storage.rows import (
    Row,
    call_end_row,
    call_kind_row,
    decision_row,
    decision_text_of,
    event_row,
    finish_of,
    lost_start_of,
    owner_row,
    start_of,
    started_of,
    turn_facts_of,
    turn_kind_row,
)
from metis.storage.sums import HOUR_US, CallGroup, Rollups, Sessions, TurnGroup, add_sums, sums_of
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

_STARTED_TS = OPENING_COLUMNS.index("started_ts")
_SPOOL = slice(len(START_COLUMNS), len(START_COLUMNS) + len(SPOOL_COLUMNS))
_OWNER = slice(_SPOOL.stop, _SPOOL.stop + len(OWNER_COLUMNS))
_KIND = slice(_OWNER.stop, _OWNER.stop + len(CALL_KIND_COLUMNS))


class MemoryLedger:
    """The tables: calls as CALL_COLUMNS (open ones as OPENING_COLUMNS), the rest as their columns."""

    def __init__(self) -> None:
        self.calls: dict[str, Row] = {}
        self.turns: dict[str, Row] = {}
        self.decisions: dict[str, Row] = {}
        self.decision_texts: dict[str, Row] = {}
        self.events: dict[str, Row] = {}
        self.rollups: Rollups = {}
        self.sessions: Sessions = {}
        self.unreadable: dict[tuple[SpoolId, int, int], UnreadableFrame] = {}
        self.positions: dict[SpoolId, SpoolPosition] = {}


class MemoryLedgerStore:
    """Keep the ledger for as long as this object lives, in `tables`."""

    def __init__(self) -> None:
        self.tables = MemoryLedger()

    def commit(self, batches: Iterable[SpoolBatch]) -> None:
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
            if len(row) == len(OPENING_COLUMNS) and row[_SPOOL] == spool
        ]

    def forget(self, spools: Sequence[SpoolId]) -> None:
        for spool in spools:
            self.tables.positions.pop(spool, None)

    def close(self) -> None:
        """Nothing to let go of."""


def _write(tables: MemoryLedger, event: AnyEvent, spool: SpoolId) -> None:
    match event:
        case LlmCallStarted():
            call_id = event.call_id
            tables.calls.setdefault(call_id, _opening(start_of(event, call_id), event, spool))
        case LlmCallCompleted():
            call_id = event.call_id
            known = tables.calls.get(call_id) or _opening(
                lost_start_of(event, call_id), event, spool
            )
            if len(known) == len(OPENING_COLUMNS):
                finish, end = finish_of(event), call_end_row(bytes(event.ending))
                tables.calls[call_id] = known + finish + end
                hour = known[_STARTED_TS] // HOUR_US
                calls = [(known[_STARTED_TS], finish)]
                _add(tables, [CallGroup(hour, known[_OWNER], known[_KIND], end, calls)], [])
        case TurnCompleted():
            if event.turn_id not in tables.turns:
                owner, kind = owner_row(bytes(event.whose)), turn_kind_row(bytes(event.kind))
                tables.turns[event.turn_id] = turn_facts_of(event) + owner + kind
                span = (event.ts - event.duration_us, event.ts)
                _add(tables, [], [TurnGroup(owner, [span])])
        case RouteDecided():
            decision_id = event.decision_id
            if event.decision is not None:
                text = decision_text_of(event.decision, decision_id)
                decision_id = text[0]
                tables.decision_texts.setdefault(decision_id, text)
            tables.decisions.setdefault(event.event_id, decision_row(event, decision_id))
        case _:
            tables.events.setdefault(event.event_id, event_row(event))


def _opening(start: Row, event: LlmCallStarted | LlmCallCompleted, spool: SpoolId) -> Row:
    return (*start, *spool, *owner_row(bytes(event.whose)), *call_kind_row(bytes(event.kind)))


def _add(tables: MemoryLedger, calls: Sequence[CallGroup], turns: Sequence[TurnGroup]) -> None:
    rollups, sessions = sums_of(calls, turns)
    for key, sums in rollups.items():
        old = tables.rollups.get(key, [0] * len(sums))
        tables.rollups[key] = [a + b for a, b in zip(old, sums, strict=True)]
    for key, (owner, sums) in sessions.items():
        known = tables.sessions.get(key)
        tables.sessions[key] = (
            (owner, sums) if known is None else (known[0], add_sums(known[1], sums))
        )
