"""The data plane of one worker: what all client connections share, their clock, and the drain. No routing here."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Final, Protocol

import structlog

from metis.facts.ids import IdFactory
from metis.gateway.model_list import ModelList
from metis.gateway.ports import Counters, Keys, Ledger, Upstream
from metis.gateway.settings import GatewaySettings
from metis.gateway.taking_turns import TakingTurns
from metis.http.known_heads import KnownHeads
from metis.turn.engine import Engine

log = structlog.get_logger("metis.gateway")

_TICK_S: Final = 1.0


class Connection(Protocol):
    """A client connection as the door sees it."""

    def tick(self, now: float, now_ns: int) -> None: ...

    def close_if_idle(self) -> None: ...

    def break_off(self) -> None: ...


class DoorState:
    """What all connections of a worker share. `engine` and `models` give the current configuration's."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        engine: Callable[[], Engine],
        models: Callable[[], ModelList],
        keys: Keys,
        services: tuple[Upstream, Ledger, Counters],
        ids: IdFactory,
    ) -> None:
        self.settings = settings
        self.engine = engine
        self.models = models
        self.keys = keys
        self.upstream, self.ledger, self.counters = services
        self.ids = ids
        self.steps = TakingTurns()
        self.known_heads = KnownHeads()
        self.connections: set[Connection] = set()
        self.draining = False
        self.date = b""
        self._unledgered = 0  # as the counters have it
        self._ticker: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    def start(self) -> None:
        self._tick()

    def stop(self) -> None:
        """The last look at the ledger, so call this after it was closed."""
        if self._ticker is not None:
            self._ticker.cancel()
        self._look_after_ledger()

    def opened(self, connection: Connection) -> bool:
        """Count a new connection; False when it may not stay (draining, or too many)."""
        if self.draining or len(self.connections) >= self.settings.max_connections:
            return False
        self.connections.add(connection)
        self.counters.add("connections")
        self.counters.add("active_connections")
        return True

    def closed(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.discard(connection)
            self.counters.add("active_connections", -1)
            if not self.connections:
                self._empty.set()

    def _tick(self) -> None:
        """Once a second for all: the Date header, timeouts, heartbeats, what the ledger could not take before."""
        self.date = formatdate(usegmt=True).encode()
        self.counters.beat(time.time_ns() // 1000)
        self._look_after_ledger()
        now, now_ns = time.monotonic(), time.perf_counter_ns()
        for connection in list(self.connections):
            connection.tick(now, now_ns)
        self._ticker = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _look_after_ledger(self) -> None:
        ledger = self.ledger
        ledger.catch_up()
        dropped, self._unledgered = ledger.unledgered - self._unledgered, ledger.unledgered
        if dropped:
            self.counters.add("unledgered", dropped)
            log.error("ledger.dropped", events=dropped)

    async def drain(self) -> None:
        """Let what runs finish, refuse what comes; after the drain timeout break off what is left."""
        self.draining = True
        if not self.connections:
            return
        self._empty.clear()  # it was empty before, between two clients
        for connection in list(self.connections):
            connection.close_if_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.drain_timeout_s):
                await self._empty.wait()
        for connection in list(self.connections):
            connection.break_off()
