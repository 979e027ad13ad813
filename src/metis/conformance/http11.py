"""HTTP/1.1 as both ends of the suite read it: heads, and bodies piece by piece as they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

MOST_HEAD_BYTES: Final = 256 * 1024
_PIECE_BYTES: Final = 256 * 1024


@dataclass(frozen=True)
class Head:
    """A start line and its header lines, names in lower case, in the order they came."""

    start: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str | None:
        """The first header of this lower-case name."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def status(self) -> int:
        """An answer's status. Raises ValueError when the start line has none."""
        return int(self.start.split(" ", 2)[1])


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head; None when the connection ends before one is whole."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    start, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    pairs = (line.partition(":") for line in lines)
    return Head(start, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs))


async def read_body(
    reader: asyncio.StreamReader, head: Head, *, to_the_end: bool
) -> AsyncIterator[bytes]:
    """The pieces of a body as they arrive. `to_the_end`: without a length it lasts as long as the connection.

    Raises asyncio.IncompleteReadError when the connection ends before the body does.
    """
    if "chunked" in (head.header("transfer-encoding") or "").lower():
        async for piece in _chunks(reader):
            yield piece
        return
    length = head.header("content-length")
    if length is None and not to_the_end:
        return
    left = int(length) if length is not None else -1
    while left:
        piece = await reader.read(min(left, _PIECE_BYTES) if left > 0 else _PIECE_BYTES)
        if not piece:
            if left > 0:
                raise asyncio.IncompleteReadError(b"", left)
            return
        left -= len(piece) if left > 0 else 0
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return
        left = size
        while left:
            piece = await reader.read(min(left, _PIECE_BYTES))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            yield piece
        await reader.readexactly(2)


def write_head(start: str, headers: list[tuple[str, str]]) -> bytes:
    """A head as bytes, the empty line included."""
    lines = [start, *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
