"""The port through which the recorder reaches a database. Implementations live in `storage`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from metis.trace.events import AnyEvent
from metis.trace.events.llm import LlmCallStarted


class SpoolId(NamedTuple):
    """One worker incarnation's spool: the directory `<root>/<replica>/<spool>`."""

    replica: str
    spool: str


class SpoolPosition(NamedTuple):
    """How far a spool is recorded: everything before byte `offset` of segment number `segment`."""

    segment: int
    offset: int


START = SpoolPosition(1, 0)


class UnreadableFrame(NamedTuple):
    """Spool bytes that gave no event, and why; stored so that a person can look."""

    segment: int
    offset: int
    why: str
    payload: bytes


class SpoolBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What one read of a spool gave: the events between two positions, in the order of appending."""

    spool: SpoolId
    start: SpoolPosition
    end: SpoolPosition
    events: Sequence[AnyEvent]
    unreadable: Sequence[UnreadableFrame] = ()


class LedgerStore(Protocol):
    """Where the recorder writes. One thread at a time."""

    def commit(self, batches: Iterable[SpoolBatch]) -> None:
        """Write rows, rollups, sessions and the new positions of all batches in ONE transaction.

        Each batch is written before the next is asked for; several may follow each other in a spool.
        Writing an event a second time changes nothing (by call_id, turn_id or event_id).
        Raises LedgerError when a batch does not start where its spool is recorded to (somebody else
        recorded it), StorageError when the database refuses, and what `batches` raises; then nothing
        was written.
        """
        ...

    def positions(self) -> Mapping[SpoolId, SpoolPosition]:
        """Every spool that is known and how far it is recorded."""
        ...

    def open_calls(self, spool: SpoolId) -> Sequence[LlmCallStarted]:
        """The calls of a spool that were started and not completed, oldest first."""
        ...

    def forget(self, spools: Sequence[SpoolId]) -> None:
        """Drop the positions of spools whose directories are gone."""
        ...

    def close(self) -> None: ...
