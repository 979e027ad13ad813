"""The door from raw sockets: what strange clients and strange upstreams may do, and what they get."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.answers import events_for, message, usual
from tests.client import PATHS, request_for, send
from tests.gateway import Gateway
from tests.inprocess import InProcessGateway
from tests.upstream import FakeUpstream, Handler, Seen, Wire

CONFIG = """
[providers.anthropic]
base_url = "{url}"
api_key_env = "UPSTREAM_KEY"

[providers.openai]
base_url = "{url}/v1"
api_key_env = "UPSTREAM_KEY"

[gateway]
max_body_bytes = 2000000
body_timeout_s = 2.0
"""
MODELS = {
    "anthropic_messages": "claude-sonnet-4-5",
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-4o",
}
SHAPES = list(PATHS)
MESSAGE = json.dumps(request_for("anthropic_messages", "claude-sonnet-4-5")).encode()


@dataclass
class Door:
    gateway: InProcessGateway
    upstream: FakeUpstream

    @property
    def auth(self) -> dict[str, str]:
        return {"x-api-key": self.gateway.key, "anthropic-version": "2023-06-01"}

    def head(self, method: str, path: str, length: int | None = None, **more: str) -> bytes:
        headers = {"host": "metis", **self.auth, **more}
        if length is not None:
            headers["content-length"] = str(length)
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.gateway.port), timeout=10)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def ask(self, *pieces: bytes) -> bytes:
        """Send the pieces, a moment between them, and read until the door closes."""
        with self.connect() as connection:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.02)
            return read_to_end(connection)

    def open_calls(self) -> int:
        time.sleep(0.05)
        return len(self.gateway.rows("SELECT 1 FROM calls WHERE state = 'open'"))


def read_to_end(connection: socket.socket) -> bytes:
    data = bytearray()
    while piece := connection.recv(65536):
        data += piece
    return bytes(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    upstream = FakeUpstream(usual)
    gateway = InProcessGateway(
        tmp_path_factory.mktemp("door"),
        CONFIG.format(url=upstream.url),
        environment={"UPSTREAM_KEY": "sk-upstream-5f1c9a7e"},
    )
    try:
        yield Door(gateway, upstream)
    finally:
        gateway.stop()
        upstream.close()


@pytest.fixture
def door(made: Door) -> Door:
    made.upstream.handler = usual
    made.upstream.seen.clear()
    return made


BAD_TEXT = {
    "text that is no UTF-8": b'{"a":"\xff\xfe",',
    "a deep nest": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b",",
    "a deep nest of objects": b'{"a":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b",",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("begin", BAD_TEXT.values(), ids=list(BAD_TEXT))
def test_body_that_no_upstream_could_read_is_refused_before_any_call(
    door: Door, shape: str, begin: bytes
) -> None:
    body = begin + json.dumps(request_for(shape, MODELS[shape])).encode()[1:]
    reply = send(door.gateway.port, PATHS[shape], body, door.auth)
    assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error")
    assert (door.upstream.seen, door.open_calls()) == ([], 0)
    assert door.gateway.rows("SELECT * FROM unreadable_frames") == []


def test_body_that_comes_with_the_heads_end_is_served(door: Door) -> None:
    body = json.dumps(request_for("anthropic_messages", "claude-sonnet-4-5", "x" * 200_000))
    whole = door.head("POST", "/v1/messages", len(body), connection="close") + body.encode()
    assert door.ask(whole[:30], whole[30:]).startswith(b"HTTP/1.1 200 ")


REFUSED_EARLY = {
    "413": {"content-length": "999999999"},
    "431": {"content-length": "5", "x-long": "a" * 70_000},
    "401": {"content-length": "5", "expect": "100-continue", "x-api-key": "sk-metis-wrong"},
}


@pytest.mark.parametrize("status", list(REFUSED_EARLY))
def test_request_refused_before_its_body_is_answered_in_its_own_shape(
    door: Door, status: str
) -> None:
    answer = door.ask(door.head("POST", "/v1/messages", **REFUSED_EARLY[status]))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status.encode())
    assert json.loads(body)["type"] == "error"


def test_pipelined_requests_of_a_client_that_does_not_read_wait_for_it(door: Door) -> None:
    """What is held for a client is bounded, whatever it asks for."""

    async def large(seen: Seen, wire: Wire) -> None:
        await wire.answer(200, json.dumps(message(text="x" * 8_000_000)).encode())

    door.upstream.handler = large
    one = door.head("POST", "/v1/messages", len(MESSAGE)) + MESSAGE
    last = door.head("GET", "/healthz", connection="close")
    with door.connect() as connection:
        connection.sendall(one * 4 + last)
        time.sleep(0.6)
        asked = len(door.upstream.seen)
        answer = read_to_end(connection)
    assert asked == 1, "answers are fetched for a client that takes none"
    assert answer.count(b'"output_tokens": 7') == 4
    assert answer.endswith(b'{"status":"ok"}')


def no_content(status: int, kind: str, body: bytes) -> Handler:
    async def handler(seen: Seen, wire: Wire) -> None:
        length = b"" if status == 204 else b"content-length: %d\r\n" % len(body)
        head = b"HTTP/1.1 %d X\r\ncontent-type: %b\r\n%b\r\n" % (status, kind.encode(), length)
        await wire.raw(head + body)

    return handler


@pytest.mark.parametrize("answer", [(204, "text/event-stream", b""), (200, "text/html", b"<p>")])
@pytest.mark.parametrize(
    ("shape", "model"),
    [*MODELS.items(), ("anthropic_messages", "gpt-4o"), ("openai_chat", "claude-sonnet-4-5")],
)
def test_answer_that_can_be_no_stream_is_an_error_status_and_no_stream(
    door: Door, shape: str, model: str, answer: tuple[int, str, bytes]
) -> None:
    door.upstream.handler = no_content(*answer)
    reply = send(door.gateway.port, PATHS[shape], request_for(shape, model, stream=True), door.auth)
    assert (reply.status, reply.headers["content-type"]) == (502, "application/json")
    assert "error" in reply.json


def test_stream_that_runs_at_sigterm_is_finished(tmp_path: Path) -> None:
    async def slow(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        for event in events_for(seen):
            await wire.chunk(event)
            await asyncio.sleep(0.1)
        await wire.end_stream()

    upstream = FakeUpstream(usual)
    environment = {"UPSTREAM_KEY": "sk-upstream-5f1c9a7e"}
    gateway = Gateway(tmp_path, CONFIG.format(url=upstream.url), environment=environment)
    body = request_for("anthropic_messages", "claude-sonnet-4-5", stream=True)
    auth = {"x-api-key": gateway.key}
    assert send(gateway.port, "/v1/messages", body, auth).status == 200  # a client that went
    upstream.handler = slow
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request("POST", "/v1/messages", json.dumps(body), auth)
    answer = connection.getresponse()
    gateway.process.send_signal(signal.SIGTERM)
    text = answer.read()
    connection.close()
    assert gateway.stop() == 0
    upstream.close()
    assert b"event: message_stop" in text
    assert gateway.rows("SELECT outcome FROM calls") == [{"outcome": "ok"}] * 2


def test_client_that_never_reads_its_stream_loses_it(door: Door) -> None:
    async def endless(seen: Seen, wire: Wire) -> None:
        await wire.begin_stream()
        while True:
            await wire.chunk(b": " + b"x" * 65_532 + b"\n\n")

    door.upstream.handler = endless
    body = json.dumps(request_for("anthropic_messages", "claude-sonnet-4-5", stream=True))
    query = "SELECT outcome FROM calls ORDER BY started_ts DESC LIMIT 1"
    with door.connect() as connection:
        connection.sendall(door.head("POST", "/v1/messages", len(body)) + body.encode())
        deadline = time.monotonic() + 8
        while (found := door.gateway.rows(query)) != [{"outcome": "aborted"}]:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)


@pytest.mark.parametrize("shape", SHAPES)
def test_client_is_told_in_its_own_shape_when_the_gateway_itself_fails(
    door: Door, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("metis.routing.chain.Router.decide", fail)
    body = json.dumps(request_for(shape, MODELS[shape])).encode()
    reply = send(door.gateway.port, PATHS[shape], body, door.auth)
    error = reply.json["error"]
    assert (reply.status, error["message"]) == (500, "the gateway failed on this request")
    assert (reply.json.get("type") == "error") is (shape == "anthropic_messages")
    assert (door.upstream.seen, door.open_calls()) == ([], 0)
    monkeypatch.undo()
    assert send(door.gateway.port, PATHS[shape], body, door.auth).status == 200
