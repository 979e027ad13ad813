"""Server-sent events: incremental parsing under any chunking, and writing. What the events mean lives in the shapes.

Follows the WHATWG HTML standard, section 9.2 (event stream interpretation): lines end in LF, CRLF or
CR, a leading byte-order mark is ignored, fields may lack the space after the colon.
"""

from __future__ import annotations

from typing import NamedTuple

from metis.errors import CodecError

MAX_EVENT_BYTES = (
    64 * 1024 * 1024
)  # one image in one event is the largest seen; beyond it is nonsense


class ServerSentEvent(NamedTuple):
    """One dispatched event. `event` is "" when the stream named none; comments are not events."""

    event: str
    data: bytes


class SseDecoder:
    """Feed bytes as they come; get the events they complete. Comments are dropped, `retry` and `id` too."""

    __slots__ = ("_buffer", "_data", "_data_bytes", "_event", "_started")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._event = ""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._started = False

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Raises CodecError when one event grows over MAX_EVENT_BYTES."""
        buffer = self._buffer
        if (
            data.startswith(b"data: ")
            and data.find(b"\n") == len(data) - 2  # one event of one line, whole, as most come
            and data.endswith(b"\n\n")
            and not (buffer or self._data or self._event or b"\r" in data)
        ):
            self._started = True
            return [ServerSentEvent("", data[6:-2])]
        if self._started and b"\n" not in data and b"\r" not in data and not buffer.endswith(b"\r"):
            # Inside a long line: looking at it again with every chunk would cost its length squared.
            buffer += data
            self._refuse_giants()
            return []
        buffer += data
        if not self._started:
            if len(buffer) < 3 and b"\xef\xbb\xbf".startswith(bytes(buffer)):
                return []
            if buffer.startswith(b"\xef\xbb\xbf"):
                del buffer[:3]
            self._started = True
        events: list[ServerSentEvent] = []
        # A CR at the very end may be half of a CRLF: it waits for the next byte.
        end = len(buffer) - 1 if buffer.endswith(b"\r") else len(buffer)
        text = bytes(buffer[:end])
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._buffer = bytearray(rest) + buffer[end:]
        self._refuse_giants()
        for line in lines:
            if not line:
                self._dispatch(events)
            elif line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
                self._data_bytes += len(line)
            elif line.startswith(b"event:"):
                self._event = line[6:].decode("utf-8", "replace").removeprefix(" ")
            elif line == b"data":
                self._data.append(b"")
                self._data_bytes += len(line)
        if self._data:
            self._refuse_giants()
        return events

    def finish(self) -> list[ServerSentEvent]:
        """The last event of a body that ended without its blank line (some servers leave it out)."""
        events = self.feed(b"\n")
        self._dispatch(events)
        return events

    def _refuse_giants(self) -> None:
        if len(self._buffer) + self._data_bytes > MAX_EVENT_BYTES:
            raise CodecError(f"one stream event is over {MAX_EVENT_BYTES} bytes")

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        if self._data:
            events.append(ServerSentEvent(self._event, b"\n".join(self._data)))
            self._data = []
            self._data_bytes = 0
        self._event = ""


def encode_event(data: bytes, event: str = "") -> bytes:
    """One event on the wire; `data` must hold no line break (JSON text never does)."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data
