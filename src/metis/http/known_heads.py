"""A request's head as a value, and the heads that came before. Reading one is `server`'s.

A client sends the same head again and again over its connections: all that differs from turn to turn is the
length of the body. Such a head is looked up by its bytes instead of being parsed; whoever works something out
from a head alone may keep it by the head's identity.
"""

from __future__ import annotations

from typing import Final

from metis.http.headers import Headers

_MOST_HEADS: Final = 512
_MOST_BYTES: Final = 4096
_END: Final = b"\r\n\r\n"
_LENGTHS: Final = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_MOST_DIGITS: Final = 15  # more is the parser's to refuse


class RequestHead:
    """All of a request but its body. `headers` keep their case; `named` has lower-cased names, last one wins.

    `Content-Length` is in neither: it belongs to the body. Hashed by identity, and never changed after it was
    read: the same head may stand for many requests. `known` when it does: then what is worked out from it
    alone is worth keeping, such as what the door keeps in `standing` and the turn in `courses`. `before` and
    `after` are then its bytes on both sides of Content-Length's digits.
    """

    __slots__ = (
        "after",
        "before",
        "courses",
        "expect_continue",
        "headers",
        "keep_alive",
        "known",
        "method",
        "named",
        "path",
        "query",
        "standing",
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
        self.before = b""
        self.after = b""
        self.standing: object = None
        self.courses: dict[object, object] = {}


Found = tuple[RequestHead, int, int]
"""A known head at the beginning of some bytes, where its body begins and how long that is."""


class KnownHeads:
    """Heads by their bytes, the digits of Content-Length left out. The oldest is forgotten first.

    The bytes decide alone, so a head that is found here was read, checked and accepted before as it is.
    """

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[bytes, RequestHead] = {}

    def find(self, data: bytes, last: RequestHead) -> Found | None:
        """The head that `data`, the first bytes of a request, begins with, if it is known.

        `last` is the connection's last one, with which nearly every request begins again.
        """
        before = last.before
        if before and data.startswith(before):
            start, after = len(before), last.after
            stop = data.find(b"\r", start)
            if data.startswith(after, stop):
                length = data[start:stop]
                if length.isdigit() and len(length) <= _MOST_DIGITS:
                    return last, stop + len(after), int(length)
        end = data.find(_END, 0, _MOST_BYTES)
        digits = _digits(data, end)
        if digits is None:
            return None
        start, stop = digits
        head = self._heads.get(data[:start] + data[stop:end])
        return None if head is None else (head, end + 4, int(data[start:stop]))

    def learn(self, data: bytes, head: RequestHead) -> None:
        """Keep a head that was read whole from the beginning of `data`, unless it asks for more than an answer."""
        if not head.keep_alive or head.expect_continue or b"transfer-encoding" in head.named:
            return
        end = data.find(_END, 0, _MOST_BYTES)
        digits = _digits(data, end)
        if digits is None:
            return
        if len(self._heads) >= _MOST_HEADS:
            del self._heads[next(iter(self._heads))]
        head.known = True
        start, stop = digits
        head.before, head.after = data[:start], data[stop : end + 4]
        self._heads[data[:start] + data[stop:end]] = head


def _digits(data: bytes, end: int) -> tuple[int, int] | None:
    """Where the digits of Content-Length stand in a head that ends at `end`.

    What is found is a header line's beginning: a value that was accepted once holds no line end.
    """
    if end < 0:
        return None
    for name in _LENGTHS:
        found = data.find(name, 0, end)
        if found >= 0:
            start = found + len(name)
            stop = data.find(b"\r\n", start, end + 2)
            if stop - start <= _MOST_DIGITS and data[start:stop].isdigit():
                return start, stop
    return None
