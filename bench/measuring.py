"""One load on one target, with what it cost: CPU of the compared processes and of all, latencies, errors."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

import msgspec

from bench.answers import CHUNKS, MARKS
from bench.load import Figures, Plan
from bench.processes import LOAD_CORE, bounded, cpu_s, pinned, settle
from bench.scenarios import Scenario
from bench.targets import Target, Upstream

# Streams that begin this far apart neither start nor tick in step.
_SPREAD_S: Final = 0.205
_PATIENCE_S: Final = 60.0


class Row(msgspec.Struct, kw_only=True):
    """One run. CPU in microseconds per request or chunk; `all_us` with what runs beside, such as a recorder.

    `load_share`: the part of the load's core that load and upstream used together; near 1, they were the limit.
    """

    per_second: float
    latency_ms: list[float]
    first_chunk_ms: list[float]
    cpu_us: float
    all_us: float
    load_share: float
    errors: int = 0
    first_error: str = ""


class Running:
    """A load that was started and not waited for."""

    def __init__(self, plan: Plan) -> None:
        self._most_s = plan.seconds + _PATIENCE_S
        command = [*bounded(self._most_s), *pinned(LOAD_CORE), sys.executable, "-m", "bench.load"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(plan))
        self._process.stdin.close()
        self._process.stdin = None

    def figures(self) -> Figures:
        """Wait for its end. Raises SystemExit when it failed."""
        said, wrong = self._process.communicate(timeout=self._most_s + 20)
        if self._process.returncode:
            raise SystemExit(f"the load failed: {wrong.decode()[-2000:]}")
        return msgspec.convert(json.loads(said), Figures)


def plan_for(target: Target, scenario: Scenario, seconds: float) -> Plan | None:
    """The load of this scenario on this target; None when the target cannot be asked for it."""
    request = target.request_for(scenario)
    if request is None:
        return None
    return Plan(
        port=target.port_for(scenario),
        request=request,
        seconds=seconds,
        connections=scenario.connections,
        rate=scenario.rate,
        mark=MARKS[scenario.shape].decode() if scenario.stream else "",
        marks=CHUNKS if scenario.stream else 0,
        spread_s=_SPREAD_S if scenario.pace_us else 0.0,
    )


def measure(target: Target, scenario: Scenario, seconds: float, upstream: Upstream) -> Row | None:
    """Put the scenario's load on the target; None when it cannot be asked for it."""
    plan = plan_for(target, scenario, seconds)
    if plan is None:
        return None
    upstream.pace(scenario.pace_us)
    served = upstream.served()
    compared, others, loading = target.measured(), target.others(), upstream.own()
    if others:
        settle(others)
    before, before_all = cpu_s(compared), cpu_s(others)
    before_load = cpu_s(loading)
    figures = Running(plan).figures()
    used, used_load = cpu_s(compared) - before, cpu_s(loading) - before_load + figures.cpu_s
    if others:
        settle(others)
    used_all = used + cpu_s(others) - before_all
    count = figures.requests if scenario.per == "requests" else figures.chunks
    errors, why = figures.errors, figures.first_error
    asked = upstream.served() - served
    if asked < figures.requests:
        errors, why = errors + 1, f"{figures.requests} answers of {asked} calls"
    return Row(
        per_second=round(count / figures.seconds, 1),
        latency_ms=figures.latency_ms,
        first_chunk_ms=figures.first_chunk_ms,
        cpu_us=round(used / count * 1e6, 2) if count else 0.0,
        all_us=round(used_all / count * 1e6, 2) if count else 0.0,
        load_share=round(used_load / figures.seconds, 2),
        errors=errors,
        first_error=why[:300],
    )
