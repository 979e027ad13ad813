import os
import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
from tests.ledgers import NOON, call, decided, made, replace, said, turn

from metis.errors import LedgerError, StorageError
from metis.storage.columns import CALL_COLUMNS, OPENING_COLUMNS
from metis.storage.memory import MemoryLedgerStore
from metis.trace.events import AnyEvent, LlmCallCompleted, LlmCallStarted, encode_events
from metis.trace.events.groups import Packed
from metis.trace.events.llm import CallEvent
from metis.trace.ports import SpoolBatch, SpoolId, SpoolPosition
from metis.trace.recorder import Recorder, RecorderStats
from metis.trace.settings import TraceSettings
from metis.trace.spool import SpoolWriter, segment_name, segment_numbers

SETTINGS = TraceSettings(segment_bytes=8192, spool_bytes=1 << 20, batch_bytes=65_536)
SPOOL = SpoolId("r1", "spool_1")


def call_states(store: MemoryLedgerStore) -> dict[str, str]:
    """Each call's outcome, "open" while it has none."""
    outcome = CALL_COLUMNS.index("outcome")
    return {
        call_id: "open" if len(row) == len(OPENING_COLUMNS) else row[outcome]
        for call_id, row in store.tables.calls.items()
    }


def ids(*events: CallEvent) -> list[str]:
    return [event.call_id for event in events]


class House:
    """A root with one spool, its writer, a memory store and a recorder."""

    def __init__(self, root: Path) -> None:
        self.root = root / "spool"
        self.directory = self.root.joinpath(*SPOOL)
        self.writer = SpoolWriter(self.directory, SETTINGS)
        self.store = MemoryLedgerStore()
        self.seen: list[AnyEvent] = []
        self.damage: list[int] = []
        self.recorder = self.make_recorder()

    def make_recorder(self) -> Recorder:
        return Recorder(
            self.root,
            self.store,
            SETTINGS,
            on_batch=self.seen.extend,
            on_damage=self.damage.append,
            now_us=lambda: NOON * 2,
        )

    def segment(self, number: int = 1) -> Path:
        return self.directory / segment_name(number)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_pass_records_what_was_appended_and_tells_the_listener(house: House) -> None:
    started, completed = call()
    end, route = turn(turn_id=started.turn_id), decided(turn_id=started.turn_id)
    house.writer.append([route, started])
    house.writer.append([completed, end])
    stats = house.recorder.poll()
    assert stats == RecorderStats(events=4, batches=1, spools=1)
    assert call_states(house.store) == {started.call_id: "ok"}
    assert list(house.store.tables.turns) == [end.turn_id]
    assert list(house.store.tables.decisions) == [route.event_id]
    assert house.seen == [route, started, completed, end]
    assert house.recorder.poll() == RecorderStats(spools=1)
    assert house.recorder.totals == RecorderStats(events=4, batches=1, spools=1)


def test_rotated_segments_are_deleted_once_recorded_and_the_last_one_stays(house: House) -> None:
    pairs = [call() for _ in range(60)]
    for pair in pairs:
        house.writer.append(pair)
    last = segment_numbers(house.directory)[-1]
    assert last > 5
    assert house.recorder.drain()
    assert segment_numbers(house.directory) == [last]
    assert sorted(call_states(house.store)) == sorted(ids(*(pair[0] for pair in pairs)))


def test_a_dead_writers_spool_is_recorded_then_removed(house: House) -> None:
    pair = call()
    house.writer.append(pair)
    house.writer.close()
    assert house.recorder.drain()
    assert call_states(house.store) == {pair[0].call_id: "ok"}
    assert list(house.directory.parent.iterdir()) == []
    assert house.store.positions() == {}


def test_a_live_writers_open_call_stays_open(house: House) -> None:
    started, completed = call()
    house.writer.append([started])
    for _ in range(3):
        house.recorder.poll()
    assert call_states(house.store) == {started.call_id: "open"}
    house.writer.append([completed])
    house.recorder.poll()
    assert call_states(house.store) == {started.call_id: "ok"}


