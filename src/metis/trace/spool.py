"""The spool: each worker's own append-only files, on which the ledger's promise (P4) stands.

Here are the writer, for the hot path, and the reader of one segment, for the recorder. What the bytes mean
is in `frames`; who reads which spool when is the recorder's. Directories: `<root>/<replica>/<spool>/` holds
`lock` (held with flock while the writer lives) and segments `00000001.seg`, `00000002.seg`, ...
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from metis.errors import LedgerError, LedgerFull
from metis.trace.events import AnyEvent, AnyForm, LlmCallCompleted, LlmCallStarted
from metis.trace.frames import (
    SEGMENT_HEADER,
    SEGMENT_HEADER_BYTES,
    check_header,
    decode_frames,
    encode_frame,
    scan,
)
from metis.trace.ports import UnreadableFrame
from metis.trace.settings import TraceSettings

LOCK_NAME: Final = "lock"
_SEGMENT_SUFFIX: Final = ".seg"
_FULL_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MEASURE_STEP_BYTES: Final = 4 * 1024 * 1024  # how much is written between two looks at the disk
_REMEASURE_S: Final = 0.1  # how often a full spool looks whether it was emptied
_RESERVE: Final = 16  # completions may go 1/16 over the bound that stops new calls
_MOST_KEPT_BYTES: Final = (
    16 * 1024 * 1024
)  # of closing events that found no room; about 10,000 turns


def segment_name(number: int) -> str:
    return f"{number:08d}{_SEGMENT_SUFFIX}"


def segment_numbers(directory: Path) -> list[int]:
    """The numbers of a spool's segments, ascending."""
    with os.scandir(directory) as entries:
        stems = [entry.name.removesuffix(_SEGMENT_SUFFIX) for entry in entries]
    return sorted(int(stem) for stem in stems if stem.isdigit())


