"""The admin plane on a real socket: served inside a loop that is not its own, ended on request."""

from __future__ import annotations

import asyncio
import signal
import socket
import urllib.error
import urllib.request

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from metis.gateway.admin.server import AdminServer


def bound() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(16)
    return sock


def ask(url: str, headers: dict[str, str] | None = None) -> tuple[int, str, dict[str, str]]:
    request = urllib.request.Request(url, headers=headers or {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status, answer.read().decode(), dict(answer.headers)


async def test_it_serves_leaves_signals_alone_and_finishes_what_runs() -> None:
    running = asyncio.Event()
    release = asyncio.Event()

    async def slow(request: Request) -> Response:
        running.set()
        await release.wait()
        assert request.client is not None
        return PlainTextResponse(f"{request.client.host} {request.url.scheme}")

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    sock = bound()
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
    server = AdminServer(Starlette(routes=[Route("/", slow)]), sock)
    task = asyncio.create_task(server.serve())
    await server.started()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    forged = {"x-forwarded-for": "10.9.9.9", "x-forwarded-proto": "https"}
    answer = asyncio.create_task(asyncio.to_thread(ask, url, forged))
    await running.wait()
    server.stop()
    await asyncio.sleep(0.2)
    assert not task.done()
    release.set()
    status, text, headers = await answer
    assert (status, text) == (200, "127.0.0.1 http")
    assert "server" not in {name.lower() for name in headers}
    await asyncio.wait_for(task, 5)
    assert sock.fileno() == -1


async def test_what_does_not_finish_in_time_is_cut() -> None:
    running = asyncio.Event()

    async def endless(request: Request) -> Response:
        running.set()
        await asyncio.sleep(60)
        return PlainTextResponse("never")

    sock = bound()
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
    server = AdminServer(Starlette(routes=[Route("/", endless)]), sock, grace_s=1)
    task = asyncio.create_task(server.serve())
    await server.started()

    def try_ask() -> str:
        try:
            return str(ask(url)[0])
        except (urllib.error.URLError, ConnectionError) as exc:
            return type(exc).__name__

    answer = asyncio.create_task(asyncio.to_thread(try_ask))
    await running.wait()
    server.stop()
    await asyncio.wait_for(task, 5)
    assert await answer != "200"
