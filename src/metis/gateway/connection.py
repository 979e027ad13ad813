"""One client's connection: reads requests, serves them one at a time, in order, and writes the answers."""

from __future__ import annotations

import asyncio
import time
from typing import Final, cast

import structlog

from metis.errors import Forbidden, LedgerError, MetisError, NotFound, RequestError, RequestTimeout
from metis.facts.identity import Principal
from metis.gateway.authentication import Authenticated, AuthFailure, authenticate
from metis.gateway.cloud_dialects import BedrockSink, as_messages
from metis.gateway.decoding import decode_body
from metis.gateway.door import DoorState
from metis.gateway.exchange import Exchange, ReplySink
from metis.gateway.model_list import unlisted_model
from metis.gateway.paths import Route, find_route, shape_of
from metis.gateway.relay_paths import is_relay, relay_path
from metis.http.headers import encode_headers, status_line
from metis.http.known_heads import RequestHead
from metis.http.server import HttpRequest, RequestReader
from metis.ir.response import ErrorInfo
from metis.trace.events import AuthFailed
from metis.trace.events.turn import FidelityNote
from metis.turn.actions import Inbound
from metis.turn.refusals import OWN_FAILURE, refusal

log = structlog.get_logger("metis.gateway")
_LINGER_S: Final = (
    1.0  # a client that is still sending reads the refusal before the connection goes
)
_JSON: Final = b"content-type: application/json\r\n"
_WITHOUT_BODY: Final = (204, 304)  # RFC 9112 section 6.3
# Answered by the door itself, to anybody.
_OPEN_ANSWERS: Final = {
    "root": b'{"name":"metis","status":"ok"}',
    "health": b'{"status":"ok"}',
    "ready": b'{"status":"ready"}',
}


