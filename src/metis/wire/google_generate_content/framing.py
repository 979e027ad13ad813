"""A stream's pieces out of its bytes, under any chunking: server-sent events, or one JSON list (without `alt=sse`).

An error before the stream is one JSON object. What the pieces mean lives in stream_in.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from metis.errors import CodecError
from metis.wire.sse import MAX_EVENT_BYTES, SseDecoder

_BLANK: Final = b" \t\r\n\xef\xbb\xbf"
_MARKS: Final = re.compile(rb'[\\"{}\[\]]')


class PieceReader:
    """Feed bytes as they come; get the JSON text of each piece."""

    def __init__(self) -> None:
        self._mode: Literal["", "events", "list", "object"] = ""
        self._held = bytearray()
        self._events = SseDecoder()
        self._list = _ListReader()

    def feed(self, data: bytes) -> list[bytes]:
        """Raises CodecError when one piece grows beyond all reason."""
        if not self._mode:
            self._held += data
            start = bytes(self._held.lstrip(_BLANK)[:1])
            if not start:
                return []
            self._mode = "list" if start == b"[" else "object" if start == b"{" else "events"
            if self._mode == "object":
                return []
            data = bytes(self._held)
            self._held.clear()
        match self._mode:
            case "events":
                return [event.data for event in self._events.feed(data)]
            case "list":
                return self._list.feed(data)
            case _:
                self._held += data
                _refuse_giants(self._held)
                return []

    def finish(self) -> list[bytes]:
        """What the end of the body completes."""
        match self._mode:
            case "events":
                return [event.data for event in self._events.finish()]
            case "object":
                return [bytes(self._held)]
            case _:
                return []


class _ListReader:
    """The objects of one JSON list. What stands between them is passed over."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._place = 0
        self._start = 0
        self._depth = 0
        self._quoted = False

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        found: list[bytes] = []
        while (mark := _MARKS.search(self._buffer, self._place)) is not None:
            self._place = mark.end()
            self._step(mark[0], mark.start(), found)
        # A backslash may have gone beyond what came so far; it never goes back.
        self._place = max(self._place, len(self._buffer))
        if self._depth == 0 and not self._quoted:
            self._place -= len(self._buffer)
            self._buffer.clear()
        _refuse_giants(self._buffer)
        return found

    def _step(self, mark: bytes, place: int, found: list[bytes]) -> None:
        if self._quoted:
            if mark == b"\\":
                self._place += 1
            elif mark == b'"':
                self._quoted = False
        elif mark == b'"':
            self._quoted = True
        elif mark == b"{" or (mark == b"[" and self._depth):
            if not self._depth:
                self._start = place
            self._depth += 1
        elif self._depth and mark in b"}]":
            self._depth -= 1
            if not self._depth:
                found.append(bytes(self._buffer[self._start : self._place]))
                del self._buffer[: self._place]
                self._place = 0


def _refuse_giants(buffer: bytearray) -> None:
    if len(buffer) > MAX_EVENT_BYTES:
        raise CodecError(f"one piece of the stream is over {MAX_EVENT_BYTES} bytes")
