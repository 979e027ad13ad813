"""Tables of combinations: each distinct row of values stands once, and other tables refer to it by its number.

What is written of a combination is never changed or deleted, so its number may be remembered. Tables whose
rows change live elsewhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from metis.storage.rows import Row

_MOST_REMEMBERED: Final = 20_000


class Dimension:
    """One table of combinations. `ids` holds those remembered: look there first, then ask `meet`.

    A number met in a transaction that was rolled back means nothing: then call `forget`.
    """

    __slots__ = ("_connection", "_insert", "_rows", "_select_id", "_select_row", "ids")

    def __init__(self, connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        alike = " AND ".join(f"{name} = ?" for name in columns)
        self._connection = connection
        self._insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
        self._select_id = f"SELECT id FROM {table} WHERE {alike}"
        self._select_row = f"SELECT {names} FROM {table} WHERE id = ?"
        self._rows: dict[int, Row] = {}
        self.ids: dict[Row, int] = {}

    def meet(self, row: Row) -> int:
        """The number of a combination that is not remembered, written if it is new. Numbers begin at 1."""
        self._connection.execute(self._insert, row)
        number: int = self._connection.execute(self._select_id, row).fetchone()[0]
        self.ids[row] = number
        self._rows[number] = row
        return number

    def row_of(self, number: int) -> Row:
        """The combination that has a number."""
        row = self._rows.get(number)
        if row is None:
            found: Row = self._connection.execute(self._select_row, (number,)).fetchone()
            row = self._rows[number] = found
        return row

    def forget(self) -> None:
        self.ids.clear()
        self._rows.clear()

    def trim(self) -> None:
        """Keep memory bounded: sessions come and go for as long as the process lives."""
        if len(self._rows) > _MOST_REMEMBERED:
            self.forget()
