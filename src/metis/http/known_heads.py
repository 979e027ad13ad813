"""A request's head as a value, and the heads that came before. Reading one is `server`'s.

A client sends the same head again and again over its connections: all that differs from turn to turn is the
length of the body. Such a head is looked up by its bytes instead of being parsed; whoever works something out
from a head alone may keep it by the head's identity.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from metis.http.headers import Headers

_MOST_HEADS: Final = 512
_MOST_BYTES: Final = 4096
_END: Final = b"\r\n\r\n"
# Fifteen digits at most: more is the parser's to refuse. The pattern can only match a header line's
# beginning, since a value that was accepted once holds no line end.
_LENGTH: Final = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: (\d{1,15})\r\n")


class RequestHead:
    """All of a request but its body. `headers` keep their case; `named` has lower-cased names, last one wins.

    `Content-Length` is in neither: it belongs to the body. Hashed by identity, and never changed after it was
    read: the same head may stand for many requests. `known` when it does: then what is worked out from it
    alone is worth keeping.
    """

    __slots__ = (
        "expect_continue",
        "headers",
        "keep_alive",
        "known",
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
        self.keep_alive = True
        self.version_11 = True
        self.expect_continue = False
        self.upgrade = False
        self.known = False


class Found(NamedTuple):
    """A known head at the beginning of some bytes, where its body begins and how long that is."""

    head: RequestHead
    body_at: int
    length: int


class KnownHeads:
    """Heads by their bytes, the digits of Content-Length left out. The oldest is forgotten first.

    The bytes decide alone, so a head that is found here was read, checked and accepted before as it is.
    """

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[bytes, RequestHead] = {}

    def find(self, data: bytes) -> Found | None:
        """The head that `data`, the first bytes of a request, begins with, if it is known."""
        end = data.find(_END, 0, _MOST_BYTES)
        length = _LENGTH.search(data, 0, end + 2) if end > 0 else None
        if length is None:
            return None
        start, stop = length.span(1)
        head = self._heads.get(data[:start] + data[stop:end])
        return None if head is None else Found(head, end + len(_END), int(length[1]))

    def learn(self, data: bytes, head: RequestHead) -> None:
        """Keep a head that was read whole from the beginning of `data`, unless it asks for more than an answer."""
        if not head.keep_alive or head.expect_continue or b"transfer-encoding" in head.named:
            return
        end = data.find(_END, 0, _MOST_BYTES)
        length = _LENGTH.search(data, 0, end + 2) if end > 0 else None
        if length is None:
            return
        if len(self._heads) >= _MOST_HEADS:
            del self._heads[next(iter(self._heads))]
        head.known = True
        start, stop = length.span(1)
        self._heads[data[:start] + data[stop:end]] = head
