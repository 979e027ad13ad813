"""An upstream that misbehaves when it is asked to, and remembers every request: the soak's other end.

A request says in its text what is to happen (`fault:NAME;`), so that it does in any shape. Every answer has an id of
its own, and its number as its input tokens: the ledger can be compared call by call. `GET /__served` gives the record.

usage: python -m bench.faults PORT
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any, Final

import msgspec
import uvloop

from bench.answers import SHAPE_PATHS, WHOLE, Shape, stream_events
from bench.upstream import shape_of

STREAM_CHUNKS: Final = 30
OUTPUT_TOKENS: Final = 7
SLOW_S: Final = 1.2
_PACE_S: Final = 0.02
_FAULT: Final = re.compile(rb"fault:([a-z0-9]+);")
_STREAM: Final = re.compile(rb'"stream" ?: ?true')
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
_INPUT: Final = re.compile(rb'"(prompt_tokens|input_tokens)":100\b')
_OUTPUT: Final = re.compile(rb'"(completion_tokens|output_tokens)":200\b')
_TOTAL: Final = re.compile(rb'"total_tokens":300\b')
STATUSES: Final = {"e500": 500, "e503": 503, "e529": 529, "e429": 429, "e400": 400}


class Served(msgspec.Struct, kw_only=True):
    """One request. `ended`: "whole" when all of the answer was written, "fault" as asked, "gone" when the peer left."""

    number: int
    shape: Shape
    fault: str
    stream: bool
    ended: str = "gone"

    @property
    def request_id(self) -> str:
        return f"req_soak_{self.number}"


def numbered(event: bytes, number: int) -> bytes:
    """The answer with this number as its input tokens."""
    event = _INPUT.sub(rb'"\1":%d' % number, event)
    event = _OUTPUT.sub(rb'"\1":%d' % OUTPUT_TOKENS, event)
    return _TOTAL.sub(b'"total_tokens":%d' % (number + OUTPUT_TOKENS), event)


_EVENTS: Final[dict[Shape, list[bytes]]] = {
    shape: stream_events(shape, STREAM_CHUNKS) for shape in SHAPE_PATHS
}


class Upstream:
    def __init__(self) -> None:
        self.served: list[Served] = []

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read a request and play its part. False: the connection is to be closed."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        path = head.split(b" ", 2)[1]
        if path == b"/__served":
            said = msgspec.json.encode(self.served)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(said), said))
            await writer.drain()
            return True
        fault = _FAULT.search(body)
        one = Served(
            number=len(self.served) + 1,
            shape=shape_of(path),
            fault=fault[1].decode() if fault else "",
            stream=_STREAM.search(body) is not None,
        )
        self.served.append(one)
        return await self._play(one, writer)

    async def _play(self, one: Served, writer: asyncio.StreamWriter) -> bool:
        ids = b"x-request-id: %b\r\n" % one.request_id.encode()
        if one.fault == "refuse":
            one.ended = "fault"
            return False
        if one.fault == "garbage":
            writer.write(b"SMTP ready when you are\r\n\r\n")
            one.ended = "fault"
            return False
        if one.fault == "slow":
            await asyncio.sleep(SLOW_S)
        if one.fault in STATUSES:
            error = {"type": "error", "error": {"type": "soak", "message": "as you wished"}}
            body = json.dumps(error).encode()
            more = b"retry-after: 1\r\n" if one.fault == "e429" else b""
            await self._write(
                writer,
                b"HTTP/1.1 %d Soak\r\ncontent-type: application/json\r\n%b%b"
                b"content-length: %d\r\n\r\n%b" % (STATUSES[one.fault], ids, more, len(body), body),
            )
            one.ended = "fault"
            return True
        if one.stream:
            return await self._stream(one, ids, writer)
        body = numbered(WHOLE[one.shape], one.number)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n"
        if one.fault == "cut":
            await self._write(writer, head % (ids, len(body)) + body[: len(body) // 2])
            one.ended = "fault"
            return False
        await self._write(writer, head % (ids, len(body)) + body)
        one.ended = "whole"
        return True

    async def _stream(self, one: Served, ids: bytes, writer: asyncio.StreamWriter) -> bool:
        await self._write(
            writer,
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n%b"
            b"transfer-encoding: chunked\r\n\r\n" % ids,
        )
        events = _EVENTS[one.shape]
        for at, event in enumerate(events):
            if one.fault == "cut" and at == len(events) // 2:
                one.ended = "fault"
                return False
            if at in (0, len(events) - 1):
                event = numbered(event, one.number)
            await self._write(writer, b"%x\r\n%b\r\n" % (len(event), event))
            if one.fault == "paced":
                await asyncio.sleep(_PACE_S)
        await self._write(writer, b"0\r\n\r\n")
        one.ended = "whole"
        return True

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if writer.transport.is_closing():
            raise ConnectionResetError
        writer.write(data)
        await writer.drain()


async def _serve(port: int) -> None:
    upstream = Upstream()
    server: Any = await asyncio.start_server(
        upstream.connected, "127.0.0.1", port, limit=2**26, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
