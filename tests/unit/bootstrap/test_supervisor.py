"""The process that forks and ends the others."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from metis.bootstrap.supervisor import Child, ChildEnd, Supervisor


def _run(children: list[Child]) -> int:
    """A supervisor in a process of its own, told to stop as soon as it says that it serves."""
    pid = os.fork()
    if pid == 0:
        supervisor = Supervisor(children, lambda: os.kill(os.getpid(), signal.SIGTERM), [])
        os._exit(supervisor.run())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _quick(end: ChildEnd) -> None:
    async def serve() -> None:
        stop = end.listen_for_stop()
        end.say_ready()
        await stop.wait()

    asyncio.run(serve())


def _slow_to_start(written: Path, start_s: float) -> Callable[[ChildEnd], None]:
    def run(end: ChildEnd) -> None:
        time.sleep(start_s)

        async def serve() -> None:
            stop = end.listen_for_stop()
            end.say_ready()
            await stop.wait()

        asyncio.run(serve())
        written.write_text("ended in order")

    return run


def test_a_child_still_starting_ends_in_order_all_the_same(tmp_path: Path):
    written = tmp_path / "last-words"
    late = Child("late", _slow_to_start(written, 0.3), 10.0, rank=1, awaited=False)
    assert _run([Child("quick", _quick, 10.0, rank=0), late]) == 0
    assert written.read_text() == "ended in order"


def test_a_child_that_never_gets_to_listen_is_killed_in_time(tmp_path: Path):
    stuck = Child("stuck", _slow_to_start(tmp_path / "x", 60.0), 0.2, rank=1, awaited=False)
    began = time.monotonic()
    assert _run([Child("quick", _quick, 10.0, rank=0), stuck]) == 0
    assert time.monotonic() - began < 30


def _deaf(end: ChildEnd) -> None:
    """Never listens, so SIGTERM waits."""
    end.say_ready()
    time.sleep(30)


@pytest.mark.parametrize(
    ("signals", "pause_s", "hurries"),
    [
        ((signal.SIGINT, signal.SIGINT), 0.3, True),
        ((signal.SIGINT, signal.SIGINT), 0.0, False),
        ((signal.SIGINT, signal.SIGTERM), 0.3, False),
        ((signal.SIGTERM, signal.SIGTERM), 0.3, False),
        ((signal.SIGTERM, signal.SIGTERM), 1.1, True),
    ],
)
def test_a_second_wish_to_stop_ends_at_once_and_a_wish_said_twice_does_not(
    signals: tuple[int, int], pause_s: float, hurries: bool
) -> None:
    ready, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        child = Child("deaf", _deaf, stop_timeout_s=2.5, rank=0)
        os._exit(Supervisor([child], lambda: os.write(said, b"1"), []).run())
    os.close(said)
    os.read(ready, 1)
    began = time.monotonic()
    os.kill(pid, signals[0])
    time.sleep(pause_s)
    os.kill(pid, signals[1])
    os.waitpid(pid, 0)
    assert (time.monotonic() - began < 2) == hurries
    os.close(ready)


def test_ctrl_c_while_it_starts_leaves_with_130_and_without_a_traceback(tmp_path: Path) -> None:
    # Found before the standard library's: the first module that is loaded takes its time.
    (tmp_path / "msgspec.py").write_text(
        "print('loading', flush=True)\nimport time\ntime.sleep(30)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "metis", "version"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"loading\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (130, b"")
