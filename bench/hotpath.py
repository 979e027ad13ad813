"""One worker's whole path without sockets: what a request costs in the process itself, and where.

`python -m bench.hotpath` drives a real door, engine, pool and spool over transports that only keep what is
written. There is no kernel in its numbers and no load generator beside them, so they show what a change did
better than `make bench`; they are not what a request costs in service.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.answers import CHAT, MESSAGES
from bench.scenarios import SCENARIOS, Scenario, body_for
from metis.accounts.keys import KeySpec
from metis.bootstrap.engine import build_models, build_providers
from metis.bootstrap.services import KeySource
from metis.bootstrap.worker import EngineSource, WorkerPlan
from metis.catalog.pricing import load_prices
from metis.config import UpOptions, load_config
from metis.facts.ids import IdFactory
from metis.gateway.connection import ClientConnection
from metis.gateway.door import DoorState
from metis.storage import open_storage
from metis.storage.board import Board
from metis.storage.data_dir import DataDir
from metis.trace.spool import SpoolWriter
from metis.upstream.pool import Connection, UpstreamPool

_CONFIG = """
[accounts]
most_open_usd = "1000"
[providers.openai]
base_url = "http://127.0.0.1:1/v1"
api_key_env = "BENCH_KEY"
[providers.anthropic]
base_url = "http://127.0.0.1:1"
api_key_env = "BENCH_KEY"
[catalog.aliases]
"claude-crossed" = "openai/gpt-4o"
"""


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        raise SystemExit("the gateway gave a connection up")

    close = abort


class OneDialer:
    """Hands out connections over Wires; the newest is the one the harness answers on."""

    def __init__(self) -> None:
        self.newest: Connection | None = None

    async def dial(self, origin: object, factory: Callable[[], Connection]) -> Connection:
        self.newest = factory()
        self.newest.connection_made(Wire())
        return self.newest


@dataclass
class Bench:
    """A door with one client connection and one upstream connection, both in the harness's hands."""

    client: ClientConnection
    wire: Wire
    dialer: OneDialer
    spool: SpoolWriter
    key: str


def build(folder: Path) -> Bench:
    (folder / "metis.toml").write_text(_CONFIG)
    options = UpOptions(config=str(folder / "metis.toml"), data=str(folder), port=0, admin_port=0)
    environment = {"BENCH_KEY": "sk-bench"}
    config = load_config(options, environment).config
    data_dir = DataDir(folder)
    data_dir.create()
    storage = open_storage(config.storage, database=data_dir.database)
    storage.migrate(now_ts=time.time_ns() // 1000)
    board = Board(data_dir.board)
    accounts = storage.accounts(board)
    key = accounts.create_key(KeySpec(), now_ts=time.time_ns() // 1000, actor="bench").plaintext
    accounts.close()
    providers = build_providers(config, environment)
    plan = WorkerPlan(
        config=config,
        data_dir=data_dir,
        replica="bench",
        providers=lambda: providers,
        prices=load_prices(data_dir.run, config.catalog.prices),
        models=build_models(config, providers),
        board=board,
        open_accounts=lambda: storage.accounts(board),
    )
    dialer = OneDialer()
    spool = SpoolWriter(data_dir.spool / "bench" / "spool", config.trace)
    door = DoorState(
        config.gateway,
        engine=EngineSource(plan).current,
        models=lambda: plan.models,
        keys=KeySource(plan.open_accounts, board),
        services=(UpstreamPool(config.upstream, cast(Any, dialer)), spool, board.claim(0, 1)),
        ids=IdFactory(),
    )
    door.start()
    client, wire = ClientConnection(door), Wire()
    client.connection_made(wire)
    return Bench(client, wire, dialer, spool, key)


def request_of(scenario: Scenario, key: str) -> bytes:
    body = body_for(scenario).encode()
    head = (
        f"POST {scenario.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def answer_of(scenario: Scenario) -> bytes:
    body = CHAT if "chat" in scenario.path else MESSAGES
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def measure(scenario: Scenario, count: int, *, profile: bool, bare: bool = False) -> None:
    with tempfile.TemporaryDirectory(prefix="metis-hotpath-") as folder:
        bench = build(Path(folder))
        request, answer = request_of(scenario, bench.key), answer_of(scenario)
        bench.client.data_received(request)
        while bench.dialer.newest is None or bench.dialer.newest.call is None:  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.01)
        upstream = bench.dialer.newest
        upstream.data_received(answer)

        def asked(times: int) -> list[tuple[float, float]]:
            spent: list[tuple[float, float]] = []
            for _ in range(times):
                began = time.perf_counter_ns()
                bench.client.data_received(request)
                middle = time.perf_counter_ns()
                upstream.data_received(answer)
                spent.append((middle - began, time.perf_counter_ns() - middle))
                bench.wire.written.clear()
            return spent

        asked(500)
        gc.freeze()
        if bare:
            asked(count)
            bench.spool.close()
            return
        spent = asked(count)
        calls = pstats.Stats(_profiled(lambda: asked(1000)))
        for name, values in (
            ("request", [pair[0] for pair in spent]),
            ("answer", [pair[1] for pair in spent]),
            ("both", [sum(pair) for pair in spent]),
        ):
            cut = statistics.quantiles(values, n=10)
            print(
                f"{name:8} us: best {min(values) / 1e3:.1f}  p10 {cut[0] / 1e3:.1f}  p50 {cut[4] / 1e3:.1f}"
            )
        total_calls = cast(int, calls.total_calls) / 1000  # type: ignore[attr-defined]
        print(f"{total_calls:.0f} function calls per request")
        if profile:
            calls.sort_stats("tottime").print_stats(70)
        bench.spool.close()


def _profiled(work: Callable[[], object]) -> cProfile.Profile:
    profile = cProfile.Profile()
    profile.enable()
    work()
    profile.disable()
    return profile


def instructions(scenario: Scenario) -> float:
    """Instructions of one request, user space only, by callgrind: the same on a busy machine as on a quiet one."""
    counted: list[int] = []
    for count in (300, 1300):
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
        command += ["-m", "bench.hotpath", "--only", scenario.name, "--bare", "--count", str(count)]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        found = re.search(r"Collected : (\d+)", done.stderr)
        if found is None:
            raise SystemExit(f"callgrind counted nothing: {done.stderr[-1000:]}")
        counted.append(int(found[1]))
    return (counted[1] - counted[0]) / 1000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.hotpath", description=__doc__)
    parser.add_argument("--only", default="sync 1 KB chat", help="the scenario's name holds this")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true", help="show where the calls go")
    parser.add_argument("--bare", action="store_true", help="only serve: for a tool that watches")
    parser.add_argument("--instructions", action="store_true", help="count them with valgrind")
    options = parser.parse_args()
    scenario = next(one for one in SCENARIOS if options.only in one.name)
    print(scenario.name)
    if options.instructions:
        print(f"{instructions(scenario):,.0f} instructions per request")
        return 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(scenario, options.count, profile=options.profile, bare=options.bare))
    return 0


if __name__ == "__main__":
    sys.exit(main())
