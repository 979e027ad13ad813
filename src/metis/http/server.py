"""The reading half of an HTTP/1.1 server, without a socket: bytes in, whole requests out.

Strict on purpose: what two parsers could read in two ways (ambiguous lengths, bare CR or LF, odd
Transfer-Encoding, a missing or doubled Host) is refused, and the connection must be closed after it.
llhttp, through httptools, does most of this; the rest is checked here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import httptools

from metis.errors import BadRequest, HeadersTooLarge, RequestError, TooLarge
from metis.http.headers import Headers

MAX_QUEUED_REQUESTS: Final = 32  # pipelined behind the one being served


class HttpRequest:
    """One request as it came. `headers` keep their case; `named` has lower-cased names, last one wins."""

    __slots__ = (
        "body",
        "expect_continue",
        "headers",
        "keep_alive",
        "method",
        "named",
        "path",
        "query",
        "upgrade",
        "version_11",
    )

    def __init__(self) -> None:
        self.method = b""
        self.path = b""
        self.query = b""
        self.headers: Headers = []
        self.named: dict[bytes, bytes] = {}
        self.body = b""
        self.keep_alive = True
        self.version_11 = True
        self.expect_continue = False
        self.upgrade = False


class RequestReader:
    """Feed bytes, take whole requests from `ready`.

    `on_head` is called when a request's headers are complete and before its body is read: it may
    raise a RequestError to refuse the request early (size, credentials). After any RequestError raised by
    `feed` the connection cannot be read further: answer, then close.
    """

    __slots__ = (
        "_body",
        "_body_size",
        "_current",
        "_in_head",
        "_on_head",
        "_parser",
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
        on_head: Callable[[HttpRequest], None],
    ) -> None:
        self.max_header_bytes = max_header_bytes
        self.max_body_bytes = max_body_bytes
        self.max_headers = max_headers
        self._on_head = on_head
        self._parser: Any = httptools.HttpRequestParser(self)
        self._current = HttpRequest()
        self._url = b""
        self._body: list[bytes] = []
        self._body_size = 0
        self._in_head = False
        self.head_size = 0
        self.mid_request = False
        self.ready: deque[HttpRequest] = deque()

    @property
    def current(self) -> HttpRequest:
        """The request being read, or the last one: as much of it as has come."""
        return self._current

    @property
    def reading_head(self) -> bool:
        """Whether bytes of a request head have come and its end has not."""
        return self._in_head

    def feed(self, data: bytes) -> None:
        """Raises RequestError (BadRequest, TooLarge, HeadersTooLarge or what `on_head` raised)."""
        was_in_head = self._in_head
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request is whole and in `ready`; nobody here speaks another protocol afterwards.
            pass
        except httptools.HttpParserCallbackError as exc:
            cause = exc.__context__
            if isinstance(cause, RequestError):
                raise cause from None
            raise BadRequest("the request could not be read") from exc
        except httptools.HttpParserError as exc:
            if self.ready and not self.mid_request:
                # Bytes after `Connection: close`: the request before them is served, then we close.
                self.ready[-1].keep_alive = False
                return
            raise BadRequest(f"malformed HTTP: {exc}") from exc
        if was_in_head and self._in_head:
            # Only what is head to its end: behind the head's last piece a body may have come along.
            self.head_size += len(data)
            if self.head_size > self.max_header_bytes:
                raise HeadersTooLarge(_too_long(self.max_header_bytes))

    # httptools callbacks

    def on_message_begin(self) -> None:
        if len(self.ready) >= MAX_QUEUED_REQUESTS:
            raise BadRequest(f"more than {MAX_QUEUED_REQUESTS} pipelined requests")
        self._current = HttpRequest()
        self._url = b""
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
        request = self._current
        request.headers.append((name, value))
        lowered = name.lower()
        if lowered in request.named:
            _refuse_doubled(lowered, request.named[lowered], value)
        request.named[lowered] = value

    def on_headers_complete(self) -> None:
        self._in_head = False
        request, named = self._current, self._current.named
        parser = self._parser
        request.method = parser.get_method()
        version = parser.get_http_version()
        request.version_11 = version == "1.1"
        if not request.version_11 and version != "1.0":
            raise BadRequest(f"HTTP version {version} is not spoken here; use HTTP/1.1")
        path, _, request.query = self._url.partition(b"?")
        request.path = path
        if request.method == b"CONNECT" or not path.startswith((b"/", b"http://", b"https://")):
            raise BadRequest("the request target must be a path")
        if request.version_11 and b"host" not in named:
            raise BadRequest("an HTTP/1.1 request needs a Host header")
        size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in request.headers)
        if size > self.max_header_bytes:
            raise HeadersTooLarge(_too_long(self.max_header_bytes))
        if len(request.headers) > self.max_headers:
            raise HeadersTooLarge(f"more than {self.max_headers} headers")
        _check_framing(request)
        length = named.get(b"content-length")
        if length is not None and int(length) > self.max_body_bytes:
            raise TooLarge(_too_large(self.max_body_bytes))
        request.expect_continue = named.get(b"expect", b"").lower() == b"100-continue"
        request.upgrade = b"upgrade" in named
        self._on_head(request)

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        if self._body_size > self.max_body_bytes:
            raise TooLarge(_too_large(self.max_body_bytes))
        self._body.append(body)

    def on_message_complete(self) -> None:
        request, pieces = self._current, self._body
        request.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        request.keep_alive = bool(self._parser.should_keep_alive()) and not request.upgrade
        self._body = []
        self.mid_request = False
        self.ready.append(request)


def _check_framing(request: HttpRequest) -> None:
    encoding = request.named.get(b"transfer-encoding")
    if encoding is None:
        return
    if not request.version_11:
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
