"""The board: a small file in shared memory with the generations and every worker's counters.

All processes map the same file, so a key revoked on the command line is revoked in every worker at its
next request, and the control process reads counters without asking anybody. No locks on the hot path:
a slot has one writer, its worker; only the generations, bumped by anyone, are changed under a file lock.

Layout, all u64 in native order: 8 words of head (magic, layout, keys generation, config generation, damaged
places and when the last was met, 2 spare), then MAX_WORKERS slots of 2 words (pid, heartbeat in epoch
microseconds) and the counters.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args
from zlib import crc32

from metis.errors import StorageError

CounterName = Literal[
    "requests",
    "responses_2xx",
    "responses_4xx",
    "responses_5xx",
    "auth_failures",
    "client_gone",
    "turns",
    "upstream_calls",
    "upstream_failures",
    "unledgered",
    "dropped",
    "limit_exceeded",
    "bytes_in",
    "bytes_out",
    "connections",
    "stream_chunks",
    "active_connections",
    "active_turns",
    "upstream_connections",
]
COUNTERS: Final[tuple[CounterName, ...]] = get_args(CounterName)
GAUGES: Final[tuple[CounterName, ...]] = (
    "active_connections",
    "active_turns",
    "upstream_connections",
)
"""Counters that go up and down: they start at 0 when a worker takes a slot, the others count on."""

MAX_WORKERS: Final = 64

_MAGIC: Final = int.from_bytes(b"METISBRD", "little")
_LAYOUT: Final = crc32(",".join(COUNTERS).encode())
_HEAD: Final = 8
_KEYS: Final = 2
_CONFIG: Final = 3
_DAMAGED: Final = 4
_DAMAGED_TS: Final = 5
_SLOT: Final = 2 + len(COUNTERS)
_WORDS: Final = _HEAD + MAX_WORKERS * _SLOT
_BYTES: Final = _WORDS * 8
_INDEX: Final = {name: 2 + position for position, name in enumerate(COUNTERS)}


class WorkerCounters(NamedTuple):
    """One worker's slot as it was when read. `pid` is 0 when nobody has it."""

    slot: int
    pid: int
    heartbeat_ts: int
    counters: dict[CounterName, int]


class Damage(NamedTuple):
    """How many damaged places of spools, at least, the recorder has met, and when the last (epoch microseconds)."""

    places: int
    last_ts: int


class WorkerSlot:
    """A worker's own counters. Only the worker that claimed the slot may change them."""

    __slots__ = ("_at", "_base", "_words")

    def __init__(self, words: memoryview, base: int) -> None:
        self._words = words
        self._base = base
        self._at = {name: base + index for name, index in _INDEX.items()}

    def add(self, name: CounterName, amount: int = 1) -> None:
        """Add to a counter; a gauge takes a negative amount too, and never falls below 0."""
        words, index = self._words, self._at[name]
        value = words[index] + amount
        words[index] = value if value > 0 else 0

    def set(self, name: CounterName, value: int) -> None:
        self._words[self._at[name]] = value

    def beat(self, now_ts: int) -> None:
        """Say that this worker is alive."""
        self._words[self._base + 1] = now_ts

    def release(self) -> None:
        """Give the slot back: the counters stay for the sums, the gauges do not."""
        for name in GAUGES:
            self.set(name, 0)
        self._words[self._base] = 0


class Board:
    """The mapped file. Implements the Generations port of `accounts`.

    A mapping is inherited by a fork, so a supervisor may open the board once for all its children.
    """

    def __init__(self, path: Path) -> None:
        """Open the board, making it when there is none or one of another layout. Raises StorageError."""
        self._path = path
        try:
            self._fd = _open(path)
            self._map = mmap.mmap(self._fd, _BYTES)
        except (OSError, ValueError) as exc:
            raise StorageError(f"cannot map the board {path}: {exc}") from exc
        self._words = memoryview(self._map).cast("Q")

    def keys(self) -> int:
        return self._words[_KEYS]

    def config(self) -> int:
        return self._words[_CONFIG]

    def bump_keys(self) -> int:
        return self._bump(_KEYS)

    def bump_config(self) -> int:
        return self._bump(_CONFIG)

    def damage(self) -> Damage:
        return Damage(self._words[_DAMAGED], self._words[_DAMAGED_TS])

    def add_damage(self, places: int, *, now_ts: int) -> None:
        """Note what the recorder met: only the control process may. It outlives restarts."""
        self._words[_DAMAGED] += places
        self._words[_DAMAGED_TS] = now_ts

    def claim(self, slot: int, pid: int) -> WorkerSlot:
        """Take a slot for a worker. Raises StorageError when there is no such slot."""
        if not 0 <= slot < MAX_WORKERS:
            raise StorageError(
                f"worker slot {slot} is outside 0..{MAX_WORKERS - 1}; use fewer workers"
            )
        base = _HEAD + slot * _SLOT
        taken = WorkerSlot(self._words, base)
        taken.release()
        self._words[base] = pid
        return taken

    def workers(self) -> list[WorkerCounters]:
        """Every slot that is or was in use."""
        return [slot for slot in self._slots() if slot.pid or any(slot.counters.values())]

    def totals(self) -> dict[CounterName, int]:
        """Every counter, summed over all slots."""
        sums = dict.fromkeys(COUNTERS, 0)
        for slot in self._slots():
            for name, value in slot.counters.items():
                sums[name] += value
        return sums

    def clear_workers(self) -> None:
        """Set every slot to zero: for a supervisor before it has workers."""
        for index in range(_HEAD, _WORDS):
            self._words[index] = 0

    def close(self) -> None:
        self._words.release()
        self._map.close()
        os.close(self._fd)

    def _slots(self) -> Iterator[WorkerCounters]:
        words = self._words.tolist()
        for slot in range(MAX_WORKERS):
            base = _HEAD + slot * _SLOT
            counters: dict[CounterName, int] = {
                name: words[base + _INDEX[name]] for name in COUNTERS
            }
            yield WorkerCounters(slot, words[base], words[base + 1], counters)

    def _bump(self, index: int) -> int:
        # Locks of flock belong to the open file, which forks share: each bump opens it for itself.
        fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            value = self._words[index] + 1
            self._words[index] = value
        finally:
            os.close(fd)
        return value


def _open(path: Path) -> int:
    """Open the file and give it its layout, under its lock."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        head = _MAGIC.to_bytes(8, "little") + _LAYOUT.to_bytes(8, "little")
        if os.pread(fd, 16, 0) != head or os.fstat(fd).st_size != _BYTES:
            # The generations keep their place and value in every layout, so that no reader misses a bump.
            os.ftruncate(fd, _BYTES)
            os.pwrite(fd, bytes(_BYTES - _HEAD * 8), _HEAD * 8)
            os.pwrite(fd, head, 0)
        fcntl.flock(fd, fcntl.LOCK_UN)
    except BaseException:
        os.close(fd)
        raise
    return fd
