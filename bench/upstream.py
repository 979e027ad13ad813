"""The benchmark's upstream: a bare uvloop server with fixed answers, in both API shapes, paced or not.

Streams have 200 chunks; `x-pace-ms` in the request spaces them. What it costs itself does not matter:
CPU is measured on the process under test alone.
"""

from __future__ import annotations

import asyncio
import json
import sys

import httptools
import uvloop

CHUNKS = 200


def compact(value: object) -> str:
    """JSON without spaces, as the providers send it."""
    return json.dumps(value, separators=(",", ":"))


USAGE = {"prompt_tokens": 100, "completion_tokens": 200, "total_tokens": 300}
CHAT = compact(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "x" * 700},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }
).encode()
MESSAGES = compact(
    {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "x" * 700}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 200},
    }
).encode()


def _chat_events() -> list[bytes]:
    base = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-4o",
    }

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return b"data: " + compact({**base, "choices": [choice]}).encode() + b"\n\n"

    usage = compact({**base, "choices": [], "usage": USAGE}).encode()
    return [
        chunk({"role": "assistant", "content": ""}),
        *[chunk({"content": "token "})] * CHUNKS,
        chunk({}, "stop") + b"data: " + usage + b"\n\ndata: [DONE]\n\n",
    ]


def _message_events() -> list[bytes]:
    def event(kind: str, **fields: object) -> bytes:
        data = compact({"type": kind, **fields})
        return f"event: {kind}\ndata: {data}\n\n".encode()

    message = {**json.loads(MESSAGES), "content": [], "stop_reason": None}
    delta = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "token "})
    return [
        event("message_start", message=message)
        + event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *[delta] * CHUNKS,
        event("content_block_stop", index=0)
        + event(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": 200},
        )
        + event("message_stop"),
    ]


EVENTS = {False: _chat_events(), True: _message_events()}
WHOLE = {False: CHAT, True: MESSAGES}


class Serving(asyncio.Protocol):
    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.path, self.pace_ms, self.body = b"", 0.0, b""

    def on_url(self, url: bytes) -> None:
        self.path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-pace-ms":
            self.pace_ms = float(value)

    def on_body(self, body: bytes) -> None:
        if len(self.body) < 4096:
            self.body += body

    def on_message_complete(self) -> None:
        anthropic = b"/messages" in self.path
        if b'"stream":true' not in self.body[:4096].replace(b" ", b""):
            body = WHOLE[anthropic]
            self.transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%b" % (len(body), body)
            )
            return
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        events = EVENTS[anthropic]
        if self.pace_ms:
            asyncio.get_running_loop().create_task(self._paced(events, self.pace_ms / 1000))
            return
        for event in events:
            self.transport.write(b"%x\r\n%b\r\n" % (len(event), event))
        self.transport.write(b"0\r\n\r\n")

    async def _paced(self, events: list[bytes], pace_s: float) -> None:
        for event in events:
            self.transport.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(pace_s)
        self.transport.write(b"0\r\n\r\n")


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Serving, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
