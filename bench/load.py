"""The benchmark's load: one thread on bare epoll, closed loop or open loop, in a process of its own.

Closed: each connection sends its next request when its last was answered. Open (`rate`): requests have a time at which
they ought to be sent, and their latency counts from it, so that a gateway that stalls is not asked less meanwhile
(coordinated omission). Every answer is checked: its status, and `marks` of it.

`python -m bench.load` reads a plan as JSON from standard input and prints one JSON line.
"""

from __future__ import annotations

import heapq
import json
import re
import resource
import select
import socket
import sys
import time
from array import array
from collections import deque
from typing import Any, Final

import msgspec

from bench.alarm import Alarm

_READ: Final = 262_144
_FRAMING: Final = re.compile(rb"\r\n[0-9a-fA-F]+\r\n")
_PIECE: Final = 65_536
_LATE_S: Final = 30.0
_MOST_CONNECTIONS: Final = 8192


class Plan(msgspec.Struct, kw_only=True):
    """What to send to whom. `request` is written as it is; `rate` in requests a second, 0 for the closed loop.

    `marks`: how often `mark` must stand in an answer. `spread_s`: connections begin over this time,
    as clients do; all at once they would stay in step. `upload_s`: spend so long on sending a request, in pieces.
    """

    port: int
    request: str
    seconds: float
    connections: int = 1
    rate: float = 0.0
    mark: str = ""
    marks: int = 0
    spread_s: float = 0.0
    upload_s: float = 0.0


class Figures(msgspec.Struct, kw_only=True):
    """What came of it; times in milliseconds as p50, p90, p99 and the longest.

    `retried`: a kept-alive connection was closed under a request before any of its answer came, which HTTP allows
    (RFC 9112, 9.3.1); it was sent again, once, and its latency counts from the first time.
    """

    requests: int = 0
    chunks: int = 0
    errors: int = 0
    first_error: str = ""
    reconnected: int = 0
    retried: int = 0
    seconds: float = 0.0
    latency_ms: list[float] = []
    first_chunk_ms: list[float] = []
    cpu_s: float = 0.0


class Connection:
    __slots__ = (
        *("again", "began_ns", "busy", "chunked", "fd", "head", "last", "left", "marked"),
        *("missing", "parts", "sock", "status", "tail", "used"),
    )

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.fd = -1
        self.busy = False
        self.last = False


def quantiles(values: array[float]) -> list[float]:
    """p50, p90, p99 and the longest, in ms of nanoseconds; nothing of nothing."""
    if not values:
        return []
    ordered = sorted(values)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.9, 0.99)]
    return [round(one / 1e6, 4) for one in (*at, ordered[-1])]


