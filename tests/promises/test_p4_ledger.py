"""P4: every upstream call is in the ledger exactly once, whoever is killed and when. Here without a gateway."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from tests.promises.ledger_processes import OVERLAP, SETTINGS

from metis.storage.sqlite.connection import connect
from metis.storage.sqlite.ledger import SqliteLedgerStore
from metis.storage.sqlite.migrations import migrate
from metis.trace.recorder import Recorder

ROOT = Path(__file__).parents[2]


def start(*arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.promises.ledger_processes", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)


def kill(process: subprocess.Popen[bytes]) -> str:
    """SIGKILL; returns what it had printed, less a line that was cut."""
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    said = process.stdout.read().decode()
    process.wait()
    process.stdout.close()
    return said[: said.rfind("\n") + 1]


def await_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode()


class Ledger:
    def __init__(self, directory: Path) -> None:
        self.spools = directory / "spool"
        self.database = directory / "metis.db"

    def recorder(self) -> Recorder:
        connection = connect(self.database)
        migrate(connection, now_ts=1)
        return Recorder(self.spools, SqliteLedgerStore(connection), SETTINGS)

    def outcomes(self) -> dict[str, str]:
        with closing(sqlite3.connect(self.database)) as connection:
            return dict(connection.execute("SELECT call_id, outcome FROM calls"))

    def assert_holds(self, said: str) -> None:
        """What the writers were told is kept is there, each call once, in rows and in rollups alike."""
        started = [line[2:] for line in said.splitlines() if line.startswith("s ")]
        ended = [line[2:] for line in said.splitlines() if line.startswith("c ")]
        assert len(started) > 100
        outcomes = self.outcomes()
        assert set(started) <= set(outcomes)
        assert {outcomes[call_id] for call_id in ended} == {"ok"}
        writers = len({call_id.split("_")[1] for call_id in outcomes})
        # Appended and recorded, but killed before it could say so: at most one event a writer.
        assert len(outcomes) - len(started) <= writers
        counts = Counter(outcomes.values())
        assert set(counts) <= {"ok", "interrupted"}
        assert 0 < counts["interrupted"] <= writers * OVERLAP
        assert 0 <= counts["ok"] - len(ended) <= writers
        with closing(sqlite3.connect(self.database)) as connection:
            summed = connection.execute(
                "SELECT outcome, sum(calls), sum(cost_nano_usd) FROM rollups_hourly GROUP BY 1"
            )
            assert {row[0]: row[1:] for row in summed} == {
                "ok": (counts["ok"], counts["ok"] * 450_000),
                "interrupted": (counts["interrupted"], 0),
            }
            unknown = "SELECT DISTINCT usage_source FROM calls WHERE outcome = 'interrupted'"
            assert connection.execute(unknown).fetchall() == [("unknown",)]
            assert connection.execute("SELECT count(*) FROM spool_positions").fetchone() == (0,)
        assert [path for path in self.spools.rglob("*") if path.is_file()] == []


def writers_are_killed(ledger: Ledger, rounds: int, seed: int) -> str:
    """Kill one writer after the other while a recorder runs; gives what they said they had appended."""
    chance = random.Random(seed)
    recorder = ledger.recorder()
    stop = threading.Event()
    thread = threading.Thread(target=recorder.run, args=(stop,))
    thread.start()
    said = ""
    try:
        for number in range(rounds):
            writer = start("writer", ledger.spools / "r1" / f"w{number}", 0)
            said += await_line(writer)
            time.sleep(chance.uniform(0.0, 0.1))
            said += kill(writer)
    finally:
        stop.set()
        thread.join()
    recorder.drain()
    recorder.close()
    return said


def recorders_are_killed(ledger: Ledger, rounds: int, seed: int) -> str:
    """Kill one recorder after the other while a writer runs; gives what it said it had appended."""
    chance = random.Random(seed)
    writer = start("writer", ledger.spools / "r1" / "w0", 0.0005)
    said = await_line(writer)
    lines: list[str] = []
    assert writer.stdout is not None
    stdout = writer.stdout
    reader = threading.Thread(target=lambda: lines.extend(line.decode() for line in stdout))
    reader.start()
    for _ in range(rounds):
        recorder = start("recorder", ledger.spools, ledger.database)
        assert await_line(recorder) == "ready\n"
        time.sleep(chance.uniform(0.0, 0.1))
        kill(recorder)
    writer.send_signal(signal.SIGKILL)
    reader.join()
    writer.wait()
    stdout.close()
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    last = ledger.recorder()
    while last.drain(deadline_s=20) is False:
        pass
    last.close()
    return said + "".join(lines)


def test_killing_writers_loses_no_appended_event_and_doubles_none(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.assert_holds(writers_are_killed(ledger, rounds=4, seed=1))


def test_killing_the_recorder_loses_no_event_and_doubles_none(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.assert_holds(recorders_are_killed(ledger, rounds=3, seed=2))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killing_writers_many_times_loses_and_doubles_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.assert_holds(writers_are_killed(ledger, rounds=25, seed=int.from_bytes(os.urandom(4))))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killing_the_recorder_many_times_loses_and_doubles_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.assert_holds(recorders_are_killed(ledger, rounds=20, seed=int.from_bytes(os.urandom(4))))
