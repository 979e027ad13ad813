"""The soak's clients: what they ask for, how they behave, and what they may get for it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from random import Random
from typing import Final

from bench.answers import MARKS, SHAPE_PATHS, Shape, compact
from bench.faults import STREAM_CHUNKS
from bench.scenarios import CROSSED

_MODELS: Final[dict[Shape, str]] = {
    "chat": "gpt-4o",
    "messages": "claude-sonnet-4-5",
    "responses": "gpt-4o",
}
# How often of a thousand; the rest is as it ought to be.
_FAULTS: Final = {
    "paced": 150,
    "slow": 60,
    "e500": 20,
    "e503": 20,
    "e529": 20,
    "e429": 40,
    "e400": 20,
    "cut": 30,
    "refuse": 20,
    "garbage": 10,
}
_LEAVING: Final = 0.25  # of those whose answer takes long enough
_BODIES: Final = ((0.02, 100_000), (0.003, 2_000_000))
_ENDS: Final[dict[Shape, bytes]] = {
    "chat": b"data: [DONE]",
    "messages": b"event: message_stop",
    "responses": b"event: response.completed",
}
_ANSWER_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to make. `leave_s`: hang up after so long, whatever has come; 0 to stay."""

    shape: Shape
    model: str
    stream: bool
    fault: str = ""
    leave_s: float = 0.0
    size: int = 0

    def body(self) -> bytes:
        text = f"fault:{self.fault}; tell me more" + " and more" * (self.size // 9)
        field_name = "input" if self.shape == "responses" else "messages"
        limit = "max_output_tokens" if self.shape == "responses" else "max_tokens"
        asked = {
            "model": self.model,
            limit: 256,
            **({"stream": True} if self.stream else {}),
            field_name: [{"role": "user", "content": text}],
        }
        return compact(asked).encode()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: status 0 when the connection ended before a head; `whole` when HTTP says so; body without framing."""

    status: int
    whole: bool
    body: bytes
    began: float = 0.0
    ended: float = 0.0


def wish(chance: Random) -> Ask:
    """A request as they come: shapes, crossings, streams, faults, sizes and clients that leave."""
    shape = chance.choice(tuple(SHAPE_PATHS))
    others = tuple(one for one in SHAPE_PATHS if one != shape)
    crossed = chance.random() < 0.4
    model = CROSSED[chance.choice(others)] if crossed else _MODELS[shape]
    drawn, fault = chance.randrange(1000), ""
    for name, share in _FAULTS.items():
        if drawn < share:
            fault = name
            break
        drawn -= share
    stream = fault == "paced" or chance.random() < 0.5
    leave_s = 0.0
    if fault in ("paced", "slow") and chance.random() < _LEAVING:
        leave_s = chance.uniform(0.25, 0.5)
    size = next((size for share, size in _BODIES if chance.random() < share), 0)
    return Ask(shape, model, stream, fault, leave_s, size)


def wrong(ask: Ask, answer: Answer) -> str:
    """What is wrong with this answer; "" when it is what this request had to get."""
    body = answer.body
    complete = answer.whole and (not ask.stream or _ENDS[ask.shape] in body)
    match ask.fault:
        case "e500" | "e503" | "e529" | "e429" | "e400":
            good = answer.whole and answer.status >= 400
        case "refuse" | "garbage":
            good = answer.whole and answer.status >= 500
        case "cut" if ask.stream:
            # Too late for a status: it must not look like an end.
            good = answer.status >= 500 or (answer.status == 200 and not complete)
        case "cut":
            good = answer.status >= 500 or not answer.whole
        case _:
            good = answer.status == 200 and complete
            chunks = body.count(MARKS[ask.shape])
            if good and ask.stream and chunks != STREAM_CHUNKS:
                return f"{chunks} of {STREAM_CHUNKS} chunks"
    if good:
        return ""
    return f"status {answer.status}, {'whole' if answer.whole else 'broken off'}: {body[-200:]!r}"


@dataclass
class Tally:
    """What all clients saw."""

    asked: int = 0
    answered: int = 0
    left: int = 0
    retried: int = 0
    wrong: list[tuple[Ask, Answer, str]] = field(default_factory=list[tuple[Ask, Answer, str]])


class Client:
    """One connection's worth of a client, kept alive from request to request."""

    def __init__(self, port: int, key: str, tally: Tally) -> None:
        self._port, self._key, self._tally = port, key, tally
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, ask: Ask) -> None:
        """Make the request and judge what comes."""
        self._tally.asked += 1
        began = time.monotonic()
        if ask.leave_s:
            try:
                await asyncio.wait_for(self._exchange(ask), ask.leave_s)
            except TimeoutError:
                self.close()
            self._tally.left += 1
            return
        try:
            answer = await asyncio.wait_for(self._exchange(ask), _ANSWER_S)
        except TimeoutError:
            self.close()
            answer = Answer(0, False, b"no answer in time")
        answer = Answer(answer.status, answer.whole, answer.body, began, time.monotonic())
        said = wrong(ask, answer)
        if said:
            self._tally.wrong.append((ask, answer, said))
        else:
            self._tally.answered += 1

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _exchange(self, ask: Ask) -> Answer:
        fresh = self._streams is None
        answer = await self._try(ask)
        if answer.status == 0 and not fresh and not answer.body:
            # A kept-alive connection that was closed meanwhile: any client asks again (RFC 9112, 9.3.1).
            self._tally.retried += 1
            answer = await self._try(ask)
        return answer

    async def _try(self, ask: Ask) -> Answer:
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            body = ask.body()
            writer.write(
                b"POST %b HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
                b"authorization: Bearer %b\r\nanthropic-version: 2023-06-01\r\n"
                b"content-length: %d\r\n\r\n%b"
                % (SHAPE_PATHS[ask.shape].encode(), self._key.encode(), len(body), body)
            )
            return await self._read(reader)
        except (ConnectionError, asyncio.IncompleteReadError, OSError):
            self.close()
            return Answer(0, False, b"")

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status, body, whole = int(head[9:12]), b"", True
        try:
            if b"\r\ntransfer-encoding: chunked" in head:
                while size := int(await reader.readline(), 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readline()
            else:
                at = head.index(b"\r\ncontent-length:") + 17
                body = await reader.readexactly(int(head[at : head.index(b"\r\n", at)]))
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            whole = False
        if not whole or b"\r\nconnection: close" in head:
            self.close()
        return Answer(status, whole, body)