def test_a_dead_writers_open_calls_are_completed_as_interrupted(house: House) -> None:
    whole, open_call = call(), call()[0]
    house.writer.append([*whole, open_call])
    house.recorder.poll()
    house.writer.close()
    stats = house.recorder.poll()
    assert (stats.interrupted, stats.removed_spools) == (1, 1)
    assert call_states(house.store) == {whole[0].call_id: "ok", open_call.call_id: "interrupted"}
    ended = house.seen[-1]
    assert isinstance(ended, LlmCallCompleted)
    shared = {
        name: value
        for name, value in said(open_call).items()
        if name not in {"event", "event_id", "call_id"}
    }
    expected = {**shared, "ts": NOON * 2, "outcome": "interrupted"}
    assert ended == made(LlmCallCompleted, expected)
    assert (ended.call_id, ended.whose, ended.kind) == (
        *(open_call.call_id, open_call.whose, open_call.kind),
    )
    assert house.recorder.poll() == RecorderStats()


def test_recording_goes_on_where_another_recorder_stopped(house: House) -> None:
    first, second = call(), call()
    house.writer.append(first)
    house.recorder.poll()
    house.recorder.close()
    house.writer.append(second)
    assert house.make_recorder().poll().events == 2
    assert house.seen == [*first, *second]


def test_a_recorder_killed_before_forgetting_a_spool_closes_its_books_at_the_next_start(
    house: House,
) -> None:
    started = call()[0]
    house.writer.append([started])
    house.recorder.poll()
    house.writer.close()
    for path in house.directory.iterdir():
        path.unlink()
    house.directory.rmdir()
    house.make_recorder().poll()
    assert call_states(house.store) == {started.call_id: "interrupted"}
    assert house.store.positions() == {}


def test_segments_a_killed_recorder_left_recorded_are_deleted(house: House) -> None:
    pairs = [call() for _ in range(60)]
    for pair in pairs:
        house.writer.append(pair)
    kept = {
        number: house.segment(number).read_bytes() for number in segment_numbers(house.directory)
    }
    assert house.recorder.drain()
    house.recorder.close()
    house.segment(1).write_bytes(kept[1])  # as if it had not come to deleting it
    house.writer.append(call())
    house.make_recorder().drain()
    assert 1 not in segment_numbers(house.directory)
    assert len(house.store.tables.calls) == 61


def test_a_removal_cut_short_is_finished(house: House) -> None:
    house.writer.append(call())
    house.writer.close()
    house.recorder.poll()
    house.directory.mkdir()  # as if rmdir had not happened
    assert house.make_recorder().poll().removed_spools == 1
    assert not house.directory.exists()


def test_a_frame_torn_by_its_writers_death_is_counted_and_its_bytes_kept(house: House) -> None:
    pair = call()
    house.writer.append(pair)
    size = house.segment().stat().st_size
    house.writer.append(call())
    os.truncate(house.segment(), size + 50)
    assert house.recorder.poll().torn == 0  # its writer may still be writing it
    house.writer.close()
    stats = house.recorder.poll()
    assert (stats.torn, stats.corrupt, stats.removed_spools) == (1, 0, 1)
    assert sorted(call_states(house.store)) == ids(pair[0])
    (frame,) = house.store.tables.unreadable.values()
    assert (frame.segment, frame.offset, len(frame.payload)) == (1, size, 50)


def test_damage_in_the_middle_costs_its_own_frame_and_is_kept(house: House) -> None:
    pairs = [call() for _ in range(5)]
    offsets: list[int] = []
    for pair in pairs:
        house.writer.append(pair)
        offsets.append(house.segment().stat().st_size)
    data = bytearray(house.segment().read_bytes())
    data[offsets[1] + 40] ^= 0xFF
    house.segment().write_bytes(data)
    stats = house.recorder.poll()
    assert (stats.corrupt, stats.unreadable, stats.events) == (1, 1, 8)
    assert house.damage == [1]
    assert sorted(call_states(house.store)) == ids(*(pair[0] for pair in pairs if pair != pairs[2]))
    (frame,) = house.store.tables.unreadable.values()
    assert frame == (1, offsets[1], "damaged", bytes(data[offsets[1] : offsets[2]]))


