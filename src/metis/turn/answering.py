"""How the client is answered: which receiver an answer gets, its headers, and errors in the client's shape."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.ir.response import ErrorInfo
from metis.trace.events.turn import FidelityNote
from metis.turn.actions import Inbound, Reply
from metis.turn.course import Way
from metis.turn.crossing import FoldedStream, StreamCrossing, WholeCrossing
from metis.turn.engine import Engine
from metis.turn.refusals import credential_refused
from metis.turn.relay import (
    PathRelay,
    Receiver,
    StreamRelay,
    Unframed,
    WholeRelay,
    begins_events,
)
from metis.turn.reply_head import ReplyHead
from metis.turn.state import Outbound
from metis.wire.codec import ReplyContext

_NO_HEAD: Final = ReplyHead()
_JSON_TYPE: Final = b"content-type: application/json\r\n"
_STREAM_TYPE: Final = b"content-type: text/event-stream; charset=utf-8\r\n"
# AWS's framing of streams: what an `unframe` is for.
FRAMED_TYPE: Final = b"application/vnd.amazon.eventstream"
_EVENTS_TYPE: Final = b"text/event-stream"
_WITHOUT_BODY: Final = (204, 205)
_FIDELITY_ORDER: Final = ("edited", "mapped", "carried", "lost")


class Answerer:
    """Makes the client's side of one turn's answer. `head` is the upstream's, once it has come."""

    __slots__ = ("_crossed_type", "_engine", "_inbound", "_turn_id", "head")

    def __init__(self, engine: Engine, inbound: Inbound, turn_id: str) -> None:
        self._engine = engine
        self._inbound = inbound
        self._turn_id = turn_id
        self._crossed_type = b""
        self.head = _NO_HEAD

    def receiver(self, status: int, outbound: Outbound, *, stream: bool) -> Receiver:
        """How a 2xx answer is received, by what was asked and what the upstream says it sends."""
        if outbound.unframe is None:
            return self._receiver(status, outbound, stream=stream, events=self._says_events())
        framed = self.head.content_type.startswith(FRAMED_TYPE)
        if framed:
            self.head = self.head._replace(content_type=_EVENTS_TYPE)
        events = self._says_events()
        inner = self._receiver(status, outbound, stream=stream, events=events)
        self._crossed_type = _STREAM_TYPE if inner.streaming else _JSON_TYPE
        return Unframed(inner, outbound.unframe()) if framed else inner

    def another_receiver(
        self, status: int, outbound: Outbound, first: bytes, *, stream: bool
    ) -> Receiver | None:
        """The receiver that fits the answer's first bytes, where the head made one expect something else.

        Only for answers of which the client has seen nothing yet.
        """
        said = self._says_events()
        events = begins_events(first, labelled=said)
        if events == said:
            return None
        return self._receiver(status, outbound, stream=stream, events=events)

    def _says_events(self) -> bool:
        return self.head.content_type.startswith((_EVENTS_TYPE, FRAMED_TYPE))

    def _receiver(self, status: int, outbound: Outbound, *, stream: bool, events: bool) -> Receiver:
        shape, context = outbound.shape, outbound.context
        if self._inbound.operation == "relay":
            return PathRelay()
        if status in _WITHOUT_BODY or self.head.content_type.startswith(b"text/html"):
            # No stream can come of it: read whole it is nonsense with a status, not a 200 that failed.
            stream = events = False
        if shape is None:
            like = self._engine.shapes["openai_chat"]
            streamed = stream and events
            return (
                StreamRelay(like, strip_usage=outbound.strip_usage)
                if streamed
                else WholeRelay(like)
            )
        target = self._engine.shapes[self._inbound.shape]
        if context is None:
            if not events:
                return WholeRelay(target)
            if stream:
                return StreamRelay(target, strip_usage=outbound.strip_usage)
            self.head = self.head._replace(lines=_without_type(self.head.lines))
            self._crossed_type = _JSON_TYPE
            return FoldedStream(shape, target, self._own_context())
        self._crossed_type = _STREAM_TYPE if stream else _JSON_TYPE
        if stream:
            return StreamCrossing(shape, target, context, events=events)
        crossing = FoldedStream if events else WholeCrossing
        return crossing(shape, target, context)

    def _own_context(self) -> ReplyContext:
        """For an answer within its own shape, which brings all that it says."""
        created = int(self._engine.clock.time())
        response_id = self._turn_id.removeprefix("turn_")
        return ReplyContext(model="", response_id=response_id, created=created)

    def lines(self, way: Way | None, notes: tuple[FidelityNote, ...]) -> bytes:
        """The answer's header lines: the upstream's, and Metis's own words."""
        return self.head.lines + self._crossed_type + self._own_lines(way, notes)

    def error(self, error: ErrorInfo, way: Way | None) -> Reply:
        """An error in the client's shape, with the ids it may quote and `retry-after` where it must be."""
        shape = self._engine.shapes.get(self._inbound.shape) or self._engine.shapes["openai_chat"]
        if error.request_id is None:
            error = msgspec.structs.replace(error, request_id=self._turn_id)
        turn_id = self._turn_id.encode()
        lines = b"%brequest-id: %b\r\nx-request-id: %b\r\n" % (_JSON_TYPE, turn_id, turn_id)
        if error.status in (429, 503, 529):
            seconds = error.retry_after_s or self._engine.settings.retry_after_s
            lines += b"retry-after: %d\r\n" % max(1, round(seconds))
        return Reply(error.status, lines + self._own_lines(way, ()), shape.encode_error(error))

    def upstream_error(
        self,
        status: int,
        body: bytes,
        outbound: Outbound,
        way: Way,
    ) -> tuple[Reply, ErrorInfo]:
        """An upstream's error: untouched in its own shape, translated with the original inside else.

        A kind of server that names no remedy itself may have it explained: then in the client's shape.
        """
        shapes = self._engine.shapes
        source = outbound.shape or shapes.get(self._inbound.shape) or shapes["openai_chat"]
        info = source.decode_error(status, body)
        provider = way.provider
        gateway_pays = not self._inbound.client_credential
        # Google tells a key that is not valid with 400.
        refused = status in (401, 403) or info.kind == "authentication"
        if refused and gateway_pays:
            return self.error(credential_refused(provider.name, status), way), info
        if provider.kind.explain is not None:
            explained = provider.kind.explain(provider, info)
            if explained is not info:
                return self.error(explained, way), explained
        if outbound.context is not None or outbound.unframe is not None:
            self._crossed_type = _JSON_TYPE
        lines = self.lines(way, ())
        if status in (429, 529) and not self.head.has_retry_after:
            # Codex gives up on a 429 without it; several others wait a random time.
            lines += b"retry-after: %d\r\n" % self._engine.settings.retry_after_s
        if outbound.context is None:
            return Reply(status, lines, body), info
        target = shapes[self._inbound.shape]
        return Reply(status, lines, target.encode_error(info)), info

    def _own_lines(self, way: Way | None, notes: tuple[FidelityNote, ...]) -> bytes:
        told = way.told if way is not None else b""
        lines = b"x-metis-turn: %b\r\n%b" % (self._turn_id.encode(), told)
        if notes:
            verbs = [note.verb for note in notes]
            said = ", ".join(
                f"{verb}={verbs.count(verb)}" for verb in _FIDELITY_ORDER if verb in verbs
            )
            lines += b"x-metis-fidelity: %b\r\n" % said.encode()
        return lines


def _without_type(lines: bytes) -> bytes:
    """Header lines but for the content type: the body is made anew."""
    kept = [
        line for line in lines.splitlines(True) if not line.lower().startswith(b"content-type:")
    ]
    return b"".join(kept)
