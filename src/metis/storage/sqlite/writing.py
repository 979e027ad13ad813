"""How events become rows of the SQLite ledger, inside a transaction that the caller holds. No positions here.

A batch is read from a spool's recorded position on, so what is in it has, as a rule, not been recorded before. Rows
are therefore written as new without looking; where a unique index says otherwise, or a call to be closed is not open,
nothing of the batch stays written and it is done again, this time asking first which calls and turns are there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from metis.storage.columns import (
    CALL_END_COLUMNS,
    CALL_KIND_COLUMNS,
    EVENT_COLUMNS,
    FINISH_COLUMNS,
    OWNER_COLUMNS,
    ROLLUP_DIMENSIONS,
    ROLLUP_MEASURES,
    SESSION_COLUMNS,
    SESSION_KEY,
    SESSION_MEASURES,
    SPOOL_COLUMNS,
    START_COLUMNS,
    TURN_FACT_COLUMNS,
    TURN_KIND_COLUMNS,
    UNREADABLE_COLUMNS,
)
from metis.storage.rows import (
    NO_END,
    NO_FINISH,
    Row,
    call_end_row,
    call_kind_row,
    encode_json,
    event_row,
    finish_of,
    lost_start_of,
    owner_row,
    start_of,
    turn_facts_of,
    turn_kind_row,
)
from metis.storage.sqlite.decision_texts import DecisionTexts
from metis.storage.sqlite.dimension import Combinations, Dimension
from metis.storage.sums import HOUR_US, CallGroup, TurnGroup, sums_of
from metis.trace.events import (
    AnyEvent,
    AnyOtherEvent,
    LlmCallCompleted,
    LlmCallStarted,
    RouteDecided,
    TurnCompleted,
)
from metis.trace.ports import SpoolBatch, SpoolId

_STARTED_TS: Final = START_COLUMNS.index("started_ts")
_TURN_DURATION: Final = TURN_FACT_COLUMNS.index("duration_us")
# Calls by hour, owner, kind and ending, each as started_ts and FINISH_COLUMNS; turns by owner, from when to when.
CallGroups = dict[tuple[int, int, int, int], list[tuple[int, Row]]]
TurnGroups = dict[int, list[tuple[int, int]]]

_MOST_OPEN: Final = 100_000


def insert_into(table: str, columns: Sequence[str], ending: str = "") -> str:
    """An INSERT statement that takes all columns as parameters."""
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {ending}"


def _added(columns: Sequence[str]) -> str:
    return ", ".join(f"{name} = {name} + excluded.{name}" for name in columns)


_INSERT_CALL: Final = insert_into(
    "call_rows",
    ("id", "owner", "kind", "ending", "written_by", *START_COLUMNS, *FINISH_COLUMNS),
)
_CLOSE_CALL: Final = (
    f"UPDATE call_rows SET {', '.join(f'{name} = ?' for name in FINISH_COLUMNS)}, ending = ? "
    "WHERE id = ? AND call_id = ? AND completed_ts IS NULL"
)
_INSERT_RESPONSE: Final = insert_into("call_responses", ("response_id", "call"))
_INSERT_TURN: Final = insert_into("turn_rows", ("owner", "kind", *TURN_FACT_COLUMNS))
_INSERT_DECISION: Final = insert_into(
    "decision_rows",
    ("turn_id", "event_id", "ts", "policy", "decision", "owner"),
    "ON CONFLICT DO NOTHING",
)
_INSERT_EVENT: Final = insert_into("events", EVENT_COLUMNS, "ON CONFLICT (event_id) DO NOTHING")
_INSERT_UNREADABLE: Final = insert_into(
    "unreadable_frames", UNREADABLE_COLUMNS, "ON CONFLICT DO NOTHING"
)
_ADD_ROLLUP: Final = insert_into(
    "rollups_hourly",
    (*ROLLUP_DIMENSIONS, *ROLLUP_MEASURES),
    f"ON CONFLICT ({', '.join(ROLLUP_DIMENSIONS)}) DO UPDATE SET {_added(ROLLUP_MEASURES)}",
)
_ADD_SESSION: Final = insert_into(
    "sessions",
    SESSION_COLUMNS,
    f"ON CONFLICT ({', '.join(SESSION_KEY)}) DO UPDATE SET first_ts = min(first_ts, excluded.first_ts), "
    f"last_ts = max(last_ts, excluded.last_ts), {_added(SESSION_MEASURES)}",
)
_KNOWN_CALLS: Final = (
    "SELECT c.call_id, c.id, c.started_ts, c.owner, c.kind, c.completed_ts IS NULL "
    "FROM json_each(?) AS wanted CROSS JOIN call_rows AS c ON c.call_id = wanted.value"
)
_KNOWN_TURNS: Final = (
    "SELECT turn_id FROM json_each(?) AS wanted CROSS JOIN turn_rows ON turn_id = wanted.value"
)


class StoredCall(NamedTuple):
    """A call's row as it stands before a batch."""

    number: int
    started_ts: int
    owner: int
    kind: int
    is_open: bool = True