def test_an_event_with_a_group_that_is_none_costs_only_itself_and_is_kept(house: House) -> None:
    """Nobody looks at groups before the store does: it refuses, and what was read is read again with care."""
    before, odd, after = call(), call()[0], call()
    odd = msgspec.structs.replace(odd, kind=Packed(b'{"role":"of tomorrow"}'))
    house.writer.append(before)
    house.recorder.poll()
    offset = house.segment().stat().st_size
    house.writer.append([after[0], odd])
    house.writer.append([after[1]])
    stats = house.recorder.poll()
    assert (stats.events, stats.unreadable, stats.corrupt) == (2, 1, 0)
    assert house.seen == [*before, *after]
    assert call_states(house.store) == {before[0].call_id: "ok", after[0].call_id: "ok"}
    (frame,) = house.store.tables.unreadable.values()
    assert (frame.segment, frame.offset, frame.payload) == (1, offset, encode_events([odd])[:-1])
    assert "of tomorrow" in frame.why
    assert (house.recorder.poll(), house.store.positions()) == (
        RecorderStats(spools=1),
        {SPOOL: SpoolPosition(1, house.segment().stat().st_size)},
    )


def test_a_damaged_header_does_not_hide_its_segment(house: House) -> None:
    pair = call()
    house.writer.append(pair)
    data = bytearray(house.segment().read_bytes())
    data[3] ^= 0xFF
    house.segment().write_bytes(data)
    assert house.recorder.poll().corrupt == 1
    house.recorder.poll()
    assert house.damage == [1]
    assert list(call_states(house.store)) == ids(pair[0])


def test_a_spool_of_a_newer_metis_is_left_alone_and_does_not_stop_the_others(house: House) -> None:
    house.writer.append(call())
    data = bytearray(house.segment().read_bytes())
    data[12] = 9
    house.segment().write_bytes(data)
    pair = call()
    SpoolWriter(house.root / "r1" / "spool_2", SETTINGS).append(pair)
    stats = house.recorder.poll()
    assert (stats.blocked_spools, stats.events) == (1, 2)
    assert stats.lag_bytes == len(data)
    assert list(call_states(house.store)) == ids(pair[0])


def test_a_long_spool_is_read_a_little_at_a_time_and_committed_at_once(house: House) -> None:
    big = TraceSettings(segment_bytes=1 << 20, spool_bytes=1 << 30, batch_bytes=1 << 20)
    root = house.root / "other"
    writer = SpoolWriter(root / "r1" / "spool_2", big)
    pairs = [replace_all(call(), model="m" * 2000) for _ in range(200)]
    for pair in pairs:
        writer.append(pair)
    sizes: list[int] = []

    class Counting(MemoryLedgerStore):
        def commit(self, batches: Iterable[SpoolBatch]) -> None:
            found = list(batches)
            sizes.append(len(found))
            super().commit(found)

    store = Counting()
    stats = Recorder(root, store, big, on_batch=house.seen.extend).poll()
    assert (len(sizes), sizes[0]) == (1, stats.batches)
    assert stats.batches > 2
    assert (stats.events, stats.lag_bytes, stats.has_more) == (400, 0, False)
    assert house.seen == [event for pair in pairs for event in pair]
    assert len(store.tables.calls) == 200


def replace_all(
    pair: tuple[LlmCallStarted, LlmCallCompleted], **fields: object
) -> tuple[LlmCallStarted, LlmCallCompleted]:
    return replace(pair[0], **fields), replace(pair[1], **fields)


class FlakyStore(MemoryLedgerStore):
    """Refuses the first commits; `after` says that it refuses after having written."""

    def __init__(self, failures: int, *, after: bool) -> None:
        super().__init__()
        self.failures = failures
        self.after = after

    def commit(self, batches: Iterable[SpoolBatch]) -> None:
        if self.failures and not self.after:
            self.failures -= 1
            raise StorageError("the disk is full")
        super().commit(batches)
        if self.failures:
            self.failures -= 1
            raise StorageError("the answer was lost")


@pytest.mark.parametrize("after", [False, True])
def test_a_commit_that_fails_loses_and_doubles_nothing(house: House, after: bool) -> None:
    store = house.store = FlakyStore(2, after=after)
    recorder = house.make_recorder()
    pairs = [call() for _ in range(40)]
    for pair in pairs:
        house.writer.append(pair)
    house.writer.append([call()[0]])
    house.writer.close()
    failures = 0
    while house.directory.exists():
        try:
            recorder.poll()
        except StorageError:
            failures += 1
    assert failures == 2
    assert len({event.event_id for event in house.seen}) == len(house.seen) == 82
    states = list(call_states(store).values())
    assert (states.count("ok"), states.count("interrupted"), len(states)) == (40, 1, 41)
    assert sum(sums[0] for sums in store.tables.rollups.values()) == 41


