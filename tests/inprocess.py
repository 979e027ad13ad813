"""A gateway inside the test's process: the same parts as a worker and its recorder, on a thread instead of forks.

It starts in a fraction of a real one's time and its ledger is written when it is asked for. What only a
real one has (processes, signals, the command line) is tested with `tests/gateway.py`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import uvloop

from metis.accounts.keys import KeySpec
from metis.bootstrap.engine import build_models, build_providers
from metis.bootstrap.services import KeySource
from metis.bootstrap.supervisor import listen
from metis.bootstrap.worker import EngineSource, WorkerPlan, build_upstream
from metis.catalog.pricing import load_prices
from metis.config import UpOptions, load_config
from metis.facts.ids import IdFactory
from metis.gateway.connection import ClientConnection
from metis.gateway.door import DoorState
from metis.storage import open_storage
from metis.storage.board import Board
from metis.storage.data_dir import DataDir
from metis.trace.recorder import Recorder
from metis.trace.spool import SpoolWriter


class InProcessGateway:
    """Start with a metis.toml's text; `url` and `key` are there at once. Made and asked in one thread."""

    def __init__(
        self, folder: Path, config: str, *, environment: Mapping[str, str] | None = None
    ) -> None:
        file = folder / "metis.toml"
        file.write_text(config)
        options = UpOptions(config=str(file), data=str(folder / "data"), port=0, admin_port=0)
        self._config = load_config(options, environment or {}).config
        self._data_dir = DataDir(folder / "data")
        self._data_dir.create()
        self._storage = open_storage(self._config.storage, database=self._data_dir.database)
        self._storage.migrate(now_ts=_now_ts())
        self._board = Board(self._data_dir.board)
        self.key = self.make_key(KeySpec())
        providers = build_providers(self._config, environment or {})
        self._plan = WorkerPlan(
            config=self._config,
            data_dir=self._data_dir,
            replica="test",
            providers=lambda: providers,
            prices=load_prices(self._data_dir.run, self._config.catalog.prices),
            models=build_models(self._config, providers),
            board=self._board,
            open_accounts=lambda: self._storage.accounts(self._board),
        )
        self._socket = listen("127.0.0.1", 0, 1)[0]
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop = uvloop.new_event_loop()
        self._stop: Callable[[], object] = lambda: None
        self._serving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._thread.start()
        if not self._serving.wait(10):
            raise AssertionError("the gateway did not start")
        store = self._storage.ledger()
        self._recorder = Recorder(self._data_dir.spool, store, self._config.trace)
        self._close_store = store.close

    def make_key(self, spec: KeySpec) -> str:
        """A further key; the gateway knows it at once."""
        accounts = self._storage.accounts(self._board)
        try:
            return accounts.create_key(spec, now_ts=_now_ts(), actor="test").plaintext
        finally:
            accounts.close()

    def stop(self) -> None:
        """Stop serving; running answers are cut short."""
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(10)
        self._recorder.drain()
        self._recorder.close()
        self._close_store()
        self._board.close()

    def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        """Record what is spooled, and read the ledger."""
        self._recorder.drain()
        database = self._data_dir.database
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, arguments)]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        loop, plan, ids = asyncio.get_running_loop(), self._plan, IdFactory()
        stop = asyncio.Event()
        self._stop = stop.set
        spool = SpoolWriter(
            self._data_dir.spool / plan.replica / ids.new("spool"), plan.config.trace
        )
        counters = self._board.claim(0, os.getpid())
        upstream = build_upstream(plan.config, plan.providers())
        door = DoorState(
            plan.config.gateway,
            engine=EngineSource(plan).current,
            models=lambda: plan.models,
            keys=KeySource(plan.open_accounts, self._board),
            services=(upstream, spool, counters),
            ids=ids,
        )
        door.start()
        server = await loop.create_server(lambda: ClientConnection(door), sock=self._socket)
        self._serving.set()
        await stop.wait()
        server.close()
        for connection in list(door.connections):
            connection.break_off()
        await asyncio.sleep(0)
        upstream.close()
        spool.close()
        door.stop()
        counters.release()


def _now_ts() -> int:
    return time.time_ns() // 1000