class SortedEvents(NamedTuple):
    """A batch's events by what they become. Of calls and turns the first word counts."""

    starts: dict[str, LlmCallStarted]
    ends: dict[str, LlmCallCompleted]
    turns: dict[str, TurnCompleted]
    decisions: list[RouteDecided]
    others: list[AnyOtherEvent]


def _sorted(events: Iterable[AnyEvent]) -> SortedEvents:
    found = SortedEvents({}, {}, {}, [], [])
    starts, ends, turns, decisions, others = found
    for event in events:
        if isinstance(event, LlmCallStarted):
            call_id = event.call_id
            if call_id not in starts and call_id not in ends:
                starts[call_id] = event
        elif isinstance(event, LlmCallCompleted):
            ends.setdefault(event.call_id, event)
        elif isinstance(event, TurnCompleted):
            turns.setdefault(event.turn_id, event)
        elif isinstance(event, RouteDecided):
            decisions.append(event)
        else:
            others.append(event)
    return found


class _NotNew(Exception):
    """Something that was to be written as new is there already."""


class LedgerWriter:
    """Writes batches through one connection, remembering numbers from one to the next.

    In a transaction: `write` each batch, then `write_sums`. Call `forget` when it was rolled back.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._owners = Dimension(connection, "owners", OWNER_COLUMNS, owner_row)
        self._call_kinds = Dimension(connection, "call_kinds", CALL_KIND_COLUMNS, call_kind_row)
        self._call_ends = Dimension(connection, "call_ends", CALL_END_COLUMNS, call_end_row)
        self._turn_kinds = Dimension(connection, "turn_kinds", TURN_KIND_COLUMNS, turn_kind_row)
        self._spools = Combinations(connection, "spools", SPOOL_COLUMNS)
        self._texts = DecisionTexts(connection)
        self._open: dict[str, StoredCall] = {}
        self._calls: CallGroups = {}
        self._turns: TurnGroups = {}

    def write(self, batch: SpoolBatch) -> None:
        """Write a batch's rows. Raises sqlite3.Error."""
        events = _sorted(batch.events)
        execute = self._connection.execute
        execute("SAVEPOINT batch")
        try:
            self._write(batch.spool, events, self._ended_later(events))
        except (sqlite3.IntegrityError, _NotNew):
            execute("ROLLBACK TO batch")
            self._forget_numbers()
            new_turns = self._new_turns(events.turns)
            stored = self._stored_calls({**events.starts, **events.ends})
            self._write(batch.spool, events._replace(turns=new_turns), stored)
        execute("RELEASE batch")
        self._connection.executemany(
            _INSERT_UNREADABLE, [(*batch.spool, *frame) for frame in batch.unreadable]
        )

    def write_sums(self) -> None:
        """Add what all batches since the last call closed to rollups and sessions. Raises sqlite3.Error."""
        rollups, sessions = sums_of(
            [
                CallGroup(
                    hour,
                    self._owners.row_of(owner),
                    self._call_kinds.row_of(kind),
                    self._call_ends.row_of(ending),
                    calls,
                )
                for (hour, owner, kind, ending), calls in self._calls.items()
            ],
            [TurnGroup(self._owners.row_of(owner), turns) for owner, turns in self._turns.items()],
        )
        self._calls.clear()
        self._turns.clear()
        self._connection.executemany(_ADD_ROLLUP, [(*key, *sums) for key, sums in rollups.items()])
        self._connection.executemany(
            _ADD_SESSION, [(*key, *owner, *sums) for key, (owner, sums) in sessions.items()]
        )
        self._trim()

    def forget(self) -> None:
        """Forget all that was remembered: what it was met in is undone."""
        self._calls.clear()
        self._turns.clear()
        self._forget_numbers()

    def _forget_numbers(self) -> None:
        self._open.clear()
        for table in self._remembered():
            table.forget()

    def _trim(self) -> None:
        """Keep memory bounded; what is not remembered is looked up."""
        if len(self._open) > _MOST_OPEN:
            self._open.clear()
        for table in self._remembered():
            table.trim()

    def _remembered(self) -> tuple[Combinations | DecisionTexts, ...]:
        kinds = self._call_kinds, self._call_ends, self._turn_kinds
        return self._owners, *kinds, self._spools, self._texts

    def _write(self, spool: SpoolId, events: SortedEvents, stored: dict[str, StoredCall]) -> None:
        """Write rows, and when all are written note what is to be summed. `stored` calls are not new.

        Raises sqlite3.IntegrityError or _NotNew when other calls or turns are there already.
        """
        calls = self._write_calls(spool, events, stored)
        turns = self._write_turns(events.turns)
        self._write_decisions(events.decisions)
        self._connection.executemany(_INSERT_EVENT, map(event_row, events.others))
        for call_id in stored:
            self._open.pop(call_id, None)
        self._open.update(calls.opened)
        for group, closed in calls.groups.items():
            self._calls.setdefault(group, []).extend(closed)
        for owner, spans in turns.items():
            self._turns.setdefault(owner, []).extend(spans)

    def _ended_later(self, events: SortedEvents) -> dict[str, StoredCall]:
        """The stored calls that end in these events without having started in them."""
        starts, remembered = events.starts, self._open
        late = [call_id for call_id in events.ends if call_id not in starts]
        found = {call_id: remembered[call_id] for call_id in late if call_id in remembered}
        if len(found) < len(late):
            found |= self._stored_calls([call_id for call_id in late if call_id not in found])
        return found

    def _stored_calls(self, call_ids: Iterable[str]) -> dict[str, StoredCall]:
        wanted = encode_json(list(call_ids)).decode()
        rows = self._connection.execute(_KNOWN_CALLS, (wanted,))
        return {row[0]: StoredCall(*row[1:]) for row in rows}

    def _new_turns(self, turns: dict[str, TurnCompleted]) -> dict[str, TurnCompleted]:
        wanted = encode_json(list(turns)).decode()
        known = {row[0] for row in self._connection.execute(_KNOWN_TURNS, (wanted,))}
        return {turn_id: event for turn_id, event in turns.items() if turn_id not in known}

    def _write_calls(
        self, spool: SpoolId, events: SortedEvents, stored: dict[str, StoredCall]
    ) -> _Calls:
        rows: list[Row] = []
        closing: list[Row] = []
        calls = _Calls(self._call_ends, events.turns)
        owner_ids, meet_owner = self._owners.ids, self._owners.meet
        kind_ids, meet_kind = self._call_kinds.ids, self._call_kinds.meet
        still_open = self._call_ends.number_of(NO_END)
        writer = self._spools.number_of(spool)
        ends = events.ends.copy()
        # Given out here, so that a call to be closed is found by its number. Nobody else writes meanwhile.
        (number,) = self._connection.execute(
            "SELECT coalesce(max(id), 0) FROM call_rows"
        ).fetchone()
        for call_id, event in events.starts.items():
            if call_id in stored:
                continue
            whose, what = bytes(event.whose), bytes(event.kind)
            owner = owner_ids.get(whose) or meet_owner(whose)
            kind = kind_ids.get(what) or meet_kind(what)
            number += 1
            ended = ends.pop(call_id, None)
            if ended is None:
                finish, ending = NO_FINISH, still_open
                calls.opened[call_id] = StoredCall(number, event.ts, owner, kind)
            else:
                finish, ending = calls.close(ended, number, (event.ts, owner, kind))
            rows.append((number, owner, kind, ending, writer, *start_of(event, call_id), *finish))
        for call_id, event in ends.items():
            known = stored.get(call_id)
            if known is None:
                whose, what = bytes(event.whose), bytes(event.kind)
                owner = owner_ids.get(whose) or meet_owner(whose)
                kind = kind_ids.get(what) or meet_kind(what)
                number += 1
                start = lost_start_of(event, call_id)
                finish, ending = calls.close(event, number, (start[_STARTED_TS], owner, kind))
                rows.append((number, owner, kind, ending, writer, *start, *finish))
            elif known.is_open:
                finish, ending = calls.close(event, known.number, known[1:4])
                closing.append((*finish, ending, known.number, call_id))
        self._connection.executemany(_INSERT_CALL, rows)
        if closing and self._connection.executemany(_CLOSE_CALL, closing).rowcount != len(closing):
            raise _NotNew
        self._connection.executemany(_INSERT_RESPONSE, calls.responses)
        return calls

    def _write_turns(self, turns: dict[str, TurnCompleted]) -> TurnGroups:
        rows: list[Row] = []
        groups: TurnGroups = {}
        owner_ids, meet_owner = self._owners.ids, self._owners.meet
        kind_ids, meet_kind = self._turn_kinds.ids, self._turn_kinds.meet
        for event in turns.values():
            whose, what, facts = bytes(event.whose), bytes(event.kind), turn_facts_of(event)
            owner = owner_ids.get(whose) or meet_owner(whose)
            kind = kind_ids.get(what) or meet_kind(what)
            rows.append((owner, kind, *facts))
            span = (event.ts - facts[_TURN_DURATION], event.ts)
            if owner in groups:
                groups[owner].append(span)
            else:
                groups[owner] = [span]
        self._connection.executemany(_INSERT_TURN, rows)
        return groups

    def _write_decisions(self, events: Iterable[RouteDecided]) -> None:
        rows: list[Row] = []
        owner_ids, meet_owner = self._owners.ids, self._owners.meet
        numbers, meet = self._texts.numbers, self._texts.meet
        for event in events:
            whose = bytes(event.whose)
            owner = owner_ids.get(whose) or meet_owner(whose)
            text = numbers.get(event.decision_id) or meet(event)
            rows.append((event.turn_id, event.event_id, event.ts, event.policy, text, owner))
        self._connection.executemany(_INSERT_DECISION, rows)