def test_a_listener_is_told_once_of_what_is_read_again_after_a_failed_commit(house: House) -> None:
    """What was appended in between comes in the same read: it is told, and what was told is not."""

    class Refusing(MemoryLedgerStore):
        refuses = 2

        def commit(self, batches: Iterable[SpoolBatch]) -> None:
            found = list(batches)
            if self.refuses:
                self.refuses -= 1
                raise StorageError("the disk is full")
            super().commit(found)

    house.store = Refusing()
    recorder = house.make_recorder()
    pairs = [call() for _ in range(3)]
    for pair in pairs[:2]:
        house.writer.append(pair)
        with pytest.raises(StorageError):
            recorder.poll()
    assert house.seen == [*pairs[0], *pairs[1]]
    house.writer.append(pairs[2])
    assert recorder.poll().events == 6
    assert house.seen == [event for pair in pairs for event in pair]
    last = call()
    house.writer.append(last)
    recorder.poll()
    assert house.seen[6:] == [*last]
    assert list(call_states(house.store).values()) == ["ok"] * 4


def test_two_recorders_do_not_record_twice(house: House) -> None:
    other = house.make_recorder()
    house.writer.append(call())
    house.recorder.poll()
    other.poll()
    house.writer.append(call())
    house.recorder.poll()
    with pytest.raises(LedgerError, match="is another recorder at work"):
        other.poll()
    assert sum(sums[0] for sums in house.store.tables.rollups.values()) == 2


def test_a_listener_that_fails_does_not_stop_the_ledger(house: House) -> None:
    def fail(events: Sequence[AnyEvent]) -> None:
        raise RuntimeError("no metrics today")

    recorder = Recorder(house.root, house.store, SETTINGS, on_batch=fail)
    house.writer.append(call())
    assert recorder.poll().events == 2
    assert len(house.store.tables.calls) == 1


def test_every_spool_gets_its_share_of_a_pass(house: House) -> None:
    big = replace(call()[0], model="m" * 7000)
    for _ in range(40):
        house.writer.append([big])
    other = call()
    SpoolWriter(house.root / "r2" / "spool_9", SETTINGS).append(other)
    stats = house.recorder.poll()
    assert stats.has_more
    assert call_states(house.store)[other[0].call_id] == "ok"


def test_a_claim_left_by_a_killed_process_is_removed_when_it_is_old(house: House) -> None:
    claims = [house.directory.parent / name for name in (".old.77", ".new.78")]
    for claim in claims:
        claim.mkdir()
        (claim / "lock").touch()
    os.utime(claims[0], (time.time() - 120,) * 2)
    house.recorder.poll()
    assert [claim.exists() for claim in claims] == [False, True]


def test_the_loop_outlives_errors_and_drains_when_it_is_stopped(house: House) -> None:
    house.store = FlakyStore(1, after=False)
    recorder = house.make_recorder()
    stop = threading.Event()
    thread = threading.Thread(target=recorder.run, args=(stop,))
    house.writer.append(call())
    thread.start()
    end = time.monotonic() + 10
    while not house.seen and time.monotonic() < end:
        time.sleep(0.01)
    house.writer.append(call())
    house.writer.close()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert list(call_states(house.store).values()) == ["ok", "ok"]
    assert not house.directory.exists()


def test_a_spool_that_cannot_be_removed_stops_nothing_and_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.writer.append([call()[0]])
    house.writer.close()

    def refuse(directory: Path) -> None:
        raise PermissionError(13, "Permission denied", str(directory))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", refuse)
        first, second = house.recorder.poll(), house.recorder.poll()
    assert (first.interrupted, first.removed_spools) == (1, 0)
    assert (second.interrupted, second.removed_spools) == (0, 0)
    assert house.recorder.poll().removed_spools == 1
    assert not house.directory.exists()


def test_positions_move_past_every_segment_of_a_live_spool(house: House) -> None:
    house.writer.append(call())
    house.recorder.poll()
    size = house.segment().stat().st_size
    assert house.store.positions() == {SPOOL: SpoolPosition(1, size)}
    assert msgspec.structs.asdict(house.recorder.totals)["lag_bytes"] == 0
