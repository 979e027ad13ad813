"""The read-only side of the ledger in SQLite: what analytics asks. Nothing here writes, and no sums are interpreted.

Each answer is one read transaction, so its parts belong together while the recorder writes on.
"""

from __future__ import annotations

import queue
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from metis.analytics.ports import (
    CallRecord,
    Dimension,
    LedgerFilter,
    SessionSummary,
    SpendCell,
    SpendCells,
    TurnCount,
    TurnDetail,
    TurnSummary,
    columns_of,
)
from metis.analytics.window import HOUR_US, MICROSECONDS, Window
from metis.errors import StorageError
from metis.facts.usage import PaidBy, Usage, UsageSource
from metis.storage.columns import USAGE_COLUMNS
from metis.storage.sqlite.connection import connect_reader
from metis.storage.sqlite.ledger_rows import (
    all_of,
    bounded,
    conditions,
    find_turn,
    read_calls,
    read_turn,
    read_turns,
)
from metis.storage.sqlite.migrations import MIGRATIONS, schema_version

_DAY_US: Final = 24 * HOUR_US
_DAY_S: Final = 24 * 3600
_MAX_CONNECTIONS: Final = 4
_STEPS_BETWEEN_CLOCK_READS: Final = 20_000  # of SQLite's virtual machine: about a millisecond

# What tells one cell from another besides the group. Everything the baseline needs to know is here.
_ALIKE: Final = ("provider", "model", "operation", "role", "paid_by", "usage_source", "outcome")


class _Piece(NamedTuple):
    """A stretch of time and the table that answers for it."""

    table: Literal["rollups_hourly", "calls"]
    start_us: int | None
    end_us: int | None


