"""The recorder: it moves events from all spools into the ledger's store, each exactly once (promise P4).

Rows and positions are committed together, so what was read is recorded once whenever this process or a
writer dies. A call whose worker died before its end is completed here as `interrupted`. Databases are
behind the LedgerStore port; the way of bytes is in `cursor`, `spool` and `frames`.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from metis.errors import LedgerError
from metis.trace.cursor import CursorRead, SpoolCursor
from metis.trace.events import AnyEvent, LlmCallCompleted, LlmCallStarted
from metis.trace.events.groups import CALL_END
from metis.trace.ports import START, LedgerStore, SpoolBatch, SpoolId, SpoolPosition
from metis.trace.settings import TraceSettings
from metis.trace.spool import directories

log: Any = structlog.get_logger(__name__)

_READ_BYTES: Final = 256 * 1024  # at a time: with what is made of it, about a processor's own cache
_RETRY_FIRST_S: Final = 0.2
_RETRY_MOST_S: Final = 5.0
_ALARM_EVERY_S: Final = 60.0
_STALE_CLAIM_S: Final = 60.0


class RecorderStats(msgspec.Struct, frozen=True, kw_only=True):
    """What one pass did, or, as `Recorder.totals`, all passes since the start.

    `interrupted` counts calls completed for a dead worker, `torn` frames whose append never returned,
    `corrupt` damaged places, `unreadable` pieces kept because no event could be read from them,
    `blocked_spools` spools that could not be read. `lag_bytes` is what is left; `has_more` asks to be
    polled again at once.
    """

    events: int = 0
    batches: int = 0
    interrupted: int = 0
    torn: int = 0
    corrupt: int = 0
    unreadable: int = 0
    removed_spools: int = 0
    spools: int = 0
    blocked_spools: int = 0
    lag_bytes: int = 0
    has_more: bool = False


class Recorder:
    """Record the spools under `root_dir` (`<root>/<replica>/<spool>/`) into `store`. One thread at a time.

    `on_batch` is given each batch's events as they are written, for metrics: at most once each, also when the
    commit then fails and they are read again; what it raises is logged, never passed on. `on_damage` is told of
    each pass that met damage, and of how many places. `now_us` is epoch microseconds.
    """

    def __init__(
        self,
        root_dir: Path,
        store: LedgerStore,
        settings: TraceSettings,
        *,
        on_batch: Callable[[Sequence[AnyEvent]], None] | None = None,
        on_damage: Callable[[int], None] = lambda places: None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._root = root_dir
        self._store = store
        self._settings = settings
        self._on_batch = on_batch
        self._on_damage = on_damage
        self._now_us = now_us
        self._cursors: dict[SpoolId, SpoolCursor] = {}
        self._positions: dict[SpoolId, SpoolPosition] | None = None
        self._told: dict[SpoolId, SpoolPosition] = {}
        self._alarm_at = 0.0
        self._totals = RecorderStats()

    @property
    def totals(self) -> RecorderStats:
        """Sums over all passes; the last four fields are the last pass's."""
        return self._totals

    def poll(self) -> RecorderStats:
        """Make one pass over all spools: read, commit in one transaction, delete what is done with.

        Raises LedgerError or StorageError when the store refuses; then nothing of the pass is recorded,
        and the next one starts from what the store says.
        """
        try:
            try:
                stats = self._pass()
            except msgspec.DecodeError:  # a group that is none: the store is the first to look
                self.close()
                stats = self._pass(careful=True)
        except BaseException:
            self.close()
            raise
        self._totals = _add(self._totals, stats)
        if stats.corrupt or stats.unreadable:
            # What is damaged is kept as unreadable too, where its bounds are known: one place, not two.
            self._on_damage(max(stats.corrupt, stats.unreadable))
        return stats

    def drain(self, *, deadline_s: float = 5.0) -> bool:
        """Poll until nothing is left to read. False when `deadline_s` went by first."""
        end = time.monotonic() + deadline_s
        while True:
            stats = self.poll()
            if not stats.batches and not stats.removed_spools:
                return stats.lag_bytes == 0
            if time.monotonic() > end:
                return False

    def run(self, stop: threading.Event) -> None:
        """Poll until `stop` is set, then drain. Outlives every error, and logs it."""
        retry_s = _RETRY_FIRST_S
        while not stop.is_set():
            try:
                stats = self.poll()
            except Exception as exc:  # noqa: BLE001 - a task's root; the spools keep what is not recorded
                log.error("recorder.failed", error=f"{type(exc).__name__}: {exc}", retry_s=retry_s)
                stop.wait(retry_s)
                retry_s = min(retry_s * 2, _RETRY_MOST_S)
                continue
            retry_s = _RETRY_FIRST_S
            self._alarm(stats)
            if not stats.has_more:
                settings = self._settings
                busy = settings.poll_interval_ms if stats.batches else settings.idle_interval_ms
                stop.wait(busy / 1000)
        try:
            self.drain()
        except Exception as exc:  # noqa: BLE001 - a task's root; the next start records the rest
            log.error("recorder.failed", error=f"{type(exc).__name__}: {exc}", retry_s=0.0)

    def close(self) -> None:
        """Let go of all files; the next poll begins with what the store says. The store stays open."""
        for cursor in self._cursors.values():
            cursor.close()
        self._cursors.clear()
        self._positions = None

    def _pass(self, *, careful: bool = False) -> RecorderStats:
        self._discover()
        tally = _Tally()
        batches = self._read(tally, careful=careful)
        first = next(batches, None)
        if first is not None:
            self._store.commit(chain((first,), batches))
            del first
            self._told.clear()
            for cursor in self._cursors.values():
                if cursor.reached != cursor.position:
                    cursor.advance()
        interrupted, removed = self._finish(tally.finished)
        return RecorderStats(
            events=tally.events,
            batches=tally.batches,
            interrupted=interrupted,
            torn=tally.torn,
            corrupt=tally.corrupt,
            unreadable=tally.unreadable,
            removed_spools=removed,
            spools=len(self._cursors),
            blocked_spools=tally.blocked,
            lag_bytes=sum(cursor.pending_bytes() for cursor in self._cursors.values()),
            has_more=tally.has_more,
        )

    def _discover(self) -> None:
        """Meet new spools, and tidy away what a process left that died while making or removing one."""
        if self._positions is None:
            self._positions = dict(self._store.positions())
            self._forget_missing(self._positions)
        if not self._root.is_dir():
            return
        for replica in directories(self._root):
            for directory in directories(replica):
                spool = SpoolId(replica.name, directory.name)
                if directory.name.startswith("."):
                    self._remove_stale_claim(directory)
                elif spool not in self._cursors:
                    position = self._positions.get(spool, START)
                    self._cursors[spool] = SpoolCursor(directory, spool, position)

    def _read(self, tally: _Tally, *, careful: bool) -> Iterator[SpoolBatch]:
        """Read a fair share from each spool, a little at a time, while the store writes what was read before."""
        share = max(_READ_BYTES, self._settings.batch_bytes // max(1, len(self._cursors)))
        for cursor in list(self._cursors.values()):
            left = share
            try:
                cursor.look()
                while True:
                    wanted = min(_READ_BYTES, left, self._untold_from(cursor))
                    read = cursor.read(wanted, careful=careful)
                    batch = read.batch
                    tally.count(read)
                    if batch is not None:
                        yield batch
                        self._tell(batch)
                    left -= wanted
                    if not read.has_more or left <= 0:
                        break
                    # Their memory, still in the processor's cache, serves the next ones.
                    del read, batch
                tally.has_more |= read.has_more
                if read.is_done:
                    tally.finished.append(cursor)
            except (LedgerError, OSError) as exc:
                if not cursor.directory.exists():
                    tally.finished.append(cursor)
                    continue
                tally.blocked += 1
                self._complain(
                    "recorder.spool_blocked", spool=str(cursor.directory), error=str(exc)
                )

    def _untold_from(self, cursor: SpoolCursor) -> int:
        """How much to read at most, so that what the listener knows from a failed pass ends with a batch."""
        told = self._told.get(cursor.spool)
        if told is None or told <= cursor.reached or told.segment != cursor.reached.segment:
            return _READ_BYTES
        return told.offset - cursor.reached.offset

    def _finish(self, cursors: Sequence[SpoolCursor]) -> tuple[int, int]:
        """Complete what dead writers left open, then remove their spools. Returns how many calls, and spools."""
        if not cursors:
            return 0, 0
        ended = self._interrupt([(cursor.spool, cursor.position) for cursor in cursors])
        removed: list[SpoolId] = []
        for cursor in cursors:
            try:
                cursor.remove()
            except OSError as exc:  # it is tried again at every pass
                self._complain("recorder.spool_stays", spool=str(cursor.directory), error=str(exc))
                continue
            cursor.close()
            del self._cursors[cursor.spool]
            removed.append(cursor.spool)
        self._store.forget(removed)
        return ended, len(removed)

    def _interrupt(self, spools: Sequence[tuple[SpoolId, SpoolPosition]]) -> int:
        batches: list[SpoolBatch] = []
        for spool, position in spools:
            events = [self._interrupted(started) for started in self._store.open_calls(spool)]
            if events:
                batches.append(SpoolBatch(spool=spool, start=position, end=position, events=events))
        if batches:
            self._store.commit(batches)
            for batch in batches:
                self._fan_out(batch.events)
        return sum(len(batch.events) for batch in batches)

    def _interrupted(self, started: LlmCallStarted) -> LlmCallCompleted:
        """The end nobody wrote. Usage is unknown, and the call's totals show it as such."""
        return LlmCallCompleted(
            turn_id=started.turn_id,
            ts=max(self._now_us(), started.ts),
            whose=started.whose,
            kind=started.kind,
            attempt=started.attempt,
            previous_turn_id=started.previous_turn_id,
            request_bytes=started.request_bytes,
            ending=CALL_END.pack("interrupted"),
        )

    def _forget_missing(self, positions: dict[SpoolId, SpoolPosition]) -> None:
        """Close the books of spools whose directory is gone: removed, and then this process died."""
        missing = [
            spool
            for spool in positions
            if (self._root / spool.replica).is_dir()
            and not (self._root / spool.replica / spool.spool).is_dir()
        ]
        if missing:
            self._interrupt([(spool, positions[spool]) for spool in missing])
            self._store.forget(missing)
            for spool in missing:
                del positions[spool]

    def _remove_stale_claim(self, directory: Path) -> None:
        try:
            age_s = time.time() - directory.stat().st_mtime
        except FileNotFoundError:
            return
        if age_s > _STALE_CLAIM_S:
            shutil.rmtree(directory, ignore_errors=True)

    def _tell(self, batch: SpoolBatch) -> None:
        """Give the listener a batch, unless it had it in a pass that failed afterwards."""
        told = self._told.get(batch.spool)
        if told is None or told < batch.end:
            self._told[batch.spool] = batch.end
            self._fan_out(batch.events)

    def _fan_out(self, events: Sequence[AnyEvent]) -> None:
        if self._on_batch is None:
            return
        try:
            self._on_batch(events)
        except Exception as exc:  # noqa: BLE001 - metrics may not stop the ledger (promise P6)
            log.error("recorder.fan_out_failed", error=f"{type(exc).__name__}: {exc}")

    def _alarm(self, stats: RecorderStats) -> None:
        if stats.corrupt or stats.unreadable:
            log.error(
                "recorder.damage",
                corrupt=stats.corrupt,
                unreadable=stats.unreadable,
                torn=stats.torn,
            )
        if stats.interrupted:
            log.warning("recorder.interrupted", calls=stats.interrupted)
        if stats.lag_bytes > self._settings.lag_alarm_bytes:
            self._complain("recorder.lagging", lag_bytes=stats.lag_bytes)

    def _complain(self, event: str, **fields: object) -> None:
        now = time.monotonic()
        if now >= self._alarm_at:
            self._alarm_at = now + _ALARM_EVERY_S
            log.warning(event, **fields)


@dataclass(slots=True)
class _Tally:
    """What a pass has read so far."""

    events: int = 0
    batches: int = 0
    torn: int = 0
    corrupt: int = 0
    unreadable: int = 0
    blocked: int = 0
    has_more: bool = False
    finished: list[SpoolCursor] = field(default_factory=list["SpoolCursor"])

    def count(self, read: CursorRead) -> None:
        self.torn += read.torn
        self.corrupt += read.damaged
        if read.batch is not None:
            self.batches += 1
            self.events += len(read.batch.events)
            self.unreadable += len(read.batch.unreadable)


def _add(total: RecorderStats, stats: RecorderStats) -> RecorderStats:
    return msgspec.structs.replace(
        stats,
        events=total.events + stats.events,
        batches=total.batches + stats.batches,
        interrupted=total.interrupted + stats.interrupted,
        torn=total.torn + stats.torn,
        corrupt=total.corrupt + stats.corrupt,
        unreadable=total.unreadable + stats.unreadable,
        removed_spools=total.removed_spools + stats.removed_spools,
    )
