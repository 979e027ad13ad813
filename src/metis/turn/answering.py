"""How the client is answered: which receiver an answer gets, its headers, and errors in the client's shape."""

from __future__ import annotations

from typing import Final

import msgspec

from metis.ir.response import ErrorInfo
from metis.trace.events.turn import FidelityNote
from metis.turn.actions import Inbound, Reply
from metis.turn.course import Way
from metis.turn.crossing import StreamCrossing, WholeCrossing
from metis.turn.engine import Engine
from metis.turn.refusals import credential_refused
from metis.turn.relay import PathRelay, Receiver, StreamRelay, Unframed, WholeRelay
from metis.turn.reply_head import ReplyHead
from metis.turn.state import Outbound

_NO_HEAD: Final = ReplyHead()
_JSON_TYPE: Final = b"content-type: application/json\r\n"
_STREAM_TYPE: Final = b"content-type: text/event-stream; charset=utf-8\r\n"
# AWS's framing of streams: what an `unframe` is for.
FRAMED_TYPE: Final = b"application/vnd.amazon.eventstream"
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
            return self._receiver(status, outbound, stream=stream)
        framed = self.head.content_type.startswith(FRAMED_TYPE)
        if framed:
            self.head = self.head._replace(content_type=b"text/event-stream")
        inner = self._receiver(status, outbound, stream=stream)
        self._crossed_type = _STREAM_TYPE if inner.streaming else _JSON_TYPE
        return Unframed(inner, outbound.unframe()) if framed else inner

    def _receiver(self, status: int, outbound: Outbound, *, stream: bool) -> Receiver:
        shape = outbound.shape
        if self._inbound.operation == "relay":
            return PathRelay()
        kind = self.head.content_type
        sent_stream = kind.startswith(b"text/event-stream")
        if status in _WITHOUT_BODY or kind.startswith(b"text/html"):
            # No stream can come of it: read whole it is nonsense with a status, not a 200 that failed.
            stream = sent_stream = False
        if shape is None:
            like = self._engine.shapes["openai_chat"]
            return (
                StreamRelay(like, strip_usage=outbound.strip_usage) if stream else WholeRelay(like)
            )
        target = self._engine.shapes[self._inbound.shape]
        if outbound.context is None:
            if stream:
                return StreamRelay(target, strip_usage=outbound.strip_usage)
            return WholeRelay(target)
        self._crossed_type = _STREAM_TYPE if stream else _JSON_TYPE
        if stream:
            whole = kind.startswith(b"application/json") and not sent_stream
            return StreamCrossing(shape, target, outbound.context, whole=whole)
        return WholeCrossing(shape, target, outbound.context, streamed=sent_stream)

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