class Load:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._request = plan.request.encode()
        self._mark = plan.mark.encode()
        self._poll = select.epoll()
        self._alarm = Alarm()
        self._poll.register(self._alarm.fd, select.EPOLLIN)
        self._by_fd: dict[int, Connection] = {}
        self._free: deque[Connection] = deque()
        self._busy = 0
        self._slow: list[tuple[int, int, Connection]] = []
        self._latencies: array[float] = array("d")
        self._first_chunks: array[float] = array("d")
        self.figures = Figures()

    def run(self) -> Figures:
        plan = self._plan
        for _ in range(plan.connections):
            connection = Connection()
            self._connect(connection)
            self._free.append(connection)
        began = time.monotonic_ns()
        self._until = began + int(plan.seconds * 1e9)
        gap = 1e9 / plan.rate if plan.rate else plan.spread_s * 1e9 / plan.connections
        waiting = plan.connections if not plan.rate else sys.maxsize
        give_up = self._until + int(_LATE_S * 1e9)
        due, number = began, 0
        while True:
            now = time.monotonic_ns()
            while number < waiting and due <= now and due < self._until:
                self._begin(self._take(), due if plan.rate else now)
                number += 1
                due = began + int(number * gap)
            while self._slow and self._slow[0][0] <= now:
                self._write(heapq.heappop(self._slow)[2])
            if (now >= self._until and not self._busy) or now > give_up:
                break
            moments = [due] if number < waiting and due < self._until else []
            moments += [self._slow[0][0]] if self._slow else []
            moments += [self._until] if now < self._until else []
            self._alarm.set(min(moments, default=0))
            for fd, mask in self._poll.poll(0.2):
                if fd == self._alarm.fd:
                    self._alarm.clear()
                elif (connection := self._by_fd.get(fd)) is not None:
                    self._woken(connection, mask)
        return self._finished(began)

    def _finished(self, began: int) -> Figures:
        figures = self.figures
        figures.errors += self._busy
        if self._busy:
            figures.first_error = figures.first_error or f"{self._busy} answers never ended"
        figures.seconds = round((time.monotonic_ns() - began) / 1e9, 3)
        figures.latency_ms = quantiles(self._latencies)
        figures.first_chunk_ms = quantiles(self._first_chunks)
        figures.cpu_s = round(time.process_time(), 3)
        return figures

    def _take(self) -> Connection:
        if self._free:
            return self._free.popleft()
        if len(self._by_fd) >= _MOST_CONNECTIONS:
            raise SystemExit("the gateway does not keep up: too many requests are open")
        connection = Connection()
        self._connect(connection)
        return connection

    def _connect(self, connection: Connection) -> None:
        sock = socket.create_connection(("127.0.0.1", self._plan.port), timeout=10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        connection.sock, connection.fd, connection.used = sock, sock.fileno(), False
        self._by_fd[connection.fd] = connection
        self._poll.register(connection.fd, select.EPOLLIN)

    def _begin(self, connection: Connection, began_ns: int) -> None:
        connection.busy, connection.head, connection.tail = True, b"", b""
        connection.began_ns, connection.marked = began_ns, False
        if self._mark:
            connection.parts = []
        self._busy += 1
        connection.again = False
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        if connection.sock is None:
            self._connect(connection)
        connection.left = memoryview(self._request)
        self._write(connection)

    def _write(self, connection: Connection) -> None:
        if connection.sock is None:
            return  # lost amid a slow upload
        pieces = self._plan.upload_s > 0
        try:
            sent = connection.sock.send(connection.left[:_PIECE] if pieces else connection.left)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # reading tells it again
        whole = len(self._request) == len(connection.left)
        connection.left = connection.left[sent:]
        if pieces:
            if connection.left:
                gap_s = self._plan.upload_s * _PIECE / len(self._request)
                due = time.monotonic_ns() + int(gap_s * 1e9)
                heapq.heappush(self._slow, (due, connection.fd, connection))
        elif connection.left:
            self._poll.modify(connection.fd, select.EPOLLIN | select.EPOLLOUT)
        elif not whole:
            self._poll.modify(connection.fd, select.EPOLLIN)

    def _woken(self, connection: Connection, mask: int) -> None:
        if mask & select.EPOLLOUT and connection.busy:
            self._write(connection)
        if not mask & ~select.EPOLLOUT:
            return
        assert connection.sock is not None
        try:
            data = connection.sock.recv(_READ)
        except BlockingIOError:
            return
        except OSError as exc:
            self._lost(connection, repr(exc))
            return
        if not data:
            self._lost(connection, "closed amid an answer")
        elif connection.busy:
            self._received(connection, data)

    def _lost(self, connection: Connection, why: str) -> None:
        self._close(connection)
        self.figures.reconnected += 1
        if not connection.busy:
            return
        if connection.head == b"" and connection.used and not connection.again:
            connection.again = True
            self.figures.retried += 1
            self._send(connection)
        else:
            self._ended(connection, why)

    def _close(self, connection: Connection) -> None:
        assert connection.sock is not None
        self._by_fd.pop(connection.fd, None)
        connection.sock.close()
        connection.sock = None

    def _received(self, connection: Connection, data: bytes) -> None:
        if connection.head is not None:
            data = connection.head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                connection.head = data
                return
            self._read_head(connection, data[:end].lower())
            data = data[end + 4 :]
        if self._mark:
            connection.parts.append(data)
            if not connection.marked and self._mark in data:
                connection.marked = True
                self._first_chunks.append(time.monotonic_ns() - connection.began_ns)
        if connection.chunked:
            connection.tail = (connection.tail + data)[-7:]
            if connection.tail == b"\r\n0\r\n\r\n":
                self._ended(connection, "")
        else:
            connection.missing -= len(data)
            if connection.missing <= 0:
                self._ended(connection, "")

    def _read_head(self, connection: Connection, head: bytes) -> None:
        connection.head = None
        connection.status = int(head[9:12])
        at = head.find(b"\r\ncontent-length:")
        connection.chunked = at < 0
        if at >= 0:
            end = head.find(b"\r\n", at + 2)
            connection.missing = int(head[at + 17 : end if end > 0 else None])
        connection.last = b"\r\nconnection: close" in head

    def _ended(self, connection: Connection, why: str) -> None:
        now = time.monotonic_ns()
        connection.busy, connection.used = False, True
        self._busy -= 1
        figures = self.figures
        if not why and connection.status != 200:
            why = f"status {connection.status}"
        if not why and self._mark:
            # Proxies cut chunks anew, also amid a mark.
            whole = _FRAMING.sub(b"", b"".join(connection.parts))
            if whole.count(self._mark) != self._plan.marks:
                why = f"{whole.count(self._mark)} of {self._plan.marks} marks: {whole[:300]!r}"
        if why:
            figures.errors += 1
            figures.first_error = figures.first_error or why
        else:
            figures.requests += 1
            figures.chunks += self._plan.marks
            self._latencies.append(now - connection.began_ns)
        if connection.last and connection.sock is not None:
            self._close(connection)
            figures.reconnected += 1
        if self._plan.rate or now >= self._until:
            self._free.append(connection)
        else:
            self._begin(connection, now)


def run(plan: Plan) -> Figures:
    """Put the load on, in this process."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return Load(plan).run()


def main() -> None:
    plan: Any = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.write(json.dumps(msgspec.to_builtins(run(plan))) + "\n")


if __name__ == "__main__":
    main()
