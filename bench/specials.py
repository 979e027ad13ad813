"""The scenarios that are more than a load: starts, memory, two workers, thousands of streams, large bodies.

Each gives figures by name, and says in the name what is counted; `LIMITS` holds what they may be at most, `FLOORS` what
they must be at least.
"""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from bench import codec
from bench.answers import MARK
from bench.load import Plan
from bench.measuring import Running, measure, plan_for
from bench.processes import (
    connections_of,
    cpu_s,
    forget_peak,
    peak_mb,
    rss_mb,
    settle,
)
from bench.scenarios import SCENARIOS, Scenario
from bench.targets import Metis, Nginx, Upstream

Figures = dict[str, float]
_SMALL: Final = SCENARIOS[0]
_BIG: Final = Scenario(name="5 MB chat", shape="chat", connections=1, body_bytes=5_000_000)
_MANY: Final = 5000
_SLOW_CHUNKS: Final = 20
_FEWEST_ROUNDS: Final = 5
_SLOW_PACE_US: Final = 1_000_000


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What a special scenario has at hand: a folder, the upstream, nginx, and how long one of its loads lasts."""

    folder: Path
    upstream: Upstream
    nginx: Nginx
    seconds: float
    rounds: int


def start_and_memory(stage: Stage) -> Figures:
    """Time to the first answer, on all cores, without and with data from before; memory idle and after a mixed load."""
    fresh: list[float] = []
    again: list[float] = []
    for number in range(3):
        folder = stage.folder / f"start-{number}"
        for times in (fresh, again):
            metis = Metis(folder, stage.upstream, core=None)
            times.append(metis.cold_start_ms)
            metis.stop()
    metis = Metis(stage.folder / "memory", stage.upstream)
    try:
        time.sleep(1)
        worker, others = cpu_s(metis.measured()), cpu_s(metis.others())
        time.sleep(3)
        found = {
            "worker CPU idle, ms a second": (cpu_s(metis.measured()) - worker) / 3 * 1000,
            "others CPU idle, ms a second": (cpu_s(metis.others()) - others) / 3 * 1000,
            "cold start ms, median of 3": statistics.median(fresh),
            "start on existing data ms, median of 3": statistics.median(again),
            "worker RSS idle MB": rss_mb(metis.measured()[0]),
            "others RSS idle MB": sum(rss_mb(pid) for pid in metis.others()),
        }
        for scenario in SCENARIOS:
            if scenario.quick or scenario.connections == 256:
                measure(metis, scenario, stage.seconds, stage.upstream)
        found["worker RSS after load MB"] = rss_mb(metis.measured()[0])
        found["others RSS after load MB"] = sum(rss_mb(pid) for pid in metis.others())
        return found
    finally:
        metis.stop()


def two_workers(stage: Stage) -> Figures:
    """CPU of a request with one worker and with two in turn, how connections spread, workers drained amid load."""
    one = Metis(stage.folder / "one", stage.upstream, core=None, name="one worker")
    two = Metis(stage.folder / "two", stage.upstream, core=None, name="two workers", workers=2)
    scenario = Scenario(name="sync 1 KB chat, c64", shape="chat", connections=64)
    try:
        ratios: list[float] = []
        errors = 0
        for number in range(stage.rounds):
            rows = {}
            for target in (one, two) if number % 2 == 0 else (two, one):
                row = measure(target, scenario, stage.seconds, stage.upstream)
                assert row is not None
                rows[target.name] = row
                errors += row.errors
            ratios.append(rows["two workers"].cpu_us / rows["one worker"].cpu_us)
        return {
            "CPU per request, two workers' sum in one's": statistics.median(ratios),
            "errors": errors,
            **_balance(two, stage),
            **_drained(two, stage),
        }
    finally:
        one.stop()
        two.stop()


def _balance(two: Metis, stage: Stage) -> Figures:
    scenario = Scenario(name="balance", shape="chat", connections=256)
    plan = plan_for(two, scenario, 1.0)
    assert plan is not None
    load = Running(plan)
    time.sleep(0.8)
    shares = [connections_of(pid, two.port) for pid in two.measured()]
    load.figures()
    return {"the busier worker's share of 256 connections": max(shares) / max(1, sum(shares))}


def _drained(two: Metis, stage: Stage) -> Figures:
    """SIGTERM to each worker in turn, as a reload does, while requests and streams go on."""
    upstream = stage.upstream
    upstream.pace(5000)
    served = upstream.served()
    streaming = Scenario(name="s", shape="chat", connections=16, stream=True, pace_us=5000)
    small = Scenario(name="r", shape="chat", connections=16, rate=400)
    plans = [plan_for(two, scenario, 6.0) for scenario in (small, streaming)]
    loads = [Running(plan) for plan in plans if plan is not None]
    time.sleep(1)
    for pid in two.measured():
        os.kill(pid, signal.SIGTERM)
        time.sleep(2)
    found = [load.figures() for load in loads]
    settle(two.others())
    answered = sum(one.requests for one in found)
    return {
        "requests during two drains": answered,
        "errors during two drains": sum(one.errors for one in found),
        "re-sent on a closed kept-alive connection": sum(one.retried for one in found),
        "upstream calls beyond answers": upstream.served() - served - answered,
        "workers after two drains": len(two.measured()),
    }


def many_streams(stage: Stage) -> Figures:
    """5,000 streams of a chunk a second at once on one worker: memory while all are open, CPU per chunk."""
    metis = Metis(stage.folder / "many", stage.upstream)
    scenario = Scenario(name="many", shape="chat", connections=_MANY, stream=True)
    try:
        stage.upstream.pace(_SLOW_PACE_US, _SLOW_CHUNKS)
        request = metis.request_for(scenario)
        assert request is not None
        idle, worker = rss_mb(metis.measured()[0]), metis.measured()[0]
        plan = Plan(
            port=metis.port,
            request=request,
            seconds=_SLOW_CHUNKS * 0.7,
            connections=_MANY,
            mark=MARK.decode(),
            marks=_SLOW_CHUNKS,
            spread_s=_SLOW_CHUNKS * 0.3,
        )
        began = cpu_s([worker])
        load, most = Running(plan), 0
        forget_peak(worker)
        for _ in range(int(_SLOW_CHUNKS * 0.8)):
            time.sleep(1)
            most = max(most, connections_of(worker, metis.port))
        figures = load.figures()
        return {
            "streams open at once": most,
            "worker RSS idle MB": idle,
            "worker RSS at its peak MB": peak_mb(worker),
            "errors": figures.errors,
            "streams answered whole": figures.requests,
            "CPU us per chunk": (cpu_s([worker]) - began) / max(1, figures.chunks) * 1e6,
            "first chunk p50 ms": figures.first_chunk_ms[0] if figures.first_chunk_ms else 0.0,
        }
    finally:
        stage.upstream.pace(0)
        metis.stop()


def beside_large_bodies(stage: Stage) -> Figures:
    """p99 of small requests at 250 a second: alone, and beside eight 5 MB bodies, of a second each or at full speed."""
    metis = Metis(stage.folder / "beside", stage.upstream)
    stage.upstream.pace(0)
    small = Scenario(name="small", shape="chat", rate=250)
    seconds = max(4.0, stage.seconds * 2)
    found: Figures = {}
    try:
        for name, target in (("nginx", stage.nginx), ("metis", metis)):
            for kind, upload_s in (("alone", None), ("beside slow", 1.0), ("beside fast", 0.0)):
                large = plan_for(target, _BIG, seconds + 1)
                plan = plan_for(target, small, seconds)
                assert large is not None
                assert plan is not None
                large.connections = 8
                beside = None
                if upload_s is not None:
                    large.upload_s, large.spread_s = upload_s, upload_s
                    beside = Running(large)
                    time.sleep(1.2)
                figures = Running(plan).figures()
                bodies = beside.figures() if beside else None
                found[f"{name} {kind}: p50 ms"] = figures.latency_ms[0]
                found[f"{name} {kind}: p99 ms"] = figures.latency_ms[2]
                if bodies is not None:
                    alone = found[f"{name} alone: p99 ms"]
                    found[f"{name} {kind}: p99 in that of alone"] = figures.latency_ms[2] / alone
                    found[f"{name} {kind}: bodies a second"] = bodies.requests / bodies.seconds
                    found[f"{name} {kind}: errors"] = figures.errors + bodies.errors
        return found
    finally:
        metis.stop()


def large_bodies(stage: Stage) -> Figures:
    """CPU of a body by its size, in nginx's of the same round, and the memory that a 5 MB one takes."""
    metis = Metis(stage.folder / "large", stage.upstream)
    found: Figures = {}
    try:
        for size in (600_000, 1_200_000, 2_500_000, 5_000_000):
            scenario = Scenario(name=str(size), shape="chat", connections=1, body_bytes=size)
            rows = [measure(one, scenario, 1.0, stage.upstream) for one in (stage.nginx, metis)]
            for name, row in zip(("nginx", "metis"), rows, strict=True):
                assert row is not None
                found[f"{name} {size / 1e6:g} MB: CPU ms"] = row.cpu_us / 1000
                found[f"{name} {size / 1e6:g} MB: CPU ms per MB"] = row.cpu_us / 1000 / (size / 1e6)
    finally:
        metis.stop()
    metis = Metis(stage.folder / "peak", stage.upstream)
    try:
        measure(metis, _SMALL, 0.5, stage.upstream)
        worker = metis.measured()[0]
        before = rss_mb(worker)
        forget_peak(worker)
        plan = plan_for(metis, _BIG, 0.001)
        assert plan is not None
        Running(plan).figures()
        found["memory one 5 MB body takes, in its size"] = (peak_mb(worker) - before) / (
            5e6 / 2**20
        )
        forget_peak(worker)
        plan = plan_for(metis, _BIG, 1.0)
        assert plan is not None
        plan.connections = 8
        Running(plan).figures()
        found["memory eight 5 MB bodies take, in their size"] = (peak_mb(worker) - before) / (
            8 * 5e6 / 2**20
        )
        found["worker RSS after them MB"] = rss_mb(worker)
        return found
    finally:
        metis.stop()


