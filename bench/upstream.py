"""The benchmark's upstream: fixed answers in three API shapes, whole or as streams, paced or as fast as they go.

One thread on bare epoll, one write for each chunk, since it must never be what limits a run. Streams of many
connections take turns. `GET /__pace/MICROSECONDS/COUNT` spaces later streams' chunks and says how many deltas they
have, `GET /__stats` tells what was served.
What it costs itself does not matter: CPU is measured on the process under test alone.

usage: python -m bench.upstream PORT [TLS_PORT CERTIFICATE KEY]
"""

from __future__ import annotations

import functools
import heapq
import json
import re
import select
import socket
import ssl
import sys
import time
from collections import deque
from typing import Final

from bench.alarm import Alarm
from bench.answers import CHUNKS, SHAPE_PATHS, WHOLE, Shape, stream_events

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked", re.I)
_STREAM: Final = re.compile(rb'"stream" ?: ?true')
_KEPT_BODY: Final = 65_536
_KNOWN_HEADS: Final = 4096
_READ: Final = 262_144
_LIST: Final = b'{"object":"list","data":[]}'
_JSON: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def framed(shape: Shape, count: int) -> list[bytes]:
    """A stream as the writes it takes: the head with the first chunk, the others, the terminator with the last."""
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in stream_events(shape, count)]
    return [_STREAM_HEAD + chunks[0], *chunks[1:-1], chunks[-1] + b"0\r\n\r\n"]


ANSWERS: Final = {shape: _JSON % (len(body), body) for shape, body in WHOLE.items()}


@functools.cache
def _all_streams(count: int) -> dict[Shape, list[bytes]]:
    return {shape: framed(shape, count) for shape in SHAPE_PATHS}


def shape_of(path: bytes) -> Shape:
    """Tell the API from the end of its path, whatever prefix a gateway puts before it."""
    if path.endswith(b"/messages"):
        return "messages"
    return "responses" if path.endswith(b"/responses") else "chat"


class Connection:
    """One gateway's connection: the request being read, and the stream or rest being written."""

    __slots__ = ("at", "blocked", "data", "fd", "head", "kept", "missing", "rest", "sock", "stream")

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.fd = sock, sock.fileno()
        self.data = b""
        self.head: tuple[bytes, int] | None = None
        self.kept = b""
        self.missing = 0
        self.stream: list[bytes] | None = None
        self.at = 0
        self.rest = b""
        self.blocked = False


