"""Upstream calls over pooled keep-alive connections: one call a connection at a time, timeouts by one ticker."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import Final, cast

from metis.facts.failure import CallFailure, FailureCause, FailureClass
from metis.http.client import BadResponse, ResponseReader
from metis.providers.provider import Origin
from metis.turn.actions import Call
from metis.turn.ports import CallListener
from metis.upstream.dialing import Dialer, why_failed
from metis.upstream.settings import UpstreamSettings

_TICK_S: Final = 0.5
_JOIN_BELOW: Final = 64 * 1024  # head and body go out in one write below this size


class Connection(asyncio.Protocol):
    """One upstream connection. Idle, or busy with the call it was given by `send`."""

    __slots__ = (
        "_listener",
        "_pool",
        "_reader",
        "_transport",
        "call",
        "idle_since",
        "last_heard",
        "origin",
        "paused",
        "reused",
        "sent_at",
    )

    def __init__(self, pool: UpstreamPool, origin: Origin) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._reader = ResponseReader()
        self._listener: CallListener | None = None
        self.origin = origin
        self.call: Call | None = None
        self.reused = False
        self.paused = False
        self.idle_since = 0.0
        self.sent_at = 0.0
        self.last_heard = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, call: Call, listener: CallListener) -> None:
        """Begin a call on this idle connection."""
        transport = self._transport
        if transport is None:
            return
        self.call, self._listener = call, listener
        self._reader.next()
        self.sent_at = monotonic()
        self.last_heard = 0.0
        if len(call.body) < _JOIN_BELOW:
            transport.write(call.head + call.body)
        else:
            transport.write(call.head)
            transport.write(call.body)

    def data_received(self, data: bytes) -> None:
        reader, listener, call = self._reader, self._listener, self.call
        if listener is None or call is None:
            self.abort()  # bytes that nobody asked for: this connection cannot be trusted any more
            return
        self.last_heard = self._pool.now
        headless = not reader.head_ready
        try:
            body = reader.feed(data)
        except BadResponse as exc:
            self._fail(FailureClass.NETWORK, FailureCause.PROTOCOL, f"bad HTTP: {exc}")
            return
        if headless and reader.head_ready:
            listener.call_head(call.call_id, reader.status, reader.headers)
            if self.call is not call:
                return
        if body:
            listener.call_data(call.call_id, body)
            if self.call is not call:
                return
        if reader.complete:
            self._complete(reader, call, listener)

    def _complete(self, reader: ResponseReader, call: Call, listener: CallListener) -> None:
        self.call = self._listener = None
        if self.paused:
            self.resume()
        # Into the pool first: the listener may start the next call at once.
        transport = self._transport
        if reader.keep_alive and transport is not None and not transport.is_closing():
            self.reused = True
            self._pool.release(self)
        else:
            self.abort()
        listener.call_end(call.call_id)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._pool.drop(self)
        reader, listener, call = self._reader, self._listener, self.call
        if call is None or listener is None:
            return
        if exc is None and reader.eof():
            self._complete(reader, call, listener)
        elif self.reused and not self.last_heard:
            self._fail(FailureClass.NETWORK, FailureCause.STALE, "closed before it answered")
        elif reader.head_ready:
            self._fail(FailureClass.NETWORK, FailureCause.CUT, "closed inside its answer")
        else:
            self._fail(FailureClass.NETWORK, FailureCause.RESET, "closed before it answered")

    def _fail(self, failure: FailureClass, cause: FailureCause, message: str) -> None:
        call, listener = self.call, self._listener
        self.call = self._listener = None
        self.abort()
        if call is not None and listener is not None:
            listener.call_failed(call.call_id, CallFailure(failure, cause, message, sent=True))

    def check_timeouts(self, now: float) -> None:
        """Fail the call when its answer is overdue. A paused connection is the client's slowness."""
        call, reader = self.call, self._reader
        if call is None or self.paused:
            return
        if not reader.head_ready:
            if now - self.sent_at > call.first_byte_timeout_s:
                waited = f"no answer within {call.first_byte_timeout_s:g} s"
                self._fail(FailureClass.TIMEOUT, FailureCause.FIRST_BYTE_TIMEOUT, waited)
        elif now - self.last_heard > call.idle_timeout_s:
            waited = f"silent for {call.idle_timeout_s:g} s"
            self._fail(FailureClass.TIMEOUT, FailureCause.IDLE_TIMEOUT, waited)

    def pause(self) -> None:
        if not self.paused and self._transport is not None:
            self.paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self.paused and self._transport is not None:
            self.paused = False
            self.last_heard = monotonic()
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once; the call, if any, is not told."""
        self.call = self._listener = None
        if self._transport is not None:
            self._transport.abort()


class PendingCall:
    """The handle of a call that has to wait for its connection: first a task, then the connection."""

    __slots__ = ("_call", "_connection", "_listener", "_paused", "_pool", "_task")

    def __init__(self, pool: UpstreamPool, call: Call, listener: CallListener) -> None:
        self._pool = pool
        self._call = call
        self._listener = listener
        self._connection: Connection | None = None
        self._paused = False
        self._task: asyncio.Task[None] | None = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        call = self._call
        try:
            connection = await asyncio.wait_for(
                self._pool.dial(call.origin), call.connect_timeout_s
            )
            if not connection.usable:  # it went as it came, when there was nobody to be told
                raise ConnectionResetError("closed as it was made")
        except (OSError, TimeoutError, ValueError) as exc:
            self._listener.call_failed(call.call_id, why_failed(exc))
            return
        self._task = None
        self._connection = connection
        connection.send(call, self._listener)
        if self._paused:
            connection.pause()

    def pause(self) -> None:
        self._paused = True
        connection = self._connection
        if connection is not None and connection.call is self._call:
            connection.pause()

    def resume(self) -> None:
        self._paused = False
        connection = self._connection
        if connection is not None and connection.call is self._call:
            connection.resume()

    def cancel(self) -> None:
        """Stop: the connection is closed, since the rest of the answer would be in the way."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        connection = self._connection
        if connection is not None and connection.call is self._call:
            connection.abort()


