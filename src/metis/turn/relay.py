"""Receiving an answer whose shape is the client's: the bytes go on as they came (promise P1).

A receiver takes the upstream's body and gives what to send; it does no I/O and knows no ids.
"""

from __future__ import annotations

from typing import Final, Protocol

from metis.errors import CodecError
from metis.ir.response import BROKEN_OFF, ErrorInfo
from metis.providers.provider import Unframer
from metis.trace.events.turn import FidelityNote
from metis.wire.codec import ResponseFacts, Shape, StreamTap
from metis.wire.splice import top_level
from metis.wire.surrogates import without_lone_surrogates

# A piece of an event longer than this is sent on before its end is there: images would pile up.
_MAX_HELD_BYTES: Final = 256 * 1024

CUT: Final = ErrorInfo(
    status=502,
    kind="api",
    message=f"{BROKEN_OFF}: the upstream ended its answer before the end; send the request again",
)


# What the first line of server-sent events can begin with, and no JSON text can.
_EVENT_BEGINS: Final = (b"data:", b"event:", b":", b"id:", b"retry:", b"\xef\xbb\xbf")


def begins_events(first: bytes, *, labelled: bool) -> bool:
    """Whether an answer that begins with these bytes is a stream of events, whatever its head says of it.

    `labelled`: what the head says, which counts where the bytes leave it open.
    """
    if first[:1] == b"{":  # as nearly every whole answer
        return False
    text = first.lstrip(b" \t\r\n")
    if not text or labelled:
        return labelled and text[:1] not in (b"{", b"[")
    return any(text.startswith(begin) or begin.startswith(text) for begin in _EVENT_BEGINS)


class Receiver(Protocol):
    """One way of receiving an answer.

    `streaming`: what `feed` gives is sent at once; else everything comes from `finish`.
    `finish` is called once when the upstream's body ended properly; where nothing was sent yet it may give
    the error that came instead of an answer. `fail` gives the shape's own
    words for an answer that broke off, b"" when none can be said any more.
    """

    facts: ResponseFacts
    streaming: bool

    def feed(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes | ErrorInfo: ...

    def fail(self, error: ErrorInfo) -> bytes | None: ...

    def heartbeat(self) -> bytes: ...

    def notes(self) -> tuple[FidelityNote, ...]: ...


class WholeRelay:
    """A same-shape answer that is not a stream: held until it is whole, then sent as it came."""

    __slots__ = ("_pieces", "_shape", "facts", "streaming")

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._pieces: list[bytes] = []
        self.facts = ResponseFacts()
        self.streaming = False

    def feed(self, data: bytes) -> bytes:
        self._pieces.append(data)
        return b""

    def finish(self) -> bytes:
        """Raises CodecError on a body that is no JSON object: a proxy's page, or nothing at all."""
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        if not self._read(body):
            # Text that has no UTF-8 form is the client's to judge: it gets the bytes, the ledger what can be read.
            readable = without_lone_surrogates(body)
            if not self._read(readable):
                top_level(
                    readable
                )  # JSON of another form than we know is paid for, and the client's too
        return body

    def _read(self, body: bytes) -> bool:
        """Take the body's facts; whether there were any."""
        try:
            facts = self.facts = self._shape.facts_of(body)
        except CodecError:
            return False
        return facts.complete or facts.error is not None

    def fail(self, error: ErrorInfo) -> bytes | None:
        return None

    def heartbeat(self) -> bytes:
        return b""

    def notes(self) -> tuple[FidelityNote, ...]:
        return ()


class StreamRelay:
    """A same-shape stream: whole events go on as they came, watched by the shape's tap.

    The piece of an event at the end of what arrived waits for its rest, so that a heartbeat or an
    error can always be said between two events.
    """

    __slots__ = ("_held", "_shape", "_strip_usage", "_tap", "facts", "streaming")

    def __init__(self, shape: Shape, *, strip_usage: bool) -> None:
        self._shape = shape
        self._tap: StreamTap = shape.tap(strip_usage)
        self._strip_usage = strip_usage
        self._held = b""
        self.facts = self._tap.facts
        self.streaming = True

    def feed(self, data: bytes) -> bytes:
        out = self._tap.feed(data)
        held = self._held
        if self._tap.at_boundary:
            if held:
                self._held = b""
                return held + out
            return out
        out = held + out
        end = _last_boundary(out)
        if end == 0 and len(out) > _MAX_HELD_BYTES:
            end = len(out)
        self._held = out[end:]
        return out[:end]

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def fail(self, error: ErrorInfo) -> bytes | None:
        self._held = b""  # half an event would reach the client as broken JSON
        return self._shape.encode_stream_error(error)

    def heartbeat(self) -> bytes:
        return b"" if self._held else self._shape.keepalive

    def notes(self) -> tuple[FidelityNote, ...]:
        if not self._strip_usage:
            return ()
        return (FidelityNote("edited", "$.stream.usage", "asked for by the gateway, left out"),)


class Unframed:
    """An answer whose stream comes in another framing: taken out of it before it is received."""

    __slots__ = ("_inner", "_unframer", "facts", "streaming")

    def __init__(self, inner: Receiver, unframer: Unframer) -> None:
        self._inner = inner
        self._unframer = unframer
        self.facts = inner.facts
        self.streaming = inner.streaming

    def feed(self, data: bytes) -> bytes:
        """Raises CodecError on bytes that are not of the framing."""
        return self._inner.feed(self._unframer.feed(data))

    def finish(self) -> bytes | ErrorInfo:
        out = self._inner.finish()
        self.facts = self._inner.facts
        return out

    def fail(self, error: ErrorInfo) -> bytes | None:
        return self._inner.fail(error)

    def heartbeat(self) -> bytes:
        return self._inner.heartbeat()

    def notes(self) -> tuple[FidelityNote, ...]:
        return self._inner.notes()


class PathRelay:
    """The answer of a relayed path: whatever it is, it goes on as it comes."""

    __slots__ = ("facts", "streaming")

    def __init__(self) -> None:
        self.facts = ResponseFacts()
        self.streaming = True

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        self.facts.complete = True
        return b""

    def fail(self, error: ErrorInfo) -> bytes | None:
        return None

    def heartbeat(self) -> bytes:
        return b""

    def notes(self) -> tuple[FidelityNote, ...]:
        return ()


def _last_boundary(data: bytes) -> int:
    """Where the last whole event ends; 0 when none does."""
    best = 0
    for mark in (b"\n\n", b"\r\n\r\n", b"\r\r"):
        found = data.rfind(mark)
        if found >= 0:
            best = max(best, found + len(mark))
    return best