class Server:
    def __init__(self, port: int, tls_port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._poll = select.epoll()
        self._listeners: dict[int, socket.socket] = {}
        self._secure = -1
        for number in (port, *((tls_port,) if tls else ())):
            listener = socket.create_server(("127.0.0.1", number), backlog=2048)
            listener.setblocking(False)
            self._listeners[listener.fileno()] = listener
            self._poll.register(listener.fileno(), select.EPOLLIN)
            self._secure = listener.fileno() if number == tls_port else -1
        self._alarm = Alarm()
        self._poll.register(self._alarm.fd, select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._handshakes: set[int] = set()
        self._heads: dict[bytes, tuple[bytes, int]] = {}
        self._fast: deque[Connection] = deque()
        self._paced: list[tuple[int, int, Connection]] = []
        self._pace_ns = 0
        self._streams = _all_streams(CHUNKS)
        self.requests = self.streams = self.bytes_in = 0

    def serve(self) -> None:
        listeners, ringing = self._listeners, self._alarm.fd
        while True:
            self._alarm.set(self._paced[0][0] if self._paced else 0)
            for fd, mask in self._poll.poll(0 if self._fast else -1):
                if fd in listeners:
                    self._accept(fd)
                elif fd == ringing:
                    self._alarm.clear()
                elif (connection := self._connections.get(fd)) is not None:
                    self._woken(connection, mask)
            for _ in range(len(self._fast)):
                connection = self._fast.popleft()
                if self._step(connection):
                    self._fast.append(connection)
            if self._paced:
                self._due()

    def _due(self) -> None:
        now = time.monotonic_ns()
        while self._paced and self._paced[0][0] <= now:
            due, _, connection = heapq.heappop(self._paced)
            if self._step(connection):
                # The opening says nothing yet: the first word follows at once.
                due += self._pace_ns if connection.at > 1 else 0
                heapq.heappush(self._paced, (due, connection.fd, connection))

    def _step(self, connection: Connection) -> bool:
        """Write a stream's next chunk. False: the stream ended, or the peer takes nothing now."""
        stream = connection.stream
        if stream is None or connection.blocked:
            return False
        chunk = stream[connection.at]
        connection.at += 1
        if connection.at == len(stream):
            connection.stream = None
        self._write(connection, chunk)
        if connection.stream is None and connection.data:
            self._received(connection, b"")
        return connection.stream is not None and not connection.blocked

    def _accept(self, listener: int) -> None:
        while True:
            try:
                sock, _ = self._listeners[listener].accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None and listener == self._secure:
                sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                self._handshakes.add(sock.fileno())
            self._connections[sock.fileno()] = Connection(sock)
            self._poll.register(sock.fileno(), select.EPOLLIN)

    def _woken(self, connection: Connection, mask: int) -> None:
        if connection.fd in self._handshakes and not self._shaken(connection):
            return
        if mask & select.EPOLLOUT:
            self._unblock(connection)
        if mask & ~select.EPOLLOUT:
            while True:
                try:
                    data = connection.sock.recv(_READ)
                except (BlockingIOError, ssl.SSLWantReadError):
                    return
                except OSError:
                    data = b""
                if not data:
                    self._drop(connection)
                    return
                self._received(connection, data)
                # TLS keeps what it has deciphered to itself: epoll would not tell of it.
                if (
                    not isinstance(connection.sock, ssl.SSLSocket)
                    or connection.fd not in self._connections
                ):
                    return

    def _shaken(self, connection: Connection) -> bool:
        try:
            connection.sock.do_handshake()  # type: ignore[attr-defined]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            self._drop(connection)
            return False
        self._handshakes.discard(connection.fd)
        return True

    def _drop(self, connection: Connection) -> None:
        self._connections.pop(connection.fd, None)
        self._handshakes.discard(connection.fd)
        connection.stream = None
        connection.sock.close()

    def _received(self, connection: Connection, data: bytes) -> None:
        """Read on; answer every request that is whole, unless a stream is still being written."""
        if connection.data:
            data, connection.data = connection.data + data, b""
        while data or connection.head is not None:
            if connection.head is None:
                end = data.find(b"\r\n\r\n")
                if end < 0 or connection.stream is not None:
                    connection.data = data
                    return
                connection.head = self._head(data[:end])
                connection.kept, connection.missing = b"", connection.head[1]
                data = data[end + 4 :]
            if connection.missing < 0:
                # Searched for its end as it came: our own answers never hold a chunk's terminator.
                end = data.find(b"\r\n0\r\n\r\n")
                if end < 0:
                    connection.data = data
                    return
                connection.kept, data = data[:end], data[end + 7 :]
            else:
                taken = data[: connection.missing]
                if len(connection.kept) < _KEPT_BODY:
                    connection.kept += taken[:_KEPT_BODY]
                connection.missing -= len(taken)
                if connection.missing:
                    return
                data = data[len(taken) :]
            path, connection.head = connection.head[0], None
            self._answer(connection, path, connection.kept)

    def _head(self, head: bytes) -> tuple[bytes, int]:
        """Path and body length of a request's head; -1: chunked. Heads seen before are known by their bytes."""
        known = self._heads.get(head)
        if known is None:
            path = head.split(b" ", 2)[1]
            length = _LENGTH.search(head)
            known = (path, int(length[1]) if length else -1 if _CHUNKED.search(head) else 0)
            if len(self._heads) < _KNOWN_HEADS:
                self._heads[head] = known
        return known

    def _answer(self, connection: Connection, path: bytes, body: bytes) -> None:
        if path.startswith(b"/__"):
            self._write(connection, self._asked(path))
            return
        if not path.endswith((b"/completions", b"/messages", b"/responses")):
            self._write(connection, _JSON % (len(_LIST), _LIST))
            return
        self.requests += 1
        shape = shape_of(path)
        if _STREAM.search(body) is None:
            self._write(connection, ANSWERS[shape])
            return
        self.streams += 1
        connection.stream, connection.at = self._streams[shape], 0
        if self._pace_ns:
            heapq.heappush(self._paced, (time.monotonic_ns(), connection.fd, connection))
        else:
            self._fast.append(connection)

    def _asked(self, path: bytes) -> bytes:
        _, name, *value = path.split(b"/")
        if name == b"__pace":
            self._pace_ns = int(value[0]) * 1000
            self._streams = _all_streams(int(value[1]))
        said = json.dumps({"requests": self.requests, "streams": self.streams}).encode()
        return _JSON % (len(said), said)

    def _write(self, connection: Connection, data: bytes) -> None:
        if connection.blocked:
            connection.rest += data
            return
        try:
            sent = connection.sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        except OSError:
            self._drop(connection)
            return
        if sent < len(data):
            connection.rest, connection.blocked = data[sent:], True
            self._poll.modify(connection.fd, select.EPOLLIN | select.EPOLLOUT)

    def _unblock(self, connection: Connection) -> None:
        rest, connection.rest, connection.blocked = connection.rest, b"", False
        self._write(connection, rest)
        if not connection.blocked and connection.fd in self._connections:
            self._poll.modify(connection.fd, select.EPOLLIN)
            if connection.stream is not None:
                # Late ones go on at once: their pace was the peer's doing.
                self._fast.append(connection)


def main(arguments: list[str]) -> None:
    if len(arguments) == 1:
        Server(int(arguments[0])).serve()
    port, tls_port, certificate, key = arguments
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    Server(int(port), int(tls_port), tls).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