class ClientConnection(asyncio.Protocol):
    """One client's connection: reads requests, serves them one at a time, in order."""

    __slots__ = (
        "_busy",
        "_chunked",
        "_closing",
        "_exchange",
        "_head_only",
        "_keep_alive",
        "_reader",
        "_reading_paused",
        "_request_began",
        "_serving",
        "_state",
        "_transport",
        "_unread_bytes",
        "_unread_since",
        "_waiting_since",
        "_write_paused",
    )

    def __init__(self, state: DoorState) -> None:
        self._state = state
        self._transport: asyncio.Transport | None = None
        settings = state.settings
        self._reader = RequestReader(
            max_header_bytes=settings.max_header_bytes,
            max_body_bytes=settings.max_body_bytes,
            on_head=self._on_head,
            known=state.known_heads,
        )
        self._exchange: Exchange | None = None
        self._busy = False
        self._serving = False
        self._closing = False
        self._keep_alive = True
        self._chunked = False
        self._head_only = False
        self._reading_paused = False
        self._write_paused = False
        self._unread_bytes = 0  # of what was written for the client, and since when it is so much
        self._unread_since = 0.0
        self._waiting_since = time.monotonic()
        self._request_began = 0.0

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._state.opened(self):
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._state.closed(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._state.counters.add("active_turns", -1)
            exchange.client_gone()

    def eof_received(self) -> bool:
        return False  # a client that stops sending has hung up: its upstream call is cancelled

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        reader = self._reader
        if not self._request_began:
            self._request_began = time.monotonic()
        try:
            reader.feed(data)
        except RequestError as error:
            self._closing = True
            if not self._busy:
                self._serve_ready()
            if not self._busy:
                self._refuse_and_close(error)
            return
        if not reader.mid_request:
            self._request_began = 0.0
        if self._busy:
            if reader.ready and not self._reading_paused and self._transport is not None:
                self._reading_paused = True
                self._transport.pause_reading()
            return
        self._serve_ready()

    def pause_writing(self) -> None:
        self._write_paused = True
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._exchange is not None:
            self._exchange.resume()
        elif not self._busy:
            self._serve_ready()

    # Time

    def tick(self, now: float, now_ns: int) -> None:
        """Heartbeats for the turn under way; timeouts for a client that does not send."""
        settings = self._state.settings
        if self._exchange is not None:
            self._exchange.tick(now_ns)
        if self._gives_up_on_reader(now) or self._busy or self._closing:
            return
        began = self._request_began
        if not began:
            if now - self._waiting_since > settings.idle_timeout_s:
                self._close()
            return
        limit = settings.header_timeout_s if self._reader.reading_head else settings.body_timeout_s
        if now - began > limit:
            self._closing = True
            self._refuse_and_close(RequestTimeout(f"the request did not arrive within {limit:g} s"))

    def _gives_up_on_reader(self, now: float) -> bool:
        """Whether the client took nothing of its answer for too long: then its call is ended too.

        Its upstream is paused as long, so that nobody else would ever notice.
        """
        transport = self._transport
        waiting = transport.get_write_buffer_size() if transport is not None else 0
        if waiting == 0 or waiting != self._unread_bytes:
            self._unread_bytes, self._unread_since = waiting, now
            return False
        if now - self._unread_since <= self._state.settings.body_timeout_s:
            return False
        self.break_off()
        return True

    def close_if_idle(self) -> None:
        """Drain: an idle connection closes now, a busy one after its answer."""
        self._keep_alive = False
        if not self._busy and not self._reader.mid_request:
            self._close()

    # Serving

    def _on_head(self, head: RequestHead) -> None:
        """Before the body: a client that waits for leave gets it, or the refusal at once."""
        if not head.expect_continue:
            return
        if find_route(head.path).operation not in ("unknown", "root", "health", "ready"):
            self._authenticate(head)
        if self._transport is not None and not self._busy:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _serve_ready(self) -> None:
        if self._serving:
            return
        self._serving = True
        ready = self._reader.ready
        # A client that does not read its answers is given no further ones to hold for it.
        while ready and not (self._busy or self._write_paused or self._transport is None):
            if self._transport.is_closing():
                break
            self._serve(ready.popleft())
        self._serving = False
        if ready and self._transport is not None and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        if self._reading_paused and not ready and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()

    def _serve(self, request: HttpRequest) -> None:
        state, (head, body, keep_alive) = self._state, request
        self._busy = True
        self._keep_alive = keep_alive and not state.draining
        self._chunked = head.version_11
        self._head_only = head.method == b"HEAD"
        state.counters.add("requests")
        route = find_route(head.path)
        try:
            if route.is_turn and head.method == b"POST":
                self._begin_turn(head, body, route)
            else:
                self._dispatch(request, route)
        except MetisError as error:
            if isinstance(error, AuthFailure):
                self._note_auth_failure(error, head)
            self._write_error(refusal(error), shape_of(route, head.named))
            self.answered()
        except Exception:
            log.exception("door.crashed", path=head.path.decode("latin-1")[:200])
            self._write_error(OWN_FAILURE, shape_of(route, head.named))
            self.answered()

    def _dispatch(self, request: HttpRequest, route: Route) -> None:
        operation, head = route.operation, request.head
        if operation in _OPEN_ANSWERS:
            draining = operation == "ready" and self._state.draining
            body = b'{"status":"draining"}' if draining else _OPEN_ANSWERS[operation]
            self._answer(503 if draining else 200, _JSON, body)
            return
        if operation == "unknown" and is_relay(head.path, self._state.settings.relay):
            self._begin_relay(request)
            return
        if operation == "unknown":
            path = head.path.decode("latin-1")[:200]
            raise NotFound(f"no such path here: {head.method.decode()} {path}", code="not_found")
        if head.method not in route.methods:
            self._refuse_method(head, route)
            return
        who = self._authenticate(head)
        self._answer_models(route, shape_of(route, head.named), who.principal)

    def _begin_turn(self, head: RequestHead, body: bytes, route: Route) -> None:
        received_ns = time.perf_counter_ns()
        principal, client_credential = self._authenticate(head)
        encoding = head.named.get(b"content-encoding")
        if encoding is not None:
            body = decode_body(body, encoding, self._state.settings.max_body_bytes)
        sink: ReplySink = self
        notes: tuple[FidelityNote, ...] = ()
        if route.cloud:
            head, body, notes = as_messages(head, body, route)
            sink = BedrockSink(self) if route.cloud == "bedrock" else self
        inbound = Inbound(
            route.operation,
            route.shape,
            head,
            body,
            principal,
            client_credential,
            received_ns,
            notes=notes,
        )
        self._begin(inbound, sink)

    def _begin(self, inbound: Inbound, sink: ReplySink) -> None:
        state = self._state
        exchange = self._exchange = Exchange(sink, state)
        state.counters.add("active_turns")
        exchange.begin(state.engine(), inbound)

    def _begin_relay(self, request: HttpRequest) -> None:
        head = request.head
        who = self._authenticate(head)
        if who.principal.budgeted:
            raise Forbidden("a key with a budget cannot use relayed paths: their price is unknown")
        wanted = relay_path(head.method, head.path, self._state.settings.relay)
        self._begin(
            Inbound(
                operation="relay",
                shape="",
                head=head,
                body=request.body,
                principal=who.principal,
                client_credential=who.client_credential,
                received_ns=time.perf_counter_ns(),
                relay_to=wanted.provider,
                relay_path=wanted.path + (b"?" + head.query if head.query else b""),
            ),
            self,
        )

    def _authenticate(self, head: RequestHead) -> Authenticated:
        return authenticate(head, self._state.keys.ring(), time.time_ns() // 1000)

    def _refuse_method(self, head: RequestHead, route: Route) -> None:
        allow = b", ".join(route.methods)
        if head.upgrade and head.method == b"GET" and route.shape == "openai_responses":
            # Codex tries a WebSocket first; 426 is the one status it falls back from at once.
            status, why = 426, "WebSocket is not spoken here; use HTTP"
        else:
            status, why = 405, f"{head.method.decode()} is not for this path"
        error = ErrorInfo(status=status, kind="invalid_request", message=why)
        self._write_error(error, shape_of(route, head.named), ((b"allow", allow),))
        self.answered()

    def _answer_models(self, route: Route, shape: str, who: Principal) -> None:
        listed, wanted = self._state.models(), route.argument
        body = listed.one(wanted, shape) if wanted else listed.whole(shape)
        if body is None:
            body = unlisted_model(wanted, shape, self._state.engine().router, who)
        if body is None:
            raise NotFound(
                f"no model {wanted[:200]!r} is listed or served; see GET /v1/models",
                code="model_not_found",
            )
        self._answer(200, _JSON, body)

    def _note_auth_failure(self, error: AuthFailure, head: RequestHead) -> None:
        state = self._state
        event = AuthFailed(
            event_id=state.ids.new("evt"),
            ts=time.time_ns() // 1000,
            reason=error.reason,
            path=head.path.decode("latin-1")[:200],
            key_prefix=error.key_prefix,
        )
        state.counters.add("auth_failures")
        try:
            state.ledger.append((event,))
        except LedgerError as exc:
            log.error("ledger.refused", error=str(exc), events=1)

    # Writing: ReplySink for the exchange, and the door's own answers

    def write_reply(self, status: int, lines: bytes, body: bytes | None) -> None:
        """The answer's head, and its body when that is whole already."""
        if self._transport is None:
            return
        head = status_line(status) + lines + self._framing(status, body)
        self._transport.write(head + body if body and not self._head_only else head)

    def _framing(self, status: int, body: bytes | None) -> bytes:
        """The headers that say how long the body is and what becomes of the connection."""
        date = self._state.date
        if status in _WITHOUT_BODY:
            self._head_only = True  # a chunk behind it would be read as the next answer's head
            kept = b"" if self._keep_alive else b"connection: close\r\n"
            return b"date: %b\r\n%b\r\n" % (date, kept)
        if body is not None:
            kept = b"" if self._keep_alive else b"connection: close\r\n"
            return b"date: %b\r\ncontent-length: %d\r\n%b\r\n" % (date, len(body), kept)
        if not self._chunked:
            self._keep_alive = False  # HTTP/1.0: the end of the connection is the end of the body
            return b"date: %b\r\nconnection: close\r\n\r\n" % date
        kept = b"" if self._keep_alive else b"connection: close\r\n"
        return b"date: %b\r\ntransfer-encoding: chunked\r\n%b\r\n" % (date, kept)

    def write_body(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or self._head_only:
            return
        if self._chunked:
            transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            transport.write(data)

    def end_body(self) -> None:
        if self._transport is not None and self._chunked and not self._head_only:
            self._transport.write(b"0\r\n\r\n")

    def break_off(self) -> None:
        """Close without a proper end, so that the client sees that the answer is not whole."""
        if self._transport is not None:
            self._transport.abort()

    def answered(self) -> None:
        """The answer is out: on to the next request, or close."""
        if self._exchange is not None:
            self._exchange = None
            self._state.counters.add("active_turns", -1)
        self._busy = False
        now = self._waiting_since = time.monotonic()
        if self._request_began:
            self._request_began = (
                now  # what came of the next request waited for this answer, not for its client
            )
        if not self._keep_alive or self._closing:
            self._close()
            return
        if self._reader.ready or self._reading_paused:
            self._serve_ready()

    def _answer(self, status: int, lines: bytes, body: bytes) -> None:
        self.write_reply(status, lines, body)
        self.answered()

    def _write_error(
        self, error: ErrorInfo, shape: str, more: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        engine = self._state.engine()
        request_id = self._state.ids.new("req").encode()
        lines = b"%brequest-id: %b\r\nx-request-id: %b\r\n" % (_JSON, request_id, request_id)
        lines += encode_headers(more)
        self.write_reply(error.status, lines, engine.shapes[shape].encode_error(error))

    def _refuse_and_close(self, error: RequestError) -> None:
        """An answer to what could not be read to its end; then the connection is of no more use."""
        head = self._reader.current
        if isinstance(error, AuthFailure):
            self._note_auth_failure(error, head)
        self._keep_alive = False
        self._head_only = head.method == b"HEAD"
        self._write_error(refusal(error), shape_of(find_route(head.path), head.named))
        if self._transport is not None:
            asyncio.get_running_loop().call_later(_LINGER_S, self._close)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