def codec_speed(stage: Stage) -> Figures:
    """Decoding, encoding and folding in this process, without a gateway."""
    return codec.measure(max(_FEWEST_ROUNDS, stage.rounds), stage.seconds)


SPECIALS: Final[dict[str, Callable[[Stage], Figures]]] = {
    "start and memory": start_and_memory,
    "two workers": two_workers,
    "5000 slow streams": many_streams,
    "small requests beside 5 MB bodies": beside_large_bodies,
    "large bodies": large_bodies,
    "codec speed": codec_speed,
}
LIMITS: Final = {
    "cold start ms, median of 3": 400.0,
    "worker RSS idle MB": 70.0,
    "worker RSS after load MB": 110.0,
    "CPU per request, two workers' sum in one's": 1.15,
    "the busier worker's share of 256 connections": 0.6,
    "errors": 0.0,
    "errors during two drains": 0.0,
    "worker RSS at its peak MB": 400.0,
    "memory one 5 MB body takes, in its size": 2.0,
    "metis beside slow: p99 in that of alone": 2.0,
    "metis beside fast: p99 in that of alone": 2.0,
    **codec.most(),
}
FLOORS: Final = codec.least()


def bound(figure: str, value: float) -> tuple[str, bool]:
    """What the figure is held to, in words ("" when to nothing), and whether it holds."""
    if figure in LIMITS:
        return f"at most {LIMITS[figure]:g}", value <= LIMITS[figure]
    if figure in FLOORS:
        return f"at least {FLOORS[figure]:g}", value >= FLOORS[figure]
    return "", True
