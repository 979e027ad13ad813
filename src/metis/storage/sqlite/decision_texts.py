"""The table of routing decisions, each once, by its id. Which turn was decided how is written elsewhere."""

from __future__ import annotations

import sqlite3
from typing import Final

from metis.storage.columns import DECISION_TEXT_COLUMNS
from metis.storage.rows import decision_text_of
from metis.trace.events import RouteDecided

_MOST_REMEMBERED: Final = 10_000
_TELL: Final = (
    f"INSERT INTO decision_texts ({', '.join(DECISION_TEXT_COLUMNS)}) "
    f"VALUES ({', '.join('?' * len(DECISION_TEXT_COLUMNS))}) ON CONFLICT (decision_id) DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in DECISION_TEXT_COLUMNS[1:])} "
    "WHERE decision IS NULL"
)
_NAME: Final = "INSERT OR IGNORE INTO decision_texts (decision_id) VALUES (?)"
_FIND: Final = "SELECT id, decision IS NULL FROM decision_texts WHERE decision_id = ?"


class DecisionTexts:
    """Numbers of decisions. `numbers` holds those whose text is written: look there first, then ask `meet`.

    A number met in a transaction that was rolled back means nothing: then call `forget`.
    """

    __slots__ = ("_connection", "numbers")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.numbers: dict[str, int] = {}

    def meet(self, event: RouteDecided) -> int:
        """The number of an event's decision; its text is written where it is new and the event tells it."""
        decision_id = event.decision_id
        if event.decision is not None:
            row = decision_text_of(event.decision, decision_id)
            decision_id = row[0]
            if decision_id in self.numbers:
                return self.numbers[decision_id]
            self._connection.execute(_TELL, row)
        else:
            self._connection.execute(_NAME, (decision_id,))
        number, untold = self._connection.execute(_FIND, (decision_id,)).fetchone()
        if not untold:
            self.numbers[decision_id] = number
        return number

    def forget(self) -> None:
        self.numbers.clear()

    def trim(self) -> None:
        """Keep memory bounded; what is not remembered is looked up."""
        if len(self.numbers) > _MOST_REMEMBERED:
            self.forget()
