"""Header lists as both ends use them: which may be relayed, and how they are written. No parsing here.

A header list is a sequence of `(name, value)` pairs of bytes, names as they came (case kept).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Headers = list[tuple[bytes, bytes]]

# RFC 9110 section 7.6.1: these speak of one connection and never travel further.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


def connection_options(value: bytes) -> frozenset[bytes]:
    """The lower-cased options of a Connection header: names of further hop-by-hop headers."""
    return frozenset(option.strip().lower() for option in value.split(b",") if option.strip())


def encode_headers(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The header lines with their line ends, without the closing empty line."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


_CONTROL: Final = bytes(range(0x20)) + b"\x7f"


def safe_value(text: str) -> bytes:
    """A header value made of `text`: control characters dropped, the rest kept as UTF-8, bounded."""
    return text.encode("utf-8", "replace").translate(None, _CONTROL)[:2048]


REASONS: Final = {
    100: b"Continue",
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    204: b"No Content",
    301: b"Moved Permanently",
    302: b"Found",
    304: b"Not Modified",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    422: b"Unprocessable Content",
    424: b"Failed Dependency",
    426: b"Upgrade Required",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    529: b"Overloaded",
}


_STATUS_LINES: Final = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, reason) for status, reason in REASONS.items()
}


def status_line(status: int) -> bytes:
    """The first line of a response, with its line end."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d Status\r\n" % status
