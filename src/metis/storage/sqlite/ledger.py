"""LedgerStore over SQLite: events become rows, rollups and sessions, committed together with positions.

How rows come of events, which is where recording's time goes, is in `writing`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from metis.errors import LedgerError, StorageError
from metis.storage.columns import OPENING_COLUMNS
from metis.storage.rows import Row, started_of
from metis.storage.sqlite.connection import transaction
from metis.storage.sqlite.writing import LedgerWriter, insert_into
from metis.trace.events import LlmCallStarted
from metis.trace.ports import START, SpoolBatch, SpoolId, SpoolPosition

_SET_POSITION: Final = insert_into(
    "spool_positions",
    ("replica", "spool", "segment", "offset"),
    "ON CONFLICT (replica, spool) DO UPDATE SET segment = excluded.segment, offset = excluded.offset",
)
_OPEN_CALLS: Final = (
    f"SELECT {', '.join(OPENING_COLUMNS)} FROM calls WHERE id IN (SELECT c.id FROM spools AS s "
    "CROSS JOIN call_rows AS c INDEXED BY calls_open ON c.written_by = s.id "
    "WHERE s.replica = ? AND s.spool = ? AND c.completed_ts IS NULL) ORDER BY id"
)


class SqliteLedgerStore:
    """Keep the ledger in an open, migrated database, which this store owns from then on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._writer = LedgerWriter(connection)

    def commit(self, batches: Iterable[SpoolBatch]) -> None:
        """See LedgerStore.commit."""
        reached: dict[SpoolId, SpoolPosition] = {}
        try:
            with transaction(self._connection):
                for batch in batches:
                    self._check_position(batch, reached.get(batch.spool))
                    self._writer.write(batch)
                    reached[batch.spool] = batch.end
                self._writer.write_sums()
                self._connection.executemany(
                    _SET_POSITION, [(*spool, *end) for spool, end in reached.items()]
                )
        except BaseException:
            self._writer.forget()
            raise

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

    def _check_position(self, batch: SpoolBatch, reached: SpoolPosition | None) -> None:
        if reached is None:
            row = self._connection.execute(
                "SELECT segment, offset FROM spool_positions WHERE replica = ? AND spool = ?",
                batch.spool,
            ).fetchone()
            reached = START if row is None else SpoolPosition(*row)
        if reached != batch.start:
            raise LedgerError(
                f"spool {'/'.join(batch.spool)} is recorded up to {tuple(reached)}, not "
                f"{tuple(batch.start)}; is another recorder at work?"
            )
