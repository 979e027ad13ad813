"""A relay between the suite's two ends that does one thing wrong, so that a scenario can be seen to fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from metis.conformance.http11 import Head, read_body, read_head, write_head
from metis.conformance.upstream import Connection, Seen, Wire

Change = Callable[[dict[str, Any]], dict[str, Any]]
_KEPT = ("anthropic-beta", "anthropic-version", "content-type")


def as_it_is(body: dict[str, Any]) -> dict[str, Any]:
    return body


@dataclass(frozen=True)
class Fault:
    """What the relay does wrong. `answer` changes a whole body, `stream` a stream's text, which is held back for it.

    `retry` changes a request that the upstream refused, before it is sent again. `attempts`: how often it asks while
    the upstream fails. `deaf`: it does not notice that its client left.
    """

    request: Change = as_it_is
    retry: Change | None = None
    answer: Callable[[int, bytes], tuple[int, bytes]] | None = None
    stream: Callable[[str], str] | None = None
    dropped: tuple[str, ...] = ()
    attempts: int = 1
    deaf: bool = False


@dataclass(frozen=True)
class Call:
    """A request to the upstream whose answer has begun."""

    head: Head
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Relay:
    """Serves on a port of its own until closed; asks `upstream_port` for everything."""

    def __init__(self, upstream_port: int, fault: Fault) -> None:
        self._upstream_port, self._fault = upstream_port, fault
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Relay:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._serve), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_reason: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, connection: Connection) -> None:
        head = await read_head(connection.reader)
        if head is None:
            return
        parts = [piece async for piece in read_body(connection.reader, head, to_the_end=False)]
        seen = Seen(head, b"".join(parts), connection)
        relaying = asyncio.create_task(self._relay(seen, Wire(seen)))
        leaving = asyncio.create_task(connection.gone.wait())
        self._serving |= {relaying}
        await asyncio.wait({relaying, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not self._fault.deaf:
            relaying.cancel()
        leaving.cancel()
        await asyncio.gather(relaying, leaving, return_exceptions=True)
        connection.writer.close()

    async def _relay(self, seen: Seen, wire: Wire) -> None:
        body = seen.body and json.dumps(self._fault.request(seen.json), ensure_ascii=False).encode()
        call = await self._ask(seen, body)
        for _ in range(self._fault.attempts - 1):
            if call.head.status >= 400:
                call.writer.close()
                call = await self._ask(seen, body)
        if call.head.status >= 400 and self._fault.retry is not None:
            call.writer.close()
            call = await self._ask(seen, json.dumps(self._fault.retry(seen.json)).encode())
        try:
            if call.head.header("transfer-encoding"):
                await self._send_stream(call, wire)
            else:
                await self._send_whole(call, wire)
        finally:
            call.writer.close()

    async def _ask(self, seen: Seen, body: bytes) -> Call:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        lines = [line for line in seen.head.headers if line[0] in _KEPT]
        lines = [line for line in lines if line[0] not in self._fault.dropped]
        lines += [("host", "upstream"), ("content-length", str(len(body)))]
        writer.write(write_head(seen.head.start, lines) + body)
        try:
            head = await read_head(reader)
        except asyncio.CancelledError:
            writer.close()
            raise
        assert head is not None
        return Call(head, reader, writer)

    async def _send_whole(self, call: Call, wire: Wire) -> None:
        pieces = [one async for one in read_body(call.reader, call.head, to_the_end=True)]
        status, body = call.head.status, b"".join(pieces)
        if self._fault.answer is not None:
            status, body = self._fault.answer(status, body)
        gone = (*self._fault.dropped, "content-length")
        await wire.answer(status, body, [line for line in call.head.headers if line[0] not in gone])

    async def _send_stream(self, call: Call, wire: Wire) -> None:
        change = self._fault.stream
        held: list[bytes] = []
        broken = False
        if change is None:
            await wire.begin_stream()
        try:
            async for piece in read_body(call.reader, call.head, to_the_end=True):
                if change is None:
                    await wire.piece(piece)
                else:
                    held.append(piece)
        except (asyncio.IncompleteReadError, ConnectionError):
            broken = True
        if change is not None:
            await wire.begin_stream()
            await wire.piece(change(b"".join(held).decode()).encode())
        elif broken:
            wire.cut()
            return
        await wire.end()