class SpoolWriter:
    """Append events to a new spool directory; one per worker process, made after the fork.

    `unledgered` counts events that were dropped: under `on_ledger_full = "serve"`, and of what was kept for later
    too much or until the end. Not thread-safe.
    Raises LedgerError when the directory exists or cannot be made.
    """

    __slots__ = (
        "_allowance",
        "_clock",
        "_counted",
        "_directory",
        "_fd",
        "_is_full",
        "_kept",
        "_kept_bytes",
        "_left",
        "_lock_fd",
        "_measure_at",
        "_most_kept_bytes",
        "_number",
        "_offset",
        "_segment_bytes",
        "_settings",
        "_stop",
        "_sync_at",
        "_syncs",
        "unledgered",
    )

    def __init__(
        self,
        directory: Path,
        settings: TraceSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        most_kept_bytes: int = _MOST_KEPT_BYTES,
    ) -> None:
        self.unledgered = 0
        self._directory = directory
        self._settings = settings
        self._clock = clock
        # A segment is deleted only whole, so several must fit under the bound.
        self._segment_bytes = min(settings.segment_bytes, settings.spool_bytes // 8)
        self._fd = -1
        self._number = 0
        self._offset = 0
        self._allowance = 0  # what may be written before the disk is looked at again,
        self._counted = 0  # as it was at this offset
        self._stop = 0  # up to where nobody need be asked
        self._left = 0
        self._is_full = False
        self._kept: deque[tuple[bytes, int]] = (
            deque()
        )  # frames that found no room, and their events
        self._kept_bytes = 0
        self._most_kept_bytes = most_kept_bytes
        self._measure_at = 0.0
        self._sync_at = 0.0
        self._syncs = settings.fsync != "off"
        try:
            self._lock_fd = _claim(directory)
        except OSError as exc:
            raise LedgerError(f"cannot make the spool {directory}: {exc.strerror}") from exc

    def append(self, events: Sequence[AnyForm]) -> None:
        """Write all events, in order, with one system call: afterwards they survive this process.

        Raises LedgerFull when the disk or the spool's bound is reached (calls that start are refused
        a sixteenth earlier than the rest, so that calls under way can still be completed) and
        LedgerError for any other refusal; then none of the events is written.
        With `on_ledger_full = "serve"` both count in `unledgered` instead. What was kept is written first.
        """
        if not events:
            return  # an empty frame would read as damage
        frame = encode_frame(events)
        size = len(frame)
        try:
            if self._offset + size > self._stop:
                if self._kept:
                    self._write_kept()
                starts = any(type(event) is LlmCallStarted for event in events)
                frame = self._make_room(frame, starts=starts)
                size = len(frame)
            try:
                written = os.write(self._fd, frame)
            except OSError as exc:
                raise self._unwritten(exc) from exc
            if written != size:
                raise self._unwritten(None)
        except LedgerError:
            if self._settings.on_ledger_full == "refuse":
                raise
            self.unledgered += len(events)
            return
        self._offset += size
        if self._syncs:
            self._sync_after_append()

    def keep(self, events: Sequence[AnyForm]) -> None:
        """Hold events that `append` refused until there is room: what ended must not be lost with its call.

        They are written before the next ones, or by `catch_up`. What is over `most_kept_bytes` counts as `unledgered`;
        half of that is for ends of calls alone, so that turns which were only refused cannot take their place.
        """
        frame = encode_frame(events)
        ends = any(type(event) is LlmCallCompleted for event in events)
        bound = self._most_kept_bytes if ends else self._most_kept_bytes // 2
        if self._kept_bytes + len(frame) > bound:
            self.unledgered += len(events)
            return
        self._kept.append((frame, len(events)))
        self._kept_bytes += len(frame)
        self._stop = 0  # nothing may overtake them: the next append asks

    def catch_up(self) -> int:
        """Write what was kept, as far as there is room now. Gives how many events still wait."""
        if self._kept:
            with suppress(LedgerError):
                self._write_kept()
        return sum(count for _, count in self._kept)

    def sync(self) -> None:
        """Put what was appended on the disk. With fsync "group", call this on a timer too.

        Raises LedgerError.
        """
        if self._fd >= 0:
            try:
                os.fdatasync(self._fd)
            except OSError as exc:
                raise LedgerError(f"the spool cannot be synced: {exc.strerror}") from exc
        self._sync_at = self._clock() + self._settings.fsync_interval_ms / 1000

    def close(self) -> None:
        """Release the spool: the recorder takes what is left and removes it. What still finds no room is lost."""
        self.unledgered += self.catch_up()
        self._kept.clear()
        if self._syncs:
            self.sync()
        self._close_segment()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _write_kept(self) -> None:
        """Write what was kept, in its order. Raises LedgerError at the first that finds no room still."""
        try:
            while self._kept:
                frame, _ = self._kept[0]
                whole = self._make_room(frame, starts=False)
                try:
                    written = os.write(self._fd, whole)
                except OSError as exc:
                    raise self._unwritten(exc) from exc
                if written != len(whole):
                    raise self._unwritten(None)
                self._offset += written
                self._kept.popleft()
                self._kept_bytes -= len(frame)
        finally:
            self._stop = 0  # as after `keep`
        if self._syncs:
            self._sync_after_append()

    def _make_room(self, frame: bytes, *, starts: bool) -> bytes:
        """Look whether the frame may be written, and begin a segment for it if need be; then it gets its header.

        Raises LedgerError.
        """
        size = len(frame)
        self._allowance -= self._offset - self._counted
        self._counted = self._offset
        if size > self._allowance:
            self._admit(size, starts=starts)
        if self._fd < 0 or self._offset + size > self._segment_bytes:
            self._roll()
        whole = max(self._offset + size, self._segment_bytes)
        self._stop = min(self._offset + max(size, self._allowance), whole)
        return SEGMENT_HEADER + frame if self._offset == 0 else frame

    def _unwritten(self, error: OSError | None) -> LedgerError:
        """Take back what was written of a frame, and say what kept the rest (nothing: it was written in part)."""
        kind = LedgerFull if error is None or error.errno in _FULL_ERRORS else LedgerError
        reason = "written in part only" if error is None else error.strerror
        self._stop = 0  # the next append asks anew: the segment may have lost its header
        try:
            # No reader passes an unfinished frame, so cutting it off takes nothing from anybody.
            os.ftruncate(self._fd, self._offset)
        except OSError:
            self._close_segment()  # its tail is torn; the next append begins a new segment
        return kind(
            f"the ledger in {self._directory} cannot be written ({reason}); free disk space, or set "
            'on_ledger_full = "serve" to serve without a ledger'
        )

    def _admit(self, size: int, *, starts: bool) -> None:
        """Look at the disk now and then, and raise LedgerFull when the bound is reached."""
        bound = self._settings.spool_bytes
        now = self._clock()
        if not self._is_full or now >= self._measure_at:
            self._left = bound - _bytes_on_disk(self._directory.parent)
            self._measure_at = now + _REMEASURE_S
        if size > self._left + (0 if starts else bound // _RESERVE):
            self._is_full = True
            if self._offset > 0:
                self._roll()  # so that this segment can be deleted once it is recorded
            raise LedgerFull(
                f"the spool holds {bound - self._left:,} of {bound:,} bytes that are not recorded yet; "
                "see 'metis doctor', raise spool_bytes, or set on_ledger_full = \"serve\""
            )
        self._is_full = self._left <= 0
        granted = min(self._left, _MEASURE_STEP_BYTES, bound // 64)
        self._left -= size
        self._allowance = max(granted, size)

    def _roll(self) -> None:
        """Begin the next segment, empty: its header is written with its first frame. Raises LedgerError."""
        self._close_segment()
        path = self._directory / segment_name(self._number + 1)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            fd = os.open(path, flags, 0o600)
        except OSError as exc:
            kind = LedgerFull if exc.errno in _FULL_ERRORS else LedgerError
            raise kind(f"cannot make the spool segment {path}: {exc.strerror}") from exc
        self._fd, self._number, self._offset, self._counted = fd, self._number + 1, 0, 0
        if self._syncs:
            _sync_directory(self._directory)

    def _close_segment(self) -> None:
        if self._fd < 0:
            return
        if self._syncs:
            self.sync()
        os.close(self._fd)
        self._fd, self._stop = -1, 0

    def _sync_after_append(self) -> None:
        if self._settings.fsync == "always" or self._clock() >= self._sync_at:
            self.sync()


class SegmentRead(NamedTuple):
    """What one read of a segment gave.

    `next_offset` is where to read on. `is_end` says that nothing readable follows for now; then
    `remainder` is the number of bytes left that are no frame: one that is being written, or was torn.
    `torn` is True when they look like the beginning of one.
    """

    events: list[AnyEvent]
    unreadable: list[UnreadableFrame]
    damaged: int
    next_offset: int
    is_end: bool
    remainder: int
    torn: bool


class SpoolReader:
    """Read the frames of one segment from any frame's offset on. Holds the file open."""

    __slots__ = ("_fd", "number")

    def __init__(self, directory: Path, number: int) -> None:
        """Raises FileNotFoundError when there is no such segment."""
        self.number = number
        self._fd = os.open(directory / segment_name(number), os.O_RDONLY | os.O_CLOEXEC)

    def read(self, offset: int, max_bytes: int, *, careful: bool = False) -> SegmentRead:
        """Read about `max_bytes` from `offset` (0 is the segment's start); `careful` as in `decode_frames`.

        Raises LedgerError when the segment's format is not known.
        """
        size = os.fstat(self._fd).st_size
        if offset < SEGMENT_HEADER_BYTES:
            if check_header(os.pread(self._fd, SEGMENT_HEADER_BYTES, 0)):
                offset = SEGMENT_HEADER_BYTES
            elif size < SEGMENT_HEADER_BYTES:
                return SegmentRead([], [], 0, 0, is_end=True, remainder=size, torn=size > 0)
        while True:
            data = self._read_exactly(max(0, min(max_bytes, size - offset)), offset)
            complete = offset + len(data) >= size
            found = scan(data, offset, complete=complete)
            if complete or found.frames or found.damages:
                break
            # One frame is longer than the buffer, or damage is: look at more.
            max_bytes = max(max_bytes * 2, found.wanted)
        events, refused = decode_frames(found.frames, careful=careful)
        unreadable = [UnreadableFrame(self.number, *line) for line in refused]
        unreadable += [
            UnreadableFrame(self.number, damage.offset, "damaged", damage.data)
            for damage in found.damages
        ]
        return SegmentRead(
            events,
            unreadable,
            len(found.damages),
            found.next_offset,
            is_end=complete,
            remainder=offset + len(data) - found.next_offset if complete else 0,
            torn=complete and found.tail == "short",
        )

    def remainder(self, offset: int, max_bytes: int) -> bytes:
        """The bytes from `offset` on, at most `max_bytes`."""
        return os.pread(self._fd, max_bytes, offset)

    def close(self) -> None:
        os.close(self._fd)

    def _read_exactly(self, count: int, offset: int) -> bytes:
        data = os.pread(self._fd, count, offset)
        while 0 < len(data) < count:
            more = os.pread(self._fd, count - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data


def try_lock(directory: Path) -> int | None:
    """Take a spool's lock if its writer is gone: the open file to close afterwards, or None while it lives.

    A directory without a lock file is one whose removal was cut short; it counts as locked by nobody and
    the file is made again.
    """
    fd = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _claim(directory: Path) -> int:
    """Make the spool directory with its lock already held, so that no recorder takes it for a dead one."""
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.exists():
        raise FileExistsError(errno.EEXIST, "it exists already; every writer needs a new one")
    hidden = directory.parent / f".{directory.name}.{os.getpid()}"
    hidden.mkdir(mode=0o700)
    fd = try_lock(hidden)
    if fd is None:
        raise BlockingIOError(errno.EAGAIN, "its lock is held by another process")
    hidden.rename(directory)
    return fd


def _bytes_on_disk(replica: Path) -> int:
    """What a replica's segments hold; the recorder deletes them as it goes."""
    total = 0
    for spool in directories(replica):
        try:
            with os.scandir(spool) as entries:
                for entry in entries:
                    if entry.name.endswith(_SEGMENT_SUFFIX):
                        total += entry.stat().st_size
        except FileNotFoundError:
            continue  # the recorder was quicker
    return total


def directories(parent: Path) -> list[Path]:
    """The directories in a directory: replicas in the root, spools in a replica."""
    with os.scandir(parent) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir()]


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
