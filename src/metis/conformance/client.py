"""The client: raw HTTP/1.1, so that bytes, the time of every piece and an early end are visible."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from metis.conformance.http11 import MOST_HEAD_BYTES, Head, read_body, read_head, write_head
from metis.conformance.json_values import decoded_object
from metis.conformance.sse import Event, read_events

_CONNECT_S: Final = 10.0


class NoAnswer(Exception):
    """The target could not be reached, or did not answer in time."""


@dataclass(frozen=True)
class Outgoing:
    """One request; `path` stands behind the target's own path."""

    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""


@dataclass
class Reply:
    """What came back. `arrivals`: each piece of the body with its time, by the monotonic clock. `cut`: it broke off."""

    head: Head
    sent_s: float
    arrivals: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])
    cut: bool = False

    @property
    def status(self) -> int:
        return self.head.status

    @property
    def body(self) -> bytes:
        return b"".join(piece for _, piece in self.arrivals)

    @property
    def json(self) -> dict[str, Any]:
        """The body decoded; {} when it is no JSON object."""
        return decoded_object(self.body)

    @property
    def events(self) -> list[Event]:
        return read_events(self.body)


class Opened:
    """An exchange under way: the reply so far, and its next pieces."""

    def __init__(self, reply: Reply, pieces: AsyncIterator[bytes]) -> None:
        self.reply = reply
        self._pieces = pieces

    async def next_piece(self) -> bool:
        """Wait for one piece and add it to the reply; False at the end, whole or cut."""
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            return False
        except (asyncio.IncompleteReadError, ConnectionError):
            self.reply.cut = True
            return False
        self.reply.arrivals.append((time.monotonic(), piece))
        return True


@asynccontextmanager
async def opened(url: str, outgoing: Outgoing) -> AsyncGenerator[Opened]:
    """Send a request and wait for the answer's head; leaving hangs up. Raises NoAnswer."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    context = ssl.create_default_context() if secure else None
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(parts.hostname, port, ssl=context, limit=MOST_HEAD_BYTES),
            _CONNECT_S,
        )
    except (OSError, TimeoutError) as exc:
        raise NoAnswer(f"no connection to {parts.hostname}:{port}: {exc}") from exc
    try:
        lines = [("host", parts.netloc), *outgoing.headers]
        if outgoing.body or outgoing.method == "POST":
            lines.append(("content-length", str(len(outgoing.body))))
        start = f"{outgoing.method} {parts.path.rstrip('/')}{outgoing.path} HTTP/1.1"
        sent_s = time.monotonic()
        writer.write(write_head(start, lines) + outgoing.body)
        await writer.drain()
        head = await read_head(reader)
        if head is None:
            raise NoAnswer("the connection was closed without an answer")
        bare = outgoing.method == "HEAD" or head.status in (204, 304)
        pieces = _nothing() if bare else read_body(reader, head, to_the_end=True)
        yield Opened(Reply(head, sent_s), pieces)
    except (ConnectionError, ValueError) as exc:
        raise NoAnswer(f"the connection broke: {exc}") from exc
    finally:
        writer.close()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def send(url: str, outgoing: Outgoing, *, most_s: float) -> Reply:
    """One whole exchange. Raises NoAnswer when it takes longer than `most_s` seconds."""
    try:
        async with asyncio.timeout(most_s), opened(url, outgoing) as exchange:
            while await exchange.next_piece():
                pass
            return exchange.reply
    except TimeoutError as exc:
        raise NoAnswer(f"no whole answer within {most_s:g} s") from exc
