"""The process that forks and ends the others."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

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
