"""LedgerStore over SQLite: events become rows, rollups and sessions, committed together with positions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from metis.errors import LedgerError, StorageError
from metis.storage.rows import (
    CALL_COLUMNS,
    COMPLETION_COLUMNS,
    DECISION_COLUMNS,
    EVENT_COLUMNS,
    OPENING_COLUMNS,
    ROLLUP_DIMENSIONS,
    ROLLUP_MEASURES,
    SESSION_MEASURES,
    SESSION_OWNER,
    TURN_COLUMNS,
    Row,
    completion_of,
    decision_row,
    event_row,
    opening_of,
    rollups_of,
    sessions_of,
    started_of,
    turn_row,
)
from metis.storage.sqlite.connection import transaction
from metis.trace.events import (
    LlmCallCompleted,
    LlmCallStarted,
    RouteDecided,
    TurnCompleted,
)
from metis.trace.ports import START, SpoolBatch, SpoolId, SpoolPosition


def _insert(table: str, columns: Sequence[str], ending: str = "") -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {ending}"


def _added(columns: Sequence[str]) -> str:
    return ", ".join(f"{name} = {name} + excluded.{name}" for name in columns)


_INSERT_OPEN: Final = _insert("calls", (*OPENING_COLUMNS, "state"))
_INSERT_CLOSED: Final = _insert("calls", CALL_COLUMNS)
_CLOSE: Final = (
    f"UPDATE calls SET {', '.join(f'{name} = ?' for name in COMPLETION_COLUMNS)} WHERE call_id = ?"
)
_INSERT_TURN: Final = _insert("turns", TURN_COLUMNS)
_INSERT_DECISION: Final = _insert(
    "decisions", DECISION_COLUMNS, "ON CONFLICT (event_id) DO NOTHING"
)
_INSERT_EVENT: Final = _insert("events", EVENT_COLUMNS, "ON CONFLICT (event_id) DO NOTHING")
_INSERT_UNREADABLE: Final = _insert(
    "unreadable_frames",
    ("replica", "spool", "segment", "offset", "why", "payload"),
    "ON CONFLICT DO NOTHING",
)
_ADD_ROLLUP: Final = _insert(
    "rollups_hourly",
    (*ROLLUP_DIMENSIONS, *ROLLUP_MEASURES),
    f"ON CONFLICT ({', '.join(ROLLUP_DIMENSIONS)}) DO UPDATE SET {_added(ROLLUP_MEASURES)}",
)
_ADD_SESSION: Final = _insert(
    "sessions",
    ("key_id", "session_id", *SESSION_OWNER, "first_ts", "last_ts", *SESSION_MEASURES),
    "ON CONFLICT (key_id, session_id) DO UPDATE SET first_ts = min(first_ts, excluded.first_ts), "
    f"last_ts = max(last_ts, excluded.last_ts), {_added(SESSION_MEASURES)}",
)
_SET_POSITION: Final = _insert(
    "spool_positions",
    ("replica", "spool", "segment", "offset"),
    "ON CONFLICT (replica, spool) DO UPDATE SET segment = excluded.segment, offset = excluded.offset",
)
_KNOWN_CALLS: Final = (
    f"SELECT state, {', '.join(f'calls.{name}' for name in OPENING_COLUMNS)} "
    "FROM json_each(?) AS wanted JOIN calls ON calls.call_id = wanted.value"
)
_KNOWN_TURNS: Final = (
    "SELECT turn_id FROM json_each(?) AS wanted JOIN turns ON turns.turn_id = wanted.value"
)
_OPEN_CALLS: Final = (
    f"SELECT {', '.join(OPENING_COLUMNS)} FROM calls "
    "WHERE replica = ? AND spool = ? AND state = 'open' ORDER BY id"
)


class SqliteLedgerStore:
    """Keep the ledger in an open, migrated database, which this store owns from then on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def commit(self, batches: Sequence[SpoolBatch]) -> None:
        """See LedgerStore.commit."""
        with transaction(self._connection):
            self._check_positions(batches)
            closed = self._write_calls(batches)
            turns = self._write_turns(batches)
            self._write_other_events(batches)
            self._add_sums(closed, turns)
            self._connection.executemany(
                _SET_POSITION, [(*batch.spool, *batch.end) for batch in batches]
            )

    def positions(self) -> Mapping[SpoolId, SpoolPosition]:
        rows = self._read("SELECT replica, spool, segment, offset FROM spool_positions")
        return {SpoolId(row[0], row[1]): SpoolPosition(row[2], row[3]) for row in rows}

    def open_calls(self, spool: SpoolId) -> Sequence[LlmCallStarted]:
        return [started_of(row) for row in self._read(_OPEN_CALLS, spool)]

    def forget(self, spools: Sequence[SpoolId]) -> None:
        with transaction(self._connection):
            self._connection.executemany(
                "DELETE FROM spool_positions WHERE replica = ? AND spool = ?", spools
            )

    def close(self) -> None:
        self._connection.close()

    def _read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as exc:
            raise StorageError(f"the database cannot be read: {exc}") from exc

    def _check_positions(self, batches: Sequence[SpoolBatch]) -> None:
        for batch in batches:
            row = self._connection.execute(
                "SELECT segment, offset FROM spool_positions WHERE replica = ? AND spool = ?",
                batch.spool,
            ).fetchone()
            stored = START if row is None else SpoolPosition(*row)
            if stored != batch.start:
                raise LedgerError(
                    f"spool {'/'.join(batch.spool)} is recorded up to {tuple(stored)}, not "
                    f"{tuple(batch.start)}; is another recorder at work?"
                )

    def _write_calls(self, batches: Sequence[SpoolBatch]) -> list[Row]:
        """Write starts and ends; return the rows of the calls this closed."""
        openings: dict[str, Row] = {}
        completions: dict[str, LlmCallCompleted] = {}
        late: dict[str, Row] = {}  # openings made from ends whose start is nowhere
        for batch in batches:
            spool = batch.spool
            for event in batch.events:
                if type(event) is LlmCallStarted:
                    openings.setdefault(event.call_id, opening_of(event, spool))
                elif type(event) is LlmCallCompleted:
                    completions.setdefault(event.call_id, event)
                    if event.call_id not in openings:
                        late[event.call_id] = opening_of(event, spool)
        wanted = json.dumps([*openings, *(id for id in late if id not in openings)])
        known = {row[1]: row for row in self._connection.execute(_KNOWN_CALLS, (wanted,))}
        opened: list[Row] = []
        created: list[Row] = []
        updated: list[Row] = []
        closed: list[Row] = []
        for call_id, opening in openings.items():
            if call_id not in known and call_id not in completions:
                opened.append((*opening, "open"))
        for call_id, event in completions.items():
            stored = known.get(call_id)
            if stored is None:
                row = (openings.get(call_id) or late[call_id]) + completion_of(event)
                created.append(row)
                closed.append(row)
            elif stored[0] == "open":
                completion = completion_of(event)
                updated.append((*completion, call_id))
                closed.append((*stored[1:], *completion))
        self._connection.executemany(_INSERT_OPEN, opened)
        self._connection.executemany(_INSERT_CLOSED, created)
        self._connection.executemany(_CLOSE, updated)
        return closed

    def _write_turns(self, batches: Sequence[SpoolBatch]) -> list[TurnCompleted]:
        """Write turns; return those that are new."""
        turns = {
            event.turn_id: event
            for batch in batches
            for event in batch.events
            if type(event) is TurnCompleted
        }
        if not turns:
            return []
        for (turn_id,) in self._connection.execute(_KNOWN_TURNS, (json.dumps(list(turns)),)):
            del turns[turn_id]
        self._connection.executemany(_INSERT_TURN, map(turn_row, turns.values()))
        return list(turns.values())

    def _write_other_events(self, batches: Sequence[SpoolBatch]) -> None:
        decisions: list[Row] = []
        others: list[Row] = []
        for batch in batches:
            for event in batch.events:
                match event:
                    case LlmCallStarted() | LlmCallCompleted() | TurnCompleted():
                        pass
                    case RouteDecided():
                        decisions.append(decision_row(event))
                    case _:
                        others.append(event_row(event))
        self._connection.executemany(_INSERT_DECISION, decisions)
        self._connection.executemany(_INSERT_EVENT, others)
        self._connection.executemany(
            _INSERT_UNREADABLE,
            [(*batch.spool, *frame) for batch in batches for frame in batch.unreadable],
        )

    def _add_sums(self, closed: list[Row], turns: list[TurnCompleted]) -> None:
        self._connection.executemany(
            _ADD_ROLLUP, [(*key, *sums) for key, sums in rollups_of(closed).items()]
        )
        self._connection.executemany(
            _ADD_SESSION,
            [(*key, *owner, *sums) for key, (owner, sums) in sessions_of(closed, turns).items()],
        )
