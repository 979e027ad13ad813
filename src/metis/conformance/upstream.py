"""The scripted upstream: a real HTTP server that records what it is sent and plays the script of the scenario.

A scenario puts a word of its own into its prompt. The upstream looks for that word in the body, so scenarios can run
side by side and whatever else a gateway asks (models, health) disturbs none of them.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from metis.conformance.dialects import dialect_of
from metis.conformance.dialects.dialect import Dialect
from metis.conformance.http11 import MOST_HEAD_BYTES, Head, read_body, read_head, write_head
from metis.conformance.json_values import decoded_object
from metis.conformance.neutral import Answer

_WORD: Final = re.compile(rb"conf-[0-9a-f]{12}")
_JSON: Final = ("content-type", "application/json")
Headers = Sequence[tuple[str, str]]


def new_word() -> str:
    """A word by which a scenario's requests are known."""
    return f"conf-{secrets.token_hex(6)}"


@dataclass
class Seen:
    """One request as it arrived. `gone_s` is when the caller hung up, by the monotonic clock; None: not yet."""

    head: Head
    body: bytes
    connection: Connection
    arrived_s: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> str:
        return self.head.start.split(" ")[1]

    @property
    def dialect(self) -> Dialect | None:
        return dialect_of(self.path)

    @property
    def json(self) -> dict[str, Any]:
        """The body decoded; {} when it is no JSON object."""
        return decoded_object(self.body)

    @property
    def gone_s(self) -> float | None:
        return self.connection.gone_s


class Connection(asyncio.StreamReaderProtocol):
    """One connection; notes when the caller hangs up, also while an answer is being written."""

    def __init__(self, serve: Callable[[Connection], Awaitable[None]]) -> None:
        self.reader = asyncio.StreamReader(limit=MOST_HEAD_BYTES)
        self.gone = asyncio.Event()
        self.gone_s: float | None = None
        self._serve = serve
        super().__init__(self.reader, self._opened)

    async def _opened(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        await self._serve(self)

    def eof_received(self) -> bool:
        self._hung_up()
        super().eof_received()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._hung_up()
        super().connection_lost(exc)

    def _hung_up(self) -> None:
        if not self.gone.is_set():
            self.gone_s = time.monotonic()
            self.gone.set()


@dataclass(frozen=True)
class Wire:
    """What a script answers one request with."""

    seen: Seen

    async def _raw(self, data: bytes) -> None:
        writer = self.seen.connection.writer
        writer.write(data)
        await writer.drain()

    async def answer(self, status: int, body: bytes, headers: Headers = (_JSON,)) -> None:
        """A whole answer."""
        lines = [*headers, ("content-length", str(len(body)))]
        await self._raw(write_head(f"HTTP/1.1 {status} Status", lines) + body)

    async def begin_stream(self, headers: Headers = ()) -> None:
        """The head of a stream of events."""
        lines = [("content-type", "text/event-stream; charset=utf-8"), *headers]
        await self._raw(write_head("HTTP/1.1 200 OK", [*lines, ("transfer-encoding", "chunked")]))

    async def piece(self, data: bytes) -> None:
        """One piece of a stream, in a chunk of its own."""
        await self._raw(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        await self._raw(b"0\r\n\r\n")

    def cut(self) -> None:
        """Break the connection off."""
        self.seen.connection.writer.transport.abort()

    async def until_gone(self, most_s: float) -> bool:
        """Say nothing until the caller hangs up; False when it has not within `most_s`."""
        try:
            await asyncio.wait_for(self.seen.connection.gone.wait(), most_s)
        except TimeoutError:
            return False
        return True


Script = Callable[[Seen, Wire], Awaitable[None]]


def say(answer: Answer, *, headers: Headers = ()) -> Script:
    """Answer in the API that was asked, streamed where that was asked for."""

    async def script(seen: Seen, wire: Wire) -> None:
        dialect = seen.dialect
        if dialect is None:
            await wire.answer(404, b'{"error":{"message":"no such path"}}')
        elif seen.json.get("stream"):
            await wire.begin_stream(headers)
            for event in dialect.events(answer, seen.json):
                await wire.piece(event)
            await wire.end()
        else:
            body = json.dumps(dialect.whole(answer, seen.json), ensure_ascii=False).encode()
            await wire.answer(200, body, (_JSON, *headers))

    return script


def one_after_another(*scripts: Script) -> Script:
    """The first script for the first request and so on; the last one repeats."""
    left = list(scripts)

    async def script(seen: Seen, wire: Wire) -> None:
        current = left.pop(0) if len(left) > 1 else left[0]
        await current(seen, wire)

    return script


class Upstream:
    """Serves the scripts of running scenarios on one port. `models` are listed where a gateway asks for them."""

    def __init__(self, models: Sequence[str]) -> None:
        self.scripts: dict[str, Script] = {}
        self.seen: dict[str, list[Seen]] = {}
        self.port = 0
        self._models = tuple(models)
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._serve), host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, connection: Connection) -> None:
        try:
            while not connection.gone.is_set():
                head = await read_head(connection.reader)
                if head is None:
                    break
                parts = [p async for p in read_body(connection.reader, head, to_the_end=False)]
                seen = Seen(head, b"".join(parts), connection)
                await self._play(seen)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass  # the gateway broke off, or speaks no HTTP: scenarios judge what they have seen
        finally:
            connection.writer.close()

    async def _play(self, seen: Seen) -> None:
        wire = Wire(seen)
        found = _WORD.search(seen.body)
        word = found.group().decode() if found else ""
        script = self.scripts.get(word)
        if script is not None:
            self.seen.setdefault(word, []).append(seen)
            await script(seen, wire)
        elif seen.head.start.startswith("POST "):
            await say(Answer(text="Nobody asked."))(seen, wire)
        else:
            listed = [{"id": one, "object": "model", "type": "model"} for one in self._models]
            body = {"object": "list", "data": listed, "has_more": False}
            await wire.answer(200, json.dumps(body).encode())
