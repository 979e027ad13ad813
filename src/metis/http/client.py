"""The reading half of an HTTP/1.1 client, without a socket: bytes in, one response's head and body out."""

from __future__ import annotations

from typing import Any, Final

import httptools

from metis.http.headers import Headers

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class BadResponse(ValueError):
    """The upstream did not speak HTTP/1.1, or its answer breaks its own framing."""


class ResponseReader:
    """Read one response after the other. After each `feed` look at `head_ready` and `complete`.

    Call `next()` before each further response: a connection keeps its reader, since reader and parser know each
    other and what is never free of itself piles up until the garbage collector comes.
    A body without length or chunking ends with the connection: call `eof()` when it closes.
    Interim answers (1xx) are skipped. Trailers are dropped.
    """

    __slots__ = (
        "_interim",
        "_parser",
        "_pieces",
        "_pieces_of_body",
        "complete",
        "head_ready",
        "headers",
        "keep_alive",
        "on_body",
        "status",
    )

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append  # the parser's callback, without a frame of its own
        self._parser: Any = httptools.HttpResponseParser(self)
        self.next()

    def next(self) -> None:
        """Forget the response that was read; only one that left the connection usable may be followed."""
        self._pieces.clear()
        self._pieces_of_body = 0
        self._interim = False
        self.status = 0
        self.headers: Headers = []
        self.head_ready = False
        self.complete = False
        self.keep_alive = False

    def feed(self, data: bytes) -> bytes:
        """Read on, and give the body's bytes that came. Raises BadResponse."""
        pieces = self._pieces
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            raise BadResponse("the upstream switched protocols") from exc
        except httptools.HttpParserError as exc:
            if not self.complete:
                raise BadResponse(str(exc)) from exc
            self.keep_alive = (
                False  # bytes nobody asked for: the answer stands, the connection goes
            )
        if not pieces:
            return b""
        if self.complete:
            del pieces[self._pieces_of_body :]
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def eof(self) -> bool:
        """The connection closed. True when that is how this response ends."""
        if self.head_ready and not self.complete and self._ends_with_connection():
            self.complete = True
            self.keep_alive = False
        return self.complete

    def _ends_with_connection(self) -> bool:
        names = {name.lower() for name, _ in self.headers}
        return not names & _FRAMING and self.status not in (204, 304)

    # httptools callbacks

    def on_message_begin(self) -> None:
        if self.complete:
            self.keep_alive = False
        elif not self.head_ready:
            self.headers = []  # an interim answer's

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_ready:  # else a trailer
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.head_ready:
            return
        status = self._parser.get_status_code()
        self._interim = 100 <= status < 200
        if self._interim:
            return
        self.status = status
        self.head_ready = True

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            return
        if not self.complete:
            self.complete = True
            self._pieces_of_body = len(self._pieces)
            self.keep_alive = bool(self._parser.should_keep_alive())
