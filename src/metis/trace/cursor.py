"""One spool as the recorder sees it: how far it is read, whether its writer lives, what may be deleted.

No database here; the recorder commits what a cursor reads and then tells it so.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from metis.trace.ports import SpoolBatch, SpoolId, SpoolPosition, UnreadableFrame
from metis.trace.spool import (
    SegmentRead,
    SpoolReader,
    segment_name,
    segment_numbers,
    try_lock,
)

_MAX_KEPT_DAMAGE: Final = 64 * 1024


class CursorRead(NamedTuple):
    """A batch to commit, None when nothing moved; and what was wrong in it.

    `has_more` says that reading on at once gives more; `is_done` that the writer is gone and nothing is
    left after this batch.
    """

    batch: SpoolBatch | None
    damaged: int
    torn: int
    has_more: bool
    is_done: bool


class SpoolCursor:
    """Read one spool forward: `look`, then `read` as often as it pays, then `advance` once all is committed.

    `reached` is how far it is read, `position` how far it is committed.
    """

    __slots__ = (
        "_is_abandoned",
        "_lock_fd",
        "_numbers",
        "_reader",
        "_tidied",
        "directory",
        "position",
        "reached",
        "spool",
    )

    def __init__(self, directory: Path, spool: SpoolId, position: SpoolPosition) -> None:
        self.directory = directory
        self.spool = spool
        self.position = position
        self.reached = position
        self._reader: SpoolReader | None = None
        self._lock_fd: int | None = None
        self._is_abandoned = False
        self._numbers: list[int] = []
        self._tidied = 0  # the segments before this one are deleted

    def look(self) -> None:
        """See whether the writer is gone, and which segments there are. Raises OSError.

        Both are asked before reading: what is sealed then grows no more, so its end is its end. Once the
        writer is gone this cursor holds the lock until `close`.
        """
        if self._lock_fd is None:
            self._lock_fd = try_lock(self.directory)
        self._is_abandoned = self._lock_fd is not None
        self._numbers = segment_numbers(self.directory)

    def read(self, max_bytes: int, *, careful: bool = False) -> CursorRead:
        """Read about `max_bytes` of what follows `reached`, at most to its segment's end, as `look` found it.

        Raises LedgerError when a segment's format is not known; OSError.
        """
        numbers = [n for n in self._numbers if n >= self.reached.segment]
        if not numbers:
            return CursorRead(None, 0, 0, has_more=False, is_done=self._is_abandoned)
        number = numbers[0]
        offset = self.reached.offset if number == self.reached.segment else 0
        sealed = self._is_abandoned or len(numbers) > 1
        found = self._open(number).read(offset, max_bytes, careful=careful)
        end = SpoolPosition(number, found.next_offset)
        unreadable = found.unreadable
        torn = damaged = 0
        if sealed and found.is_end:
            end = SpoolPosition(number + 1, 0)
            if found.remainder:
                torn, damaged = (1, 0) if found.torn else (0, 1)
                unreadable = [*unreadable, self._leftover(found)]
        if end == self.reached:
            return CursorRead(None, 0, 0, has_more=False, is_done=False)
        batch = SpoolBatch(
            spool=self.spool,
            start=self.reached,
            end=end,
            events=found.events,
            unreadable=[_bounded(frame) for frame in unreadable],
        )
        self.reached = end
        has_more = not found.is_end or len(numbers) > 1
        return CursorRead(
            batch,
            found.damaged + damaged,
            torn,
            has_more=has_more,
            is_done=self._is_abandoned and not has_more,
        )

    def advance(self) -> None:
        """Note that everything read is recorded, and delete the segments that were completed."""
        self.position = self.reached
        segment = self.position.segment
        if segment == self._tidied:
            return
        if self._reader is not None and self._reader.number < segment:
            self._reader.close()
            self._reader = None
        for number in segment_numbers(self.directory):
            if number < segment:
                (self.directory / segment_name(number)).unlink(missing_ok=True)
        self._tidied = segment

    def pending_bytes(self) -> int:
        """How many bytes stand after `position`."""
        pending = 0
        for number in segment_numbers(self.directory):
            if number >= self.position.segment:
                pending += (self.directory / segment_name(number)).stat().st_size
                if number == self.position.segment:
                    pending -= self.position.offset
        return pending

    def remove(self) -> None:
        """Delete the spool's directory: only when it is abandoned and recorded to its end.

        Raises OSError.
        """
        if self.directory.exists():
            shutil.rmtree(self.directory)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def _open(self, number: int) -> SpoolReader:
        if self._reader is None or self._reader.number != number:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
            self._reader = SpoolReader(self.directory, number)
        return self._reader

    def _leftover(self, found: SegmentRead) -> UnreadableFrame:
        reader = self._reader
        assert reader is not None
        why = "torn: its writer died while appending it" if found.torn else "damaged"
        data = reader.remainder(found.next_offset, _MAX_KEPT_DAMAGE)
        return UnreadableFrame(reader.number, found.next_offset, why, data)


def _bounded(frame: UnreadableFrame) -> UnreadableFrame:
    return frame._replace(payload=frame.payload[:_MAX_KEPT_DAMAGE])
