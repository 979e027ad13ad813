import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.ledgers import call

from metis.errors import LedgerError, LedgerFull
from metis.trace.events import AnyEvent
from metis.trace.frames import SEGMENT_HEADER
from metis.trace.settings import TraceSettings
from metis.trace.spool import (
    SpoolReader,
    SpoolWriter,
    segment_name,
    segment_numbers,
    try_lock,
)

SMALL = TraceSettings(segment_bytes=4096, spool_bytes=65_536)


def read_all(directory: Path) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    for number in segment_numbers(directory):
        reader = SpoolReader(directory, number)
        offset = 0
        while True:
            found = reader.read(offset, 1000)
            assert (found.unreadable, found.damaged, found.torn) == ([], 0, False)
            events += found.events
            offset = found.next_offset
            if found.is_end:
                break
        reader.close()
    return events


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """The kernel cuts writes at `limit` bytes of a file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "replica" / "spool_1"


def test_what_was_appended_is_read_back_in_order(spool: Path) -> None:
    calls = [call() for _ in range(50)]
    writer = SpoolWriter(spool, TraceSettings())
    for started, completed in calls:
        writer.append([started])
        writer.append((completed,))
    assert read_all(spool) == [event for pair in calls for event in pair]
    assert segment_numbers(spool) == [1]


def test_segments_rotate_by_size_and_no_frame_is_split(spool: Path) -> None:
    calls = [call() for _ in range(20)]
    writer = SpoolWriter(spool, SMALL)
    for pair in calls:
        writer.append(pair)
    assert read_all(spool) == [event for pair in calls for event in pair]
    assert len(segment_numbers(spool)) > 3
    assert all((spool / segment_name(n)).stat().st_size <= 4200 for n in segment_numbers(spool))


def test_a_writer_holds_its_lock_until_it_is_closed(spool: Path) -> None:
    writer = SpoolWriter(spool, TraceSettings())
    assert try_lock(spool) is None
    writer.close()
    fd = try_lock(spool)
    assert fd is not None
    os.close(fd)


def test_files_are_readable_by_their_owner_alone(spool: Path) -> None:
    writer = SpoolWriter(spool, TraceSettings())
    writer.append(call())
    modes = {path.name: path.stat().st_mode & 0o777 for path in [spool, *spool.iterdir()]}
    assert modes == {"spool_1": 0o700, "lock": 0o600, "00000001.seg": 0o600}


def test_a_spool_directory_is_never_used_twice(spool: Path) -> None:
    SpoolWriter(spool, TraceSettings()).close()
    with pytest.raises(LedgerError, match="every writer needs a new one"):
        SpoolWriter(spool, TraceSettings())


def test_a_full_spool_refuses_new_calls_first_and_completions_last(spool: Path) -> None:
    clock = Clock()
    writer = SpoolWriter(spool, SMALL, clock=clock)
    written: list[AnyEvent] = []

    def append(*events: AnyEvent) -> None:
        writer.append(events)
        written.extend(events)

    with pytest.raises(LedgerFull, match="raise spool_bytes"):
        while True:
            append(call()[0])
    append(call()[1])  # the reserve: calls under way can still be completed
    with pytest.raises(LedgerFull):
        append(call()[0])
    completions = 0
    with pytest.raises(LedgerFull):
        while True:
            append(call()[1])
            completions += 1
    assert completions > 3
    assert read_all(spool) == written
    on_disk = sum((spool / segment_name(n)).stat().st_size for n in segment_numbers(spool))
    assert 65_000 < on_disk <= 65_536 * 17 // 16


def test_a_full_spool_takes_calls_again_once_the_recorder_emptied_it(spool: Path) -> None:
    clock = Clock()
    writer = SpoolWriter(spool, SMALL, clock=clock)
    with pytest.raises(LedgerFull):
        while True:
            writer.append(call())
    *recorded, current = segment_numbers(spool)
    assert (spool / segment_name(current)).stat().st_size == 0  # rolled, so all else can go
    for number in recorded:
        (spool / segment_name(number)).unlink()
    with pytest.raises(LedgerFull):
        writer.append(call())  # the disk is not looked at more often than every 100 ms
    clock.now += 0.2
    pair = call()
    writer.append(pair)
    assert read_all(spool) == list(pair)


def test_other_workers_of_the_replica_count_towards_the_bound(tmp_path: Path) -> None:
    one = SpoolWriter(tmp_path / "replica" / "one", SMALL)
    with pytest.raises(LedgerFull):
        while True:
            one.append(call())
    two = SpoolWriter(tmp_path / "replica" / "two", SMALL)
    with pytest.raises(LedgerFull):
        two.append(call())


def test_serving_without_a_ledger_counts_what_it_drops(spool: Path) -> None:
    settings = TraceSettings(segment_bytes=4096, spool_bytes=65_536, on_ledger_full="serve")
    writer = SpoolWriter(spool, settings)
    total = 200
    for _ in range(total):
        writer.append(call())
    assert writer.unledgered > 0
    assert len(read_all(spool)) + writer.unledgered == 2 * total


def test_a_write_the_disk_cuts_short_leaves_no_torn_frame(spool: Path) -> None:
    writer = SpoolWriter(spool, TraceSettings())
    before, refused, after = call(), call(), call()
    writer.append(before)
    size = (spool / segment_name(1)).stat().st_size
    with file_size_limit(size + 100), pytest.raises(LedgerFull, match="free disk space"):
        writer.append(refused)
    assert (spool / segment_name(1)).stat().st_size == size
    with file_size_limit(size), pytest.raises(LedgerFull):
        writer.append(refused)  # not one byte fits: the kernel says so with an error
    writer.append(after)
    assert read_all(spool) == [*before, *after]


def test_a_first_frame_the_disk_refuses_leaves_a_usable_segment(spool: Path) -> None:
    writer = SpoolWriter(spool, TraceSettings())
    with file_size_limit(20), pytest.raises(LedgerFull):
        writer.append(call())
    pair = call()
    writer.append(pair)
    assert read_all(spool) == list(pair)


def test_what_ended_on_a_full_disk_is_written_before_what_comes_next(spool: Path) -> None:
    writer = SpoolWriter(spool, TraceSettings())
    (started, completed), later = call(), call()
    writer.append([started])
    with file_size_limit((spool / segment_name(1)).stat().st_size + 10):
        with pytest.raises(LedgerFull):
            writer.append([completed])
        writer.keep([completed])
        with pytest.raises(LedgerFull):
            writer.append([later[0]])
        assert writer.catch_up() == 1
    writer.append([later[0]])
    writer.append([later[1]])
    assert read_all(spool) == [started, completed, *later]
    assert (writer.catch_up(), writer.unledgered) == (0, 0)


def test_what_was_kept_is_written_without_anything_coming_next(spool: Path) -> None:
    calls = [call() for _ in range(20)]
    writer = SpoolWriter(spool, SMALL)
    for pair in calls:
        writer.keep(pair)
    assert writer.catch_up() == 0
    assert read_all(spool) == [event for pair in calls for event in pair]


def test_what_is_kept_is_bounded_and_ends_of_calls_come_first(spool: Path) -> None:
    writer = SpoolWriter(spool, TraceSettings(), most_kept_bytes=8192)
    started, completed = call()
    for _ in range(40):
        writer.keep([started])
    refused = writer.unledgered
    assert 0 < refused < 40
    writer.keep([completed])
    assert writer.unledgered == refused
    for _ in range(40):
        writer.keep([completed])
    assert refused < writer.unledgered
    assert writer.catch_up() == 0
    assert len(read_all(spool)) + writer.unledgered == 81


def test_what_finds_no_room_until_the_end_is_counted(spool: Path) -> None:
    writer = SpoolWriter(spool, TraceSettings())
    pair = call()
    writer.append(pair)
    with file_size_limit((spool / segment_name(1)).stat().st_size + 10):
        writer.keep(pair)
        writer.close()
    assert writer.unledgered == 2


@pytest.mark.parametrize(("policy", "syncs"), [("off", 0), ("group", 4), ("always", 10)])
def test_syncs_follow_the_policy(
    spool: Path, monkeypatch: pytest.MonkeyPatch, policy: str, syncs: int
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    clock = Clock()
    settings = TraceSettings(fsync=policy, fsync_interval_ms=20)  # type: ignore[arg-type]
    writer = SpoolWriter(spool, settings, clock=clock)
    for _ in range(10):
        writer.append(call())
        clock.now += 1 / 128
    assert len(synced) == syncs


def test_a_read_longer_than_the_buffer_still_gives_the_whole_frame(spool: Path) -> None:
    events = [event for _ in range(100) for event in call()]
    SpoolWriter(spool, TraceSettings()).append(events)
    assert SpoolReader(spool, 1).read(0, 64).events == events


def test_appending_nothing_leaves_no_trace(spool: Path) -> None:
    calls = [call() for _ in range(2)]
    writer = SpoolWriter(spool, TraceSettings())
    for pair in calls:
        writer.append(())
        writer.append(pair)
    assert read_all(spool) == [event for pair in calls for event in pair]


def test_a_segment_whose_first_write_failed_gets_its_header_with_the_next(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SpoolWriter(spool, TraceSettings())
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: len(data) // 2)
        with pytest.raises(LedgerFull):
            writer.append(call())
    pair = call()
    writer.append(pair)
    (segment,) = spool.glob("*.seg")
    assert segment.read_bytes().startswith(SEGMENT_HEADER)
    assert SpoolReader(spool, 1).read(0, 1 << 20).events == list(pair)