class _Calls:
    """Collects what a batch's calls leave beside their rows.

    `groups` are those that ended, to be summed; `responses` the response ids to find them by; `opened`
    those that did not end.
    """

    __slots__ = ("_ids", "_meet", "_turns", "groups", "opened", "responses")

    def __init__(self, ends: Dimension, turns: dict[str, TurnCompleted]) -> None:
        self._ids, self._meet = ends.ids, ends.meet
        self._turns = turns
        self.groups: CallGroups = {}
        self.opened: dict[str, StoredCall] = {}
        self.responses: list[Row] = []

    def close(
        self, event: LlmCallCompleted, number: int, start: tuple[int, int, int]
    ) -> tuple[Row, int]:
        """Note a call's end; `start` is its started_ts, owner and kind. Returns FINISH_COLUMNS and its ending."""
        finish, end = finish_of(event), bytes(event.ending)
        ending = self._ids.get(end) or self._meet(end)
        started_ts, owner, kind = start
        group = (started_ts // HOUR_US, owner, kind, ending)
        if group in self.groups:
            self.groups[group].append((started_ts, finish))
        else:
            self.groups[group] = [(started_ts, finish)]
        if event.response_id:
            turn = self._turns.get(event.turn_id)
            if turn is None or turn.response_id != event.response_id:
                self.responses.append((event.response_id, number))
        return finish, ending
