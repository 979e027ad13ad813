"""Tables of combinations: each distinct row of values stands once, and other tables refer to it by its number.

What is written of a combination is never changed or deleted, so its number may be remembered. Tables whose
rows change live elsewhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from metis.storage.rows import Row

_MOST_REMEMBERED: Final = 20_000


class Combinations:
    """One table of combinations.

    A number met in a transaction that was rolled back means nothing: then call `forget`.
    """

    __slots__ = ("_connection", "_insert", "_numbers", "_rows", "_select_id", "_select_row")

    def __init__(self, connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        alike = " AND ".join(f"{name} = ?" for name in columns)
        self._connection = connection
        self._insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
        self._select_id = f"SELECT id FROM {table} WHERE {alike}"
        self._select_row = f"SELECT {names} FROM {table} WHERE id = ?"
        self._rows: dict[int, Row] = {}
        self._numbers: dict[Row, int] = {}

    def number_of(self, row: Row) -> int:
        """The number of a combination, which is written if it is new. Numbers begin at 1."""
        number = self._numbers.get(row)
        if number is None:
            self._connection.execute(self._insert, row)
            number = self._connection.execute(self._select_id, row).fetchone()[0]
            self._numbers[row] = number
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
        self._rows.clear()
        self._numbers.clear()

    def trim(self) -> None:
        """Keep memory bounded: sessions come and go for as long as the process lives."""
        if len(self._rows) > _MOST_REMEMBERED:
            self.forget()


class Dimension(Combinations):
    """Combinations that events hold packed. `ids` has those remembered: look there first, then ask `meet`."""

    __slots__ = ("_read", "ids")

    def __init__(
        self,
        connection: sqlite3.Connection,
        table: str,
        columns: Sequence[str],
        read: Callable[[bytes], Row],
    ) -> None:
        """`read` makes a row of the packed form."""
        super().__init__(connection, table, columns)
        self._read = read
        self.ids: dict[bytes, int] = {}

    def meet(self, packed: bytes) -> int:
        """The number of a combination that is not remembered, written if it is new."""
        number = self.ids[packed] = self.number_of(self._read(packed))
        return number

    def forget(self) -> None:
        super().forget()
        self.ids.clear()

    def trim(self) -> None:
        if len(self.ids) > _MOST_REMEMBERED:
            self.forget()
        super().trim()
