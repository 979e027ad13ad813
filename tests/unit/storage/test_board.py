import multiprocessing
from pathlib import Path

import pytest

from metis.errors import StorageError
from metis.storage.board import COUNTERS, MAX_WORKERS, Board, WorkerCounters


def bump_many(path: Path, times: int) -> None:
    board = Board(path)
    for _ in range(times):
        board.bump_keys()


def test_a_bump_is_seen_at_once_through_every_mapping(tmp_path: Path) -> None:
    gateway, command = Board(tmp_path / "board"), Board(tmp_path / "board")
    assert (gateway.keys(), gateway.config()) == (0, 0)
    assert (command.bump_keys(), command.bump_keys(), command.bump_config()) == (1, 2, 1)
    assert (gateway.keys(), gateway.config()) == (2, 1)


def test_no_bump_is_lost_between_processes(tmp_path: Path) -> None:
    path = tmp_path / "board"
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=bump_many, args=(path, 300)) for _ in range(2)]
    for other in others:
        other.start()
    bump_many(path, 300)
    for other in others:
        other.join()
    assert Board(path).keys() == 900


def test_generations_outlive_a_restart_and_a_change_of_layout(tmp_path: Path) -> None:
    path = tmp_path / "board"
    board = Board(path)
    board.bump_keys()
    board.claim(0, 11).add("requests")
    board.close()
    assert Board(path).totals()["requests"] == 1
    with path.open("r+b") as file:
        file.seek(8)
        file.write(bytes(8))  # a layout of another version
    again = Board(path)
    assert (again.keys(), again.totals()["requests"]) == (1, 0)


def test_each_worker_counts_in_its_own_slot(tmp_path: Path) -> None:
    board = Board(tmp_path / "board")
    one, two = board.claim(0, 101), board.claim(63, 102)
    one.add("requests")
    one.add("requests", 4)
    two.add("requests", 2)
    two.set("bytes_out", 1 << 40)
    two.beat(77)
    zeros = dict.fromkeys(COUNTERS, 0)
    assert board.workers() == [
        WorkerCounters(0, 101, 0, {**zeros, "requests": 5}),
        WorkerCounters(63, 102, 77, {**zeros, "requests": 2, "bytes_out": 1 << 40}),
    ]
    assert board.totals() == {**zeros, "requests": 7, "bytes_out": 1 << 40}


def test_a_slot_taken_over_keeps_its_counters_and_clears_its_gauges(tmp_path: Path) -> None:
    board = Board(tmp_path / "board")
    dead = board.claim(3, 101)
    dead.add("requests", 9)
    dead.add("active_turns", 2)
    dead.add("active_turns", -5)
    assert board.totals()["active_turns"] == 0
    dead.add("active_turns", 2)
    board.claim(3, 102)
    assert board.workers() == [
        WorkerCounters(3, 102, 0, {**dict.fromkeys(COUNTERS, 0), "requests": 9})
    ]
    board.clear_workers()
    assert board.workers() == []


def test_a_slot_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="use fewer workers"):
        Board(tmp_path / "board").claim(MAX_WORKERS, 1)
    with pytest.raises(StorageError, match="cannot map the board"):
        Board(tmp_path / "missing" / "board")


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    Board(tmp_path / "board")
    assert (tmp_path / "board").stat().st_mode & 0o777 == 0o600


def test_damage_is_counted_over_restarts(tmp_path: Path) -> None:
    board = Board(tmp_path / "board")
    assert board.damage() == (0, 0)
    board.add_damage(2, now_ts=5)
    board.add_damage(1, now_ts=7)
    board.clear_workers()
    board.close()
    again = Board(tmp_path / "board")
    assert again.damage() == (3, 7)
    again.close()