class SqliteLedgerQueries:
    """LedgerQueries over a SQLite file that `storage.sqlite` migrated. Any thread may ask.

    Up to four connections are kept; an answer that takes longer than `deadline_s` raises StorageError.
    """

    def __init__(
        self,
        path: Path,
        *,
        deadline_s: float = 20.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._deadline_s = deadline_s
        self._monotonic = monotonic
        self._idle: queue.LifoQueue[sqlite3.Connection | None] = queue.LifoQueue()
        for _ in range(_MAX_CONNECTIONS):
            self._idle.put(None)

    def spend(
        self,
        where: LedgerFilter,
        group_by: Sequence[Dimension] = (),
        edges: Sequence[int] = (),
        *,
        days_apart: bool = False,
    ) -> SpendCells:
        columns = columns_of(group_by)
        windows = [Window(*pair) for pair in pairwise(edges)] if edges else [where.window]
        by_hour = "session_id" not in columns and where.session_id is None and not where.turn_ids
        cells: list[SpendCell] = []
        turns: list[TurnCount] = []
        with self._reading() as connection:
            for bucket, window in enumerate(windows):
                for piece in _pieces(window, by_hour=by_hour):
                    sql, values = _cells_sql(where, columns, piece, days_apart=days_apart)
                    rows = connection.execute(sql, values)
                    cells += [_cell(bucket, len(columns), row) for row in rows]
                sql, values = _turns_sql(where, columns, window)
                turns += [
                    TurnCount(bucket, row[:-1], row[-1])
                    for row in connection.execute(sql, values)
                    if row[-1]
                ]
            whole = Window(edges[0], edges[-1]) if edges else where.window
            clauses, values = conditions(where, "started_ts", whole)
            # Left to itself SQLite walks the whole range by time to find the few open ones.
            open_calls: int = connection.execute(
                "SELECT count(*) FROM call_rows AS c INDEXED BY calls_open "
                "CROSS JOIN owners AS o ON o.id = c.owner CROSS JOIN call_kinds AS k ON k.id = c.kind "
                f"WHERE {all_of(clauses)} AND completed_ts IS NULL",
                values,
            ).fetchone()[0]
        return SpendCells(cells, turns, open_calls)

    def calls(
        self, where: LedgerFilter, *, after_rowid: int = 0, limit: int = 1000
    ) -> Sequence[CallRecord]:
        clauses, values = conditions(where, "started_ts", where.window)
        with self._reading() as connection:
            if where.window.start_us is not None and after_rowid == 0:
                # Without this, SQLite walks the row ids from the ledger's first day.
                first = connection.execute(
                    "SELECT min(id) FROM call_rows WHERE started_ts >= ?", (where.window.start_us,)
                ).fetchone()[0]
                if first is None:
                    return []
                after_rowid = first - 1
            return read_calls(
                connection,
                [*clauses, "id > ?"],
                [*values, after_rowid],
                bounded(limit),
            )

    def turns(
        self, where: LedgerFilter, *, before_rowid: int | None = None, limit: int = 50
    ) -> Sequence[TurnSummary]:
        clauses, values = conditions(where, "ts", where.window)
        if before_rowid is not None:
            clauses, values = [*clauses, "id < ?"], [*values, before_rowid]
        with self._reading() as connection:
            return read_turns(connection, clauses, values, f"id DESC LIMIT {bounded(limit)}")

    def tail(self, after_rowid: int | None, limit: int = 100) -> Sequence[TurnSummary]:
        with self._reading() as connection:
            if after_rowid is None:
                return read_turns(connection, [], [], f"id DESC LIMIT {bounded(limit)}")[::-1]
            return read_turns(connection, ["id > ?"], [after_rowid], f"id LIMIT {bounded(limit)}")

    def turn(self, turn_id: str) -> TurnDetail | None:
        with self._reading() as connection:
            found = find_turn(connection, turn_id)
            if found is None:
                return None
            return read_turn(connection, found)

    def sessions(
        self, *, limit: int = 50, key_id: str | None = None, session_id: str | None = None
    ) -> Sequence[SessionSummary]:
        names = SessionSummary.__struct_fields__
        clauses, values = conditions(
            LedgerFilter(key_id=key_id, session_id=session_id), "last_ts", Window()
        )
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(names)} FROM sessions WHERE {all_of(clauses)} "
                f"ORDER BY last_ts DESC, key_id, session_id LIMIT {bounded(limit)}",
                values,
            )
            return [SessionSummary(**dict(zip(names, row, strict=True))) for row in rows]

    def extent(self) -> Window | None:
        with self._reading() as connection:
            first, last = connection.execute(
                # Two subqueries: min() and max() side by side would read the whole index.
                "SELECT (SELECT min(started_ts) FROM call_rows), (SELECT max(started_ts) FROM call_rows)"
            ).fetchone()
            return None if first is None else Window(first, last + 1)

    def close(self) -> None:
        """Close the idle connections; one in use is closed by its reader's end of process."""
        for slot in [self._idle.get_nowait() for _ in range(self._idle.qsize())]:
            if slot is not None:
                slot.close()
            self._idle.put(None)

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        """Lend a connection with a read transaction open and the deadline running."""
        try:
            connection = self._idle.get(timeout=self._deadline_s)
        except queue.Empty as exc:
            raise StorageError(
                f"the ledger is busy: {_MAX_CONNECTIONS} reports have run for {self._deadline_s:g} s"
            ) from exc
        try:
            if connection is None:
                connection = self._connect()
            end = self._monotonic() + self._deadline_s
            connection.set_progress_handler(
                lambda: self._monotonic() > end, _STEPS_BETWEEN_CLOCK_READS
            )
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.set_progress_handler(None, 0)
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as exc:
            if connection is not None:
                connection.close()
                connection = None
            if "interrupted" in str(exc):
                raise StorageError(
                    f"the report took longer than {self._deadline_s:g} s; ask for a shorter range"
                ) from exc
            raise StorageError(f"cannot read the ledger {self._path}: {exc}") from exc
        except msgspec.MsgspecError as exc:
            raise StorageError(f"a row of the ledger {self._path} cannot be read: {exc}") from exc
        finally:
            self._idle.put(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = connect_reader(self._path, busy_timeout_ms=int(self._deadline_s * 1000))
        found, known = schema_version(connection), MIGRATIONS[-1].version
        if found != known:
            connection.close()
            raise StorageError(
                f"the ledger {self._path} has schema {found}, this Metis reads {known}; "
                "start the gateway of the newer of the two"
            )
        return connection


def _pieces(window: Window, *, by_hour: bool) -> list[_Piece]:
    """Answer whole UTC hours from rollups and the ragged ends from calls. They add up, exactly."""
    start, end = window.start_us, window.end_us
    if not by_hour:
        return [_Piece("calls", start, end)]
    first_hour = None if start is None else -(-start // HOUR_US) * HOUR_US
    last_hour = None if end is None else end // HOUR_US * HOUR_US
    if first_hour is not None and last_hour is not None and first_hour >= last_hour:
        return [_Piece("calls", start, end)]
    pieces = [_Piece("rollups_hourly", first_hour, last_hour)]
    if start != first_hour:
        pieces.append(_Piece("calls", start, first_hour))
    if end != last_hour:
        pieces.append(_Piece("calls", last_hour, end))
    return pieces


def _cells_sql(
    where: LedgerFilter, columns: Sequence[str], piece: _Piece, *, days_apart: bool
) -> tuple[str, list[Any]]:
    window = Window(piece.start_us, piece.end_us)
    if piece.table == "calls":
        clauses, values = conditions(where, "started_ts", window)
        clauses.append("completed_ts IS NOT NULL")
        day = f"started_ts / {_DAY_US} * {_DAY_US}"
        sums = ["count(*)", "sum(price_unknown)"]
    else:
        clauses, values = conditions(where, "hour", window, unit=MICROSECONDS)
        day = f"hour / {_DAY_S} * {_DAY_US}"
        sums = ["sum(calls)", "sum(price_unknown_calls)"]
    sums += [f"sum({name})" for name in ("cost_nano_usd", "server_tool_requests", *USAGE_COLUMNS)]
    keys = [*columns, day if days_apart else "0", *_ALIKE]
    grouping = ", ".join(str(position + 1) for position in range(len(keys)))
    return (
        f"SELECT {', '.join([*keys, *sums])} FROM {piece.table} WHERE {all_of(clauses)} "
        f"GROUP BY {grouping}",
        values,
    )


def _turns_sql(
    where: LedgerFilter, columns: Sequence[str], window: Window
) -> tuple[str, list[Any]]:
    clauses, values = conditions(where, "ts", window)
    clauses.append("operation <> 'count_tokens'")
    listed = "".join(f"{column}, " for column in columns)
    grouping = f" GROUP BY {', '.join(columns)}" if columns else ""
    return f"SELECT {listed}count(*) FROM turns WHERE {all_of(clauses)}{grouping}", values


def _cell(bucket: int, group_length: int, row: tuple[Any, ...]) -> SpendCell:
    day_ts, provider, model, operation, role, paid_by, source, outcome = row[
        group_length : group_length + 8
    ]
    calls, price_unknown, nano_usd, server_tools, *counts = row[group_length + 8 :]
    return SpendCell(
        bucket=bucket,
        group=row[:group_length],
        day_ts=day_ts,
        provider=provider,
        model=model,
        operation=operation,
        role=role,
        paid_by=PaidBy(paid_by),
        usage_source=UsageSource(source),
        outcome=outcome,
        calls=calls,
        usage=Usage(
            **dict(zip(USAGE_COLUMNS, counts, strict=True)),
            # Sums keep the number of server tool requests, not their names; nearly all are searches.
            server_tools={"web_search_requests": server_tools} if server_tools else {},
        ),
        cost_nano_usd=nano_usd,
        price_unknown_calls=price_unknown,
    )
