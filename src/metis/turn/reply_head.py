"""The head of an upstream's answer, read in one pass: what of it the client is told, and what the turn asks of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from metis.http.headers import HOP_BY_HOP, Headers

# Said about the upstream's connection or site, not about this answer.
_NOT_RELAYED: Final = HOP_BY_HOP | frozenset(
    {
        b"content-length",
        b"set-cookie",
        b"alt-svc",
        b"strict-transport-security",
        b"server",
        b"date",
        b"report-to",
        b"nel",
    }
)
# What survives a crossing: ids, limits and hints that SDKs read in any shape.
_KEPT_ACROSS: Final = (
    b"request-id",
    b"x-request-id",
    b"x-amzn-requestid",
    b"retry-after",
    b"anthropic-ratelimit-",
    b"x-ratelimit-",
)
_REQUEST_IDS: Final = (b"request-id", b"x-request-id", b"apim-request-id", b"x-amzn-requestid")
_RELAYED, _ACROSS, _TYPE, _ID, _RETRY = 1, 2, 4, 8, 16


class ReplyHead(NamedTuple):
    """`lines` are the header lines for the client; `content_type` is lower-cased, `request_id` the upstream's own.

    `has_retry_after` says that they tell when to come back.
    """

    lines: bytes = b""
    content_type: bytes = b""
    request_id: str = ""
    has_retry_after: bool = False


def read_reply_head(headers: Headers, *, crossed: bool) -> ReplyHead:
    """`crossed`: the client's shape is another one, so only what means the same in any shape is told."""
    lines: list[bytes] = []
    kept = _ACROSS if crossed else _RELAYED
    content_type, request_id, retry_after = b"", "", False
    for name, value in headers:
        uses = _uses(name)
        if uses & kept:
            lines.append(b"%b: %b\r\n" % (name, value))
        if uses > _ACROSS + _RELAYED:
            if uses & _TYPE and not content_type:
                content_type = value.strip().lower()
            elif uses & _ID and not request_id:
                request_id = value.decode("latin-1")[:200]
            elif uses & _RETRY:
                retry_after = True
    return ReplyHead(b"".join(lines), content_type, request_id, retry_after)


@lru_cache(maxsize=1024)  # upstreams send the same few names with every answer
def _uses(name: bytes) -> int:
    lowered = name.lower()
    uses = 0 if lowered in _NOT_RELAYED else _RELAYED
    if lowered.startswith(_KEPT_ACROSS):
        uses |= _ACROSS
    if lowered == b"content-type":
        uses |= _TYPE
    if lowered in _REQUEST_IDS:
        uses |= _ID
    if lowered == b"retry-after":
        uses |= _RETRY
    return uses
