"""A worker process: one event loop, one door, one spool. It never talks to the database but for keys."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog
import uvloop

from metis.accounts.ports import AccountStore
from metis.bootstrap.engine import build_engine
from metis.bootstrap.scripts import build_scripted
from metis.bootstrap.services import KeySource
from metis.bootstrap.supervisor import ChildEnd
from metis.catalog.pricing import Prices
from metis.config import Config
from metis.errors import ConfigError
from metis.facts.ids import IdFactory
from metis.gateway.connection import ClientConnection
from metis.gateway.door import DoorState
from metis.gateway.model_list import ModelList
from metis.gateway.settings import GatewaySettings
from metis.providers.provider import Provider
from metis.storage.board import Board
from metis.storage.data_dir import DataDir
from metis.trace.spool import SpoolWriter
from metis.turn.engine import Engine
from metis.upstream.dialing import build_dialer
from metis.upstream.pool import UpstreamPool
from metis.upstream.switchboard import Switchboard

log = structlog.get_logger("metis.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """What all workers are made from: built once in the supervisor, shared by the fork."""

    config: Config
    data_dir: DataDir
    replica: str
    providers: Callable[[], dict[str, Provider]]
    prices: Prices
    models: ModelList
    board: Board
    open_accounts: Callable[[], AccountStore]


def run_worker(plan: WorkerPlan, sock: socket.socket, slot: int, end: ChildEnd) -> None:
    """Serve until SIGTERM or the supervisor's death, then drain."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(plan, sock, slot, end))


async def _serve(plan: WorkerPlan, sock: socket.socket, slot: int, end: ChildEnd) -> None:
    stop = end.listen_for_stop()
    ids = IdFactory()
    spool = SpoolWriter(plan.data_dir.spool / plan.replica / ids.new("spool"), plan.config.trace)
    counters = plan.board.claim(slot, os.getpid())
    engines = EngineSource(plan)
    upstream = build_upstream(plan.config, plan.providers())
    settings = plan.config.gateway
    door = DoorState(
        settings,
        engine=engines.current,
        models=lambda: plan.models,
        keys=KeySource(plan.open_accounts, plan.board),
        services=(upstream, spool, counters),
        ids=ids,
    )
    door.start()
    server = await asyncio.get_running_loop().create_server(
        lambda: ClientConnection(door), sock=sock, ssl=server_tls(settings), backlog=2048
    )
    gc.freeze()
    gc.set_threshold(
        100_000, 50, 100
    )  # turns make next to no cycles; looking for them cost a tenth
    end.say_ready()
    await stop.wait()
    server.close()
    await door.drain()
    upstream.close()
    spool.close()
    door.stop()
    counters.release()


class EngineSource:
    """The engine of the configuration generation that holds now; a new one is made when it has moved.

    Sessions and the like survive the change: they belong to the worker.
    """

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._generation = plan.board.config()
        self._engine = build_engine(plan.config, plan.providers(), plan.prices, self._generation)

    def current(self) -> Engine:
        generation = self._plan.board.config()
        if generation != self._generation:
            self._generation = generation
            self._engine = replace(
                self._engine, providers=self._plan.providers(), generation=generation
            )
        return self._engine


def build_upstream(config: Config, providers: Mapping[str, Provider]) -> UpstreamPool | Switchboard:
    """The way out, by the configuration's trust, proxy and scripts. Raises ConfigError."""
    settings = config.upstream
    origins = [provider.origin for provider in providers.values()]
    pool = UpstreamPool(settings, build_dialer(settings, os.environ, origins))
    scripted = build_scripted(config)
    return Switchboard(pool, scripted) if scripted else pool


def server_tls(settings: GatewaySettings) -> ssl.SSLContext | None:
    """TLS for the data plane, when it is configured. Raises ConfigError on files that cannot be used."""
    if settings.tls_cert is None and settings.tls_key is None:
        return None
    if settings.tls_cert is None or settings.tls_key is None:
        raise ConfigError("set both tls_cert and tls_key, or neither", field="gateway.tls_cert")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(f"cannot use the certificate: {exc}", field="gateway.tls_cert") from exc
    return context
