"""Calls over pooled connections whose transports are in the test's hands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from metis.facts.failure import CallFailure, FailureCause
from metis.http.headers import Headers
from metis.providers.provider import Origin
from metis.turn.actions import Call
from metis.upstream.pool import Connection, UpstreamPool
from metis.upstream.settings import UpstreamSettings

ORIGIN = Origin("http", "127.0.0.1", 1)


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


class SlowDialer:
    """Dials in `wait_s`; `lost` connections are gone by the time anybody may use them."""

    def __init__(self, *, wait_s: float = 0.0, lost: bool = False) -> None:
        self._wait_s = wait_s
        self._lost = lost
        self.made: list[tuple[Connection, Wire]] = []

    async def dial(self, origin: Origin, factory: Callable[[], Connection]) -> Connection:
        await asyncio.sleep(self._wait_s)
        connection, wire = factory(), Wire()
        connection.connection_made(wire)
        if self._lost:
            connection.connection_lost(None)
        self.made.append((connection, wire))
        return connection


class Heard:
    """A listener that keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def call_head(self, call_id: str, status: int, headers: Headers) -> None:
        self.said.append((call_id, status))

    def call_data(self, call_id: str, data: bytes) -> None:
        self.said.append((call_id, data))

    def call_end(self, call_id: str) -> None:
        self.said.append((call_id, "end"))

    def call_failed(self, call_id: str, failure: CallFailure) -> None:
        self.said.append((call_id, failure.cause))


def call(call_id: str, *, first_byte_s: float = 60.0) -> Call:
    return Call(
        call_id=call_id,
        origin=ORIGIN,
        head=b"POST / HTTP/1.1\r\n\r\n",
        body=b"",
        provider="x",
        connect_timeout_s=5.0,
        first_byte_timeout_s=first_byte_s,
        idle_timeout_s=60.0,
    )


def pool_with(dialer: SlowDialer) -> UpstreamPool:
    return UpstreamPool(UpstreamSettings(), cast(Any, dialer))


async def test_a_call_on_a_connection_that_went_as_it_came_is_told_so() -> None:
    heard, pool = Heard(), pool_with(SlowDialer(lost=True))
    pool.start(call("a"), heard)
    await asyncio.sleep(0.05)
    assert heard.said == [("a", FailureCause.RESET)]
    pool.close()


async def test_timeouts_hold_after_a_dial_that_was_all_there_was() -> None:
    heard, pool = Heard(), pool_with(SlowDialer(wait_s=0.7))
    pool.start(call("a", first_byte_s=0.2), heard)
    await asyncio.sleep(2.0)
    assert heard.said == [("a", FailureCause.FIRST_BYTE_TIMEOUT)]
    pool.close()


async def test_nothing_of_an_answer_reaches_the_next_call_on_its_connection() -> None:
    heard, dialer = Heard(), SlowDialer()
    pool = pool_with(dialer)
    pool.start(call("a"), heard)
    await asyncio.sleep(0.01)
    connection, wire = dialer.made[0]
    connection.data_received(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 2\r\n\r\nok"
    )
    wire.written = b""
    pool.start(call("b"), heard)
    assert wire.written == b"POST / HTTP/1.1\r\n\r\n"
    connection.data_received(b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n")
    assert heard.said == [("a", 200), ("a", b"ok"), ("a", "end"), ("b", 429), ("b", "end")]
    assert len(dialer.made) == 1
    pool.close()


async def test_bytes_behind_an_answer_end_the_connection_and_not_the_answer() -> None:
    heard, dialer = Heard(), SlowDialer()
    pool = pool_with(dialer)
    pool.start(call("a"), heard)
    await asyncio.sleep(0.01)
    connection, wire = dialer.made[0]
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n")
    assert heard.said == [("a", 200), ("a", b"ok"), ("a", "end")]
    assert wire.closed
    pool.close()
