"""The process that owns the sockets: forks workers and the control process, restarts what dies, ends in order.

It stays tiny and single-threaded, so that it can fork at any time. What a worker and the control
process do lives in files beside this one.
"""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

import structlog

from metis.errors import ConfigError

log = structlog.get_logger("metis.supervisor")
_RESTART_AFTER_S: Final = 0.2
_RESTART_MOST_S: Final = 10.0
_STABLE_S: Final = 30.0
# A later signal that came within so many seconds of the first is the same wish said twice: `timeout` signals
# a process and its group at once, and `make` hands the terminal's Ctrl-C on as SIGTERM. Of a person's
# two Ctrl-C the second is meant, and nobody types two in the shorter time.
_SAME_WISH_S: Final = {signal.SIGINT: 0.1, signal.SIGTERM: 1.0}
_BACKLOG: Final = 2048


@dataclass(slots=True)
class Child:
    """One process of ours. `run` is what it does after the fork; it never returns to the supervisor.

    Ranks are stopped one after the other, lowest first: workers before the control process, since
    what they wrote last must still be recorded. We say that we serve once all `awaited` ones are ready: the sockets
    of the others listen already, and whoever connects is answered when they are.
    """

    name: str
    run: Callable[[ChildEnd], None]
    stop_timeout_s: float
    rank: int
    awaited: bool = True
    pid: int = 0
    started: float = 0.0
    restart_at: float = 0.0
    failures: int = 0
    ready: bool = False
    ready_fd: int = -1
    lifeline_fd: int = -1


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """What a child is born with: a pipe to say that it is ready, and one whose end means we are gone.

    It is born deaf to SIGTERM: one that came before it can end in order must wait, not kill. Whoever starts a
    process or needs the signal calls `listen_for_stop` first.
    """

    ready_fd: int
    lifeline_fd: int

    def listen_for_stop(self) -> asyncio.Event:
        """An event of the running loop that is set by SIGTERM, one sent before this call included, or our death."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_reader(self.lifeline_fd, self._on_lifeline, loop, stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
        return stop

    def _on_lifeline(self, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        loop.remove_reader(self.lifeline_fd)  # it stays readable
        stop.set()

    def say_ready(self) -> None:
        os.write(self.ready_fd, b"1")
        os.close(self.ready_fd)


@dataclass(slots=True)
class Supervisor:
    """Children in the order they are started, and the sockets they inherit."""

    children: list[Child]
    on_ready: Callable[[], None]
    sockets: list[socket.socket]
    _stopping: bool = False
    _hurry: bool = False
    _stop_asked: float = 0.0
    _announced: bool = False
    _wakeup: tuple[int, int] = field(default=(-1, -1))

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT. Gives the process's exit code."""
        self._install_signals()
        gc.collect()
        gc.freeze()  # children share these pages; a collection would copy them
        for child in self.children:
            self._fork(child)
        try:
            while not self._stopping:
                self._wait_for_something()
                self._reap()
                self._restart_due()
            return 0
        finally:
            self._stop_all()

    def _install_signals(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self._wakeup = (reader, writer)
        signal.set_wakeup_fd(writer)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGCHLD, _wake)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        """The first signal asks for an orderly end, a later one for an end."""
        now = time.monotonic()
        if self._stopping and now - self._stop_asked > _SAME_WISH_S[signal.Signals(number)]:
            self._hurry = True
        if not self._stopping:
            self._stop_asked = now
        self._stopping = True

    def _fork(self, child: Child) -> None:
        ready_read, ready_write = os.pipe()
        life_read, life_write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
        pid = os.fork()
        if pid == 0:
            self._become(child, ChildEnd(ready_write, life_read), (ready_read, life_write))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
        os.close(ready_write)
        os.close(life_read)
        child.pid, child.started, child.ready = pid, time.monotonic(), False
        child.ready_fd, child.lifeline_fd = ready_read, life_write

    def _become(self, child: Child, end: ChildEnd, ours: tuple[int, int]) -> None:
        """The child's side of the fork: shed what is the supervisor's, then run and leave."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(
                signal.SIGINT, signal.SIG_IGN
            )  # Ctrl-C reaches all; the supervisor decides
            for fd in (*ours, *self._wakeup):
                os.close(fd)
            for other in self.children:
                for fd in (other.ready_fd, other.lifeline_fd):
                    if fd >= 0:
                        os.close(fd)
            child.run(end)
            code = 0
        except Exception:
            log.exception("child.failed", child=child.name)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _wait_for_something(self) -> None:
        """Sleep until a signal, a child's readiness, or the next restart."""
        waiting = [child for child in self.children if child.ready_fd >= 0]
        due = [child.restart_at for child in self.children if child.restart_at]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        fds = [self._wakeup[0], *(child.ready_fd for child in waiting)]
        readable, _, _ = select.select(fds, [], [], timeout)
        if self._wakeup[0] in readable:
            os.read(self._wakeup[0], 4096)
        for child in waiting:
            if child.ready_fd in readable:
                child.ready = os.read(child.ready_fd, 1) == b"1"
                os.close(child.ready_fd)
                child.ready_fd = -1
        if not self._announced and all(child.ready for child in self.children if child.awaited):
            self._announced = True
            self.on_ready()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self.children:
                if child.pid == pid:
                    self._died(child, status)

    def _died(self, child: Child, status: int) -> None:
        self._release(child)
        child.pid = 0
        if self._stopping:
            return
        lived_s = time.monotonic() - child.started
        child.failures = 0 if lived_s > _STABLE_S else child.failures + 1
        if not self._announced:
            raise ConfigError(f"{child.name} did not start; the log above says why")
        delay_s = min(_RESTART_AFTER_S * 2**child.failures, _RESTART_MOST_S)
        child.restart_at = time.monotonic() + delay_s
        log.error(
            "child.died",
            child=child.name,
            exit_code=os.waitstatus_to_exitcode(status),
            lived_s=round(lived_s, 1),
            restart_in_s=delay_s,
        )

    def _release(self, child: Child) -> None:
        for fd in (child.ready_fd, child.lifeline_fd):
            if fd >= 0:
                os.close(fd)
        child.ready_fd = child.lifeline_fd = -1

    def _restart_due(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.restart_at and child.restart_at <= now and not self._stopping:
                child.restart_at = 0.0
                self._fork(child)

    def _stop_all(self) -> None:
        self._stopping = True
        for sock in self.sockets:
            sock.close()  # from here on the kernel refuses connections instead of queueing them
        for rank in sorted({child.rank for child in self.children}):
            self._stop([child for child in self.children if child.rank == rank])
        signal.set_wakeup_fd(-1)
        for fd in self._wakeup:
            os.close(fd)

    def _stop(self, children: list[Child]) -> None:
        """SIGTERM, wait as long as each may take, SIGKILL."""
        alive = [child for child in children if child.pid]
        for child in alive:
            os.kill(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + max((child.stop_timeout_s for child in alive), default=0.0)
        while alive and time.monotonic() < deadline and not self._hurry:
            self._reap()
            alive = [child for child in alive if child.pid]
            time.sleep(0.01)
        for child in alive:
            log.error("child.killed", child=child.name)
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            self._release(child)


def _wake(number: int, frame: FrameType | None) -> None:
    """A handler that does nothing: the wakeup pipe does."""


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """`count` listening sockets on one address, one per worker; the kernel spreads connections over them.

    They stay the supervisor's, so what waits on a dead worker's socket waits for its successor.
    Raises ConfigError when the address cannot be had.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        for _ in range(count):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if count > 1:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(address)
            if address[1] == 0:
                address = sock.getsockname()
            sock.listen(_BACKLOG)
            sock.setblocking(False)
    except OSError as exc:
        for sock in sockets:
            sock.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {exc.strerror or exc}; "
            "is another Metis running? choose another with --port or --admin-port"
        ) from exc
    return sockets
