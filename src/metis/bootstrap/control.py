"""The control process: the recorder on a thread of its own, and the admin plane in the event loop."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import uvloop

from metis.accounts.ports import AccountStore
from metis.analytics.ports import BaselinePricer, LedgerQueries
from metis.bootstrap.services import BoardTotals
from metis.bootstrap.supervisor import ChildEnd
from metis.config import Config
from metis.gateway.admin.sessions import AdminSessions
from metis.gateway.settings import GatewaySettings
from metis.storage.backend import Storage
from metis.storage.board import Board
from metis.storage.data_dir import DataDir
from metis.trace.recorder import Recorder

_HEARTBEAT_LATE_US: Final = 5_000_000
_DRAIN_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlan:
    """What the control process is made from. `sessions` was made before the fork, so that the banner
    could hold a login link."""

    config: Config
    data_dir: DataDir
    storage: Storage
    board: Board
    sessions: AdminSessions
    admin_token_digest: bytes
    open_accounts: Callable[[], AccountStore]
    open_queries: Callable[[], LedgerQueries]
    baseline: BaselinePricer | None


def run_control(plan: ControlPlan, sock: socket.socket, end: ChildEnd) -> None:
    """Record and serve until SIGTERM or the supervisor's death, then record what is left."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(plan, sock, end))


async def _serve(plan: ControlPlan, sock: socket.socket, end: ChildEnd) -> None:
    # Imported here, after the fork: the workers and the supervisor must not carry an ASGI stack.
    from metis.gateway.admin.app import build_app
    from metis.gateway.admin.deps import AdminDeps
    from metis.gateway.admin.metrics import GatewayMetrics
    from metis.gateway.admin.server import AdminServer

    stop = end.listen_for_stop()
    metrics = GatewayMetrics()
    recorder = Recorder(
        plan.data_dir.spool,
        plan.storage.ledger(),
        plan.config.trace,
        on_batch=metrics.observe,
        on_damage=lambda places: plan.board.add_damage(places, now_ts=time.time_ns() // 1000),
    )
    stop_recorder = threading.Event()
    recording = threading.Thread(target=recorder.run, args=(stop_recorder,), name="recorder")
    gc.freeze()
    gc.set_threshold(
        50_000, 50, 50
    )  # recording makes and drops many values; measured 26 to 52 % faster
    recording.start()
    metrics.attach_board(BoardTotals(plan.board), lambda: workers_alive(plan.board))
    metrics.attach_recorder(lambda: recorder.totals)
    settings = plan.config.gateway
    deps = AdminDeps(
        queries=plan.open_queries(),
        accounts=plan.open_accounts(),
        admin_token_digest=plan.admin_token_digest,
        metrics=metrics,
        generations=plan.board,
        bound_host=settings.admin_host,
        allowed_hosts=settings.admin_allowed_hosts,
        baseline=plan.baseline,
        not_ready=lambda: () if workers_alive(plan.board) else ("no worker is alive",),
    )
    cert, key = admin_tls(settings)
    server = AdminServer(build_app(deps, plan.sessions), sock, tls_cert=cert, tls_key=key)
    serving = asyncio.ensure_future(server.serve())
    end.say_ready()
    await stop.wait()
    server.stop()
    await serving
    stop_recorder.set()
    await asyncio.to_thread(recording.join, _DRAIN_S)


def admin_tls(settings: GatewaySettings) -> tuple[str | None, str | None]:
    """The admin plane speaks TLS where others than this machine can reach it and a certificate is there."""
    if settings.admin_host in ("127.0.0.1", "localhost", "::1"):
        return None, None
    return settings.tls_cert, settings.tls_key


def workers_alive(board: Board) -> int:
    """Workers whose heartbeat is fresh."""
    now_us = time.time_ns() // 1000
    return sum(
        1
        for worker in board.workers()
        if worker.pid and now_us - worker.heartbeat_ts < _HEARTBEAT_LATE_US
    )