class RunningCall:
    """The handle of a call on a connection that was there. It means nothing to the connection's next call."""

    __slots__ = ("_call", "_connection")

    def __init__(self, call: Call, connection: Connection) -> None:
        self._call = call
        self._connection = connection

    def pause(self) -> None:
        if self._connection.call is self._call:
            self._connection.pause()

    def resume(self) -> None:
        if self._connection.call is self._call:
            self._connection.resume()

    def cancel(self) -> None:
        if self._connection.call is self._call:
            self._connection.abort()


class UpstreamPool:
    """Idle connections by origin, and the calls under way. One per worker, in its event loop."""

    def __init__(self, settings: UpstreamSettings, dialer: Dialer) -> None:
        self._settings = settings
        self._dialer = dialer
        self._idle: dict[Origin, deque[Connection]] = {}
        self._open: set[Connection] = set()
        self._ticker: asyncio.TimerHandle | None = None
        self.now = monotonic()  # as of the last tick: exact enough for timeouts, and free to read

    def start(self, call: Call, listener: CallListener) -> PendingCall | RunningCall:
        """Make the call on an idle connection, or on a new one."""
        if self._ticker is None:
            self._keep_ticking()
        idle = self._idle.get(call.origin)
        while idle:
            connection = idle.pop()
            if connection.usable:
                connection.send(call, listener)
                return RunningCall(call, connection)
        return PendingCall(self, call, listener)

    async def dial(self, origin: Origin) -> Connection:
        """A new connection. Raises OSError and its kin."""
        connection = await self._dialer.dial(origin, lambda: Connection(self, origin))
        if connection.usable:
            self._open.add(connection)
        self._keep_ticking()  # a long dial may have been all there was
        return connection

    def _keep_ticking(self) -> None:
        if self._ticker is None:
            self.now = monotonic()
            self._ticker = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def release(self, connection: Connection) -> None:
        """Back among the idle ones, the newest last: it is the first to be used again."""
        idle = self._idle.get(connection.origin)
        if idle is None:
            idle = self._idle[connection.origin] = deque()
        connection.idle_since = self.now
        idle.append(connection)
        if len(idle) > self._settings.max_idle_per_origin:
            idle.popleft().abort()

    def drop(self, connection: Connection) -> None:
        """The connection is gone."""
        self._open.discard(connection)
        idle = self._idle.get(connection.origin)
        if idle is not None and connection in idle:
            idle.remove(connection)

    def close(self) -> None:
        """Close what is idle and stop the ticker; calls under way are their drivers' to cancel."""
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        for idle in self._idle.values():
            while idle:
                idle.pop().abort()

    def _tick(self) -> None:
        now = self.now = monotonic()
        for connection in list(self._open):
            connection.check_timeouts(now)
        for idle in self._idle.values():
            while idle and now - idle[0].idle_since > self._settings.idle_s:
                idle.popleft().abort()
        loop = asyncio.get_running_loop()
        self._ticker = loop.call_later(_TICK_S, self._tick) if self._open else None
