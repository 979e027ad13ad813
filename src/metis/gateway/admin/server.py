"""The admin plane's server: uvicorn inside a loop that somebody else owns, on a socket somebody else bound."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_MAX_CONCURRENT = 128
_KEEP_ALIVE_S = 15


class AdminServer:
    """Serve an ASGI app until `stop`. The socket is closed at the end; signals stay the owner's business.

    `tls_cert` and `tls_key` are PEM files, both or neither.
    """

    def __init__(
        self,
        app: ASGIApp,
        sock: socket.socket,
        *,
        grace_s: int = 5,
        tls_cert: str | None = None,
        tls_key: str | None = None,
    ) -> None:
        self._socket = sock
        self._server = _Server(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                log_level="warning",
                proxy_headers=False,  # nobody may say through a header that he is on loopback
                server_header=False,
                limit_concurrency=_MAX_CONCURRENT,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=grace_s,
                ssl_certfile=tls_cert,
                ssl_keyfile=tls_key,
            )
        )

    async def serve(self) -> None:
        """Serve until `stop`; then let running answers finish within the grace time. Run it as a task."""
        await self._server.serve(sockets=[self._socket])

    async def started(self) -> None:
        """Return once connections are accepted."""
        await self._server.listening.wait()

    def stop(self) -> None:
        """Accept nothing new, and let `serve` return."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # the supervisor's handlers stay in place
