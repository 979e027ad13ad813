"""The reading half of an HTTP/1.1 server, without a socket: bytes in, whole requests out.

Strict on purpose: what two parsers could read in two ways (ambiguous lengths, bare CR or LF, odd
Transfer-Encoding, a missing or doubled Host) is refused, and the connection must be closed after it.
llhttp, through httptools, does most of this; the rest is checked here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import httptools

from metis.errors import BadRequest, HeadersTooLarge, RequestError, TooLarge
from metis.http.known_heads import KnownHeads, RequestHead

MAX_QUEUED_REQUESTS: Final = 32  # pipelined behind the one being served


class HttpRequest(NamedTuple):
    """One request as it came. `keep_alive`: the connection is of use after it."""

    head: RequestHead
    body: bytes
    keep_alive: bool


class RequestReader:
    """Feed bytes, take whole requests from `ready`.

    `on_head` is called when a request's headers are complete and before its body is read: it may
    raise a RequestError to refuse the request early (size, credentials). After any RequestError raised by
    `feed` the connection cannot be read further: answer, then close.

    `known` holds heads that came before, byte for byte: they are not parsed again. Share one among connections.
    """

    __slots__ = (
        "_body",
        "_body_size",
        "_closed",
        "_head",
        "_headers_size",
        "_in_head",
        "_known",
        "_known_left",
        "_length",
        "_on_head",
        "_parser",
        "_upgrade_ignored",
        "_url",
        "head_size",
        "max_body_bytes",
        "max_header_bytes",
        "max_headers",
        "mid_request",
        "ready",
    )

    def __init__(
        self,
        *,
        max_header_bytes: int,
        max_body_bytes: int,
        max_headers: int = 256,
        on_head: Callable[[RequestHead], None],
        known: KnownHeads | None = None,
    ) -> None:
        self.max_header_bytes = max_header_bytes
        self.max_body_bytes = max_body_bytes
        self.max_headers = max_headers
        self._on_head = on_head
        self._known = known or KnownHeads()
        self._known_left = 0  # bytes still to come of a body whose head was known
        self._parser: Any = httptools.HttpRequestParser(self)
        self._head = RequestHead()
        self._url = b""
        self._length = b""
        self._body: list[bytes] = []
        self._body_size = 0
        self._headers_size = (
            0  # of names and values; `head_size` is of the bytes that came of an unfinished head
        )
        self._in_head = False
        self._upgrade_ignored = False
        self._closed = False  # a request said that it is the connection's last
        self.head_size = 0
        self.mid_request = False
        self.ready: deque[HttpRequest] = deque()

    @property
    def current(self) -> RequestHead:
        """The head being read, or the last one: as much of it as has come."""
        return self._head

    @property
    def reading_head(self) -> bool:
        """Whether bytes of a request head have come and its end has not."""
        return self._in_head

    def feed(self, data: bytes) -> None:
        """Raises RequestError (BadRequest, TooLarge, HeadersTooLarge or what `on_head` raised)."""
        if self._known_left:
            data = self._feed_known(data)
            if not data:
                return
        if self.mid_request or self.ready or self._closed:
            self._parse(data)
            return
        found = self._known.find(data, self._head)
        if found is None or found[2] > self.max_body_bytes:
            self._parse(data)
            if found is None and not self._in_head and self._read_one():
                self._known.learn(data, self._head)
            return
        head, body_at, length = found
        self._head = head
        rest = data[body_at:]
        if len(rest) == length:
            self.ready.append(HttpRequest(head, rest, True))
            return
        self._body = []
        self.mid_request = True
        self._known_left = length
        rest = self._feed_known(rest)
        if rest:
            self.feed(rest)

    def _feed_known(self, data: bytes) -> bytes:
        """Take what belongs to the body of a known head; gives what comes behind it."""
        left = self._known_left
        self._body.append(data[:left])
        self._known_left = max(0, left - len(data))
        if not self._known_left:
            self.mid_request = False
            self.ready.append(HttpRequest(self._head, b"".join(self._body), True))
            self._body = []
        return data[left:]

    def _read_one(self) -> bool:
        """Whether the head that was read last is the first since `ready` was empty."""
        ready = self.ready
        return not ready or (len(ready) == 1 and ready[0].head is self._head)

    def _parse(self, data: bytes) -> None:
        was_in_head, behind_head = self._in_head, 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as pause:
            # Without a body the request is whole and in `ready`; nobody here speaks another protocol afterwards.
            behind_head = int(pause.args[0])
        except httptools.HttpParserCallbackError as exc:
            cause = exc.__context__
            if isinstance(cause, RequestError):
                raise cause from None
            raise BadRequest("the request could not be read") from exc
        except httptools.HttpParserError as exc:
            if self.ready and not self.mid_request:
                # Bytes after `Connection: close`: the request before them is served, then we close.
                self.ready[-1] = self.ready[-1]._replace(keep_alive=False)
                return
            raise BadRequest(f"malformed HTTP: {exc}") from exc
        if self._upgrade_ignored:
            self._upgrade_ignored = False
            self._read_body_after_upgrade(data[behind_head:])
            return
        if was_in_head and self._in_head:
            # Only what is head to its end: behind the head's last piece a body may have come along.
            self.head_size += len(data)
            if self.head_size > self.max_header_bytes:
                raise HeadersTooLarge(_too_long(self.max_header_bytes))

    def _read_body_after_upgrade(self, rest: bytes) -> None:
        """Read the body of a request that also asks for another protocol.

        llhttp stops behind such a head, but who does not switch must take the request as it is (RFC 9110, 7.8). Its
        lengths were checked with the head; a new parser reads by them, and takes nothing behind the body.
        """
        chunked = b"transfer-encoding" in self._head.named
        framing = b"transfer-encoding: chunked" if chunked else b"content-length: " + self._length
        self._parser = httptools.HttpRequestParser(_Body(self))
        self._parser.feed_data(b"POST / HTTP/1.1\r\nconnection: close\r\n%b\r\n\r\n" % framing)
        self._parse(rest)

    # httptools callbacks

    def on_message_begin(self) -> None:
        if len(self.ready) >= MAX_QUEUED_REQUESTS:
            raise BadRequest(f"more than {MAX_QUEUED_REQUESTS} pipelined requests")
        self._head = RequestHead()
        self._url = b""
        self._length = b""
        self._headers_size = 0
        self._body = []
        self._body_size = 0
        self._in_head = True
        self.mid_request = True
        self.head_size = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        if len(self._url) > self.max_header_bytes:
            raise HeadersTooLarge(_too_long(self.max_header_bytes))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: nobody here reads them, and merging them is how requests are smuggled
        head, lowered = self._head, name.lower()
        self._headers_size += len(name) + len(value) + 4
        if lowered == b"content-length":
            self._length = value
            return
        head.headers.append((name, value))
        if lowered in head.named:
            _refuse_doubled(lowered, head.named[lowered], value)
        head.named[lowered] = value

    def on_headers_complete(self) -> None:
        self._in_head = False
        head = self._head
        named, parser = head.named, self._parser
        head.method = parser.get_method()
        version = parser.get_http_version()
        head.version_11 = version == "1.1"
        if not head.version_11 and version != "1.0":
            raise BadRequest(f"HTTP version {version} is not spoken here; use HTTP/1.1")
        path, _, head.query = self._url.partition(b"?")
        head.path = path
        if head.method == b"CONNECT" or not path.startswith((b"/", b"http://", b"https://")):
            raise BadRequest("the request target must be a path")
        if head.version_11 and b"host" not in named:
            raise BadRequest("an HTTP/1.1 request needs a Host header")
        if len(self._url) + self._headers_size > self.max_header_bytes:
            raise HeadersTooLarge(_too_long(self.max_header_bytes))
        if len(head.headers) > self.max_headers:
            raise HeadersTooLarge(f"more than {self.max_headers} headers")
        _check_framing(head)
        if self._length and int(self._length) > self.max_body_bytes:
            raise TooLarge(_too_large(self.max_body_bytes))
        head.expect_continue = named.get(b"expect", b"").lower() == b"100-continue"
        head.upgrade = b"upgrade" in named
        head.keep_alive = bool(parser.should_keep_alive()) and not head.upgrade
        self._on_head(head)

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        if self._body_size > self.max_body_bytes:
            raise TooLarge(_too_large(self.max_body_bytes))
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade() and self._has_body():
            self._upgrade_ignored = True  # llhttp says so before it has read a body
            return
        pieces = self._body
        self._body = []
        self.mid_request = False
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        keep_alive = self._head.keep_alive
        self._closed = not keep_alive
        self.ready.append(HttpRequest(self._head, body, keep_alive))

    def _has_body(self) -> bool:
        return b"transfer-encoding" in self._head.named or (
            self._length != b"" and int(self._length) > 0
        )


class _Body:
    """What a parser tells of a body alone, to the reader that has the head."""

    __slots__ = ("_reader",)

    def __init__(self, reader: RequestReader) -> None:
        self._reader = reader

    def on_body(self, body: bytes) -> None:
        self._reader.on_body(body)

    def on_message_complete(self) -> None:
        self._reader.on_message_complete()


def _check_framing(head: RequestHead) -> None:
    encoding = head.named.get(b"transfer-encoding")
    if encoding is None:
        return
    if not head.version_11:
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding")
    if encoding.lower() != b"chunked":
        raise BadRequest("the only Transfer-Encoding spoken here is chunked")


# Headers of which two copies are an attack or a mistake, never a list.
_ONCE: Final = frozenset({b"host", b"content-type", b"content-encoding", b"expect"})
# Credentials may be repeated, but not with two values: which one would count?
_SAME: Final = frozenset({b"authorization", b"x-api-key", b"x-metis-key", b"x-metis-model"})


def _refuse_doubled(name: bytes, first: bytes, second: bytes) -> None:
    if name in _ONCE or (name in _SAME and first != second):
        raise BadRequest(f"the header {name.decode('latin-1')!r} is there twice")


def _too_long(limit: int) -> str:
    return f"the request's headers are over {limit} bytes; the limit is gateway.max_header_bytes"


def _too_large(limit: int) -> str:
    return f"the request body is over {limit} bytes; the limit is gateway.max_body_bytes"
