"""Processes that are measured: started bounded in time and pinned, read for CPU time, memory and sockets, and ended.

Everything here ends with the process that started it: nothing outlives a benchmark that was killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

GATEWAY_CORE: Final = 0
LOAD_CORE: Final = 1
_CPU_CLOCK: Final = 2
_QUIET_CPU: Final = 0.03
_QUIET_S: Final = 0.3  # longer than the recorder sleeps between looks
_PAGE: Final = os.sysconf("SC_PAGESIZE")


def end_on_sigterm() -> None:
    """Let SIGTERM end this program as an exception does, so that what it started and wrote is taken away."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def pinned(core: int) -> list[str]:
    """Run on one core where the machine has two and taskset."""
    enough = (os.cpu_count() or 1) > core
    return ["taskset", "-c", str(core)] if enough and shutil.which("taskset") else []


def bounded(seconds: float) -> list[str]:
    """End after so long at the latest, and with the process that started it."""
    words = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    return [*words, "timeout", "-k", "10", str(seconds)] if shutil.which("timeout") else words


def start(
    command: list[str],
    *,
    core: int | None,
    log: Path,
    seconds: float = 3600,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process to be measured; what it says goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as said:
        return subprocess.Popen(
            [*bounded(seconds), *(pinned(core) if core is not None else []), *command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=environment,
            cwd=folder,
        )


def stop(process: subprocess.Popen[bytes], wait_s: float = 30) -> None:
    """SIGTERM, and wait; SIGKILL for it and all it started when that is not enough."""
    pids = family(process.pid)
    process.terminate()
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        for pid in pids:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        process.wait(10)


def wait_port(port: int, process: subprocess.Popen[bytes], log: Path, most_s: float = 90) -> None:
    """Wait until something listens. Raises SystemExit with the log's end when it does not come to that."""
    deadline = time.monotonic() + most_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    tail = log.read_text(errors="replace")[-3000:] if log.exists() else ""
    raise SystemExit(f"{log.stem} did not start:\n{tail}")


def family(pid: int) -> list[int]:
    """A process and all its descendants, the oldest first."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting += sorted(parents.get(current, []), reverse=True)
    return found


def cpu_s(pids: list[int]) -> float:
    """CPU seconds used so far by these processes, threads that ended included, to the nanosecond."""
    total = 0.0
    for pid in pids:
        try:
            total += time.clock_gettime((~pid << 3) | _CPU_CLOCK)  # clock_getcpuclockid(3)
        except OSError:
            continue
    return total


def settle(pids: list[int], most_s: float = 10) -> None:
    """Wait until these processes have nothing left to do: what was written down is then recorded."""
    deadline = time.monotonic() + most_s
    while time.monotonic() < deadline:
        before = cpu_s(pids)
        time.sleep(_QUIET_S)
        if cpu_s(pids) - before < _QUIET_S * _QUIET_CPU:
            return


def rss_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 2**20
    except OSError:
        return 0.0


def forget_peak(pid: int) -> None:
    """Begin to count a process's largest resident size anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def open_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def connections_of(pid: int, port: int) -> int:
    """How many clients of `port` this process serves now."""
    established, local = "01", f":{port:04X}"
    inodes = {
        fields[9]
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        if (fields := line.split())[1].endswith(local) and fields[3] == established
    }
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        count += target.startswith("socket:[") and target[8:-1] in inodes
    return count
