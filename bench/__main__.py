"""`make bench`: interleaved rounds of nginx and Metis, CPU per request and per chunk as ratios of one run.

Ratios are what counts: machines are shared and drift, so both sides are measured in turn within a run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import Metis, Nginx, Upstream, cpu_s, pinned, rss_mb


@dataclass(frozen=True)
class Scenario:
    """One load. `per` says what CPU is divided by: requests or chunks. `limit`: the most it may cost, in nginx's."""

    name: str
    path: str
    model: str
    connections: int
    per: str
    stream: bool = False
    pace_ms: int = 0
    body_bytes: int = 1024
    limit: float | None = None
    nginx_path: str = ""


SCENARIOS = (
    Scenario("sync 1 KB chat, c16", "/v1/chat/completions", "gpt-4o", 16, "requests", limit=5.0),
    Scenario(
        "sync 1 KB messages, c16", "/v1/messages", "claude-sonnet-4-5", 16, "requests", limit=5.0
    ),
    Scenario(
        "sync 100 KB chat, c16",
        "/v1/chat/completions",
        "gpt-4o",
        16,
        "requests",
        body_bytes=100_000,
    ),
    Scenario(
        "sync 600 KB chat, c4", "/v1/chat/completions", "gpt-4o", 4, "requests", body_bytes=600_000
    ),
    Scenario(
        "stream 200 paced, chat c16",
        "/v1/chat/completions",
        "gpt-4o",
        16,
        "chunks",
        stream=True,
        pace_ms=5,
        limit=1.5,
    ),
    Scenario(
        "stream 200 paced, messages c16",
        "/v1/messages",
        "claude-sonnet-4-5",
        16,
        "chunks",
        stream=True,
        pace_ms=5,
        limit=1.5,
    ),
    Scenario(
        "stream 200 fast, chat c16", "/v1/chat/completions", "gpt-4o", 16, "chunks", stream=True
    ),
    Scenario(
        "stream 200 paced, messages->chat c16",
        "/v1/messages",
        "claude-crossed",
        16,
        "chunks",
        stream=True,
        pace_ms=5,
    ),
)


def body_for(scenario: Scenario) -> str:
    message = {"role": "user", "content": ""}
    body: dict[str, Any] = {"model": scenario.model, "max_tokens": 256}
    if scenario.stream:
        body["stream"] = True
        if "chat" in scenario.path:
            body["stream_options"] = {"include_usage": True}
    body["messages"] = [message]
    room = scenario.body_bytes - len(json.dumps(body))
    count = max(1, min(200, room // 3000))
    text = "a" * max(1, room // count - 40)
    body["messages"] = [{"role": "user", "content": text} for _ in range(count)]
    return json.dumps(body, separators=(",", ":"))


def run_load(
    target: Nginx | Metis, scenario: Scenario, seconds: float, core: int
) -> dict[str, Any]:
    headers = {"content-type": "application/json", **target.headers}
    if scenario.pace_ms:
        headers["x-pace-ms"] = str(scenario.pace_ms)
    if scenario.path == "/v1/messages":
        headers["anthropic-version"] = "2023-06-01"
    marker = "message_stop" if scenario.path == "/v1/messages" else "[DONE]"
    plan = {
        "host": "127.0.0.1",
        "port": target.port,
        "path": scenario.path,
        "connections": scenario.connections,
        "seconds": seconds,
        "body": body_for(scenario),
        "headers": headers,
        "marker": marker if scenario.stream else "xxxx",
    }
    pids, helpers = target.measured(), target.helpers()
    before, before_helpers = cpu_s(pids), cpu_s(helpers)
    command = [*pinned(core), sys.executable, "-m", "bench.load", json.dumps(plan)]
    if len(command[-1]) > 100_000:
        command[-1] = "-"
    done = subprocess.run(
        command, input=json.dumps(plan), capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise SystemExit(f"the load failed: {done.stderr[-2000:]}")
    outcome = json.loads(done.stdout)
    used, used_helpers = cpu_s(pids) - before, cpu_s(helpers) - before_helpers
    count = outcome[scenario.per]
    if not count or outcome["errors"]:
        raise SystemExit(f"{target.name}, {scenario.name}: {outcome}")
    outcome["cpu_us"] = used / count * 1e6
    outcome["recording_us"] = used_helpers / count * 1e6
    return outcome


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()
    chosen = [scenario for scenario in SCENARIOS if options.only in scenario.name]
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="metis-bench-") as folder, ExitStack() as running:
        upstream = Upstream(core=1)
        running.callback(upstream.stop)
        nginx = Nginx(Path(folder) / "nginx", upstream.port, core=0)
        running.callback(nginx.stop)
        metis = Metis(Path(folder) / "metis", upstream.port, core=0)
        running.callback(metis.stop)
        time.sleep(1)
        idle_mb = rss_mb(metis.worker())
        failed = measure(chosen, (nginx, metis), options, results)
        peak_mb = rss_mb(metis.worker())
    print(f"\ncold start to ready {metis.cold_start_ms:.0f} ms (limit 600)")
    print(f"worker RSS idle {idle_mb:.0f} MB (limit 80), after load {peak_mb:.0f} MB")
    results["cold_start_ms"] = metis.cold_start_ms
    results["rss_mb"] = {"idle": idle_mb, "after": peak_mb}
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=1))
    return 1 if failed else 0


def measure(
    chosen: list[Scenario],
    targets: tuple[Nginx, Metis],
    options: argparse.Namespace,
    results: dict[str, Any],
) -> bool:
    """Run every scenario's rounds; True when one was over its limit."""
    failed = False
    for scenario in chosen:
        rows: dict[str, list[dict[str, Any]]] = {"nginx": [], "metis": []}
        total = len(chosen) * options.rounds
        for number in range(options.rounds):
            for target in targets if number % 2 == 0 else reversed(targets):
                rows[target.name].append(run_load(target, scenario, options.seconds, 1))
            at = chosen.index(scenario) * options.rounds + number + 1
            print(f"\r{at}/{total} {scenario.name:40}", end="", file=sys.stderr, flush=True)
        ratios = [
            mine["cpu_us"] / theirs["cpu_us"]
            for mine, theirs in zip(rows["metis"], rows["nginx"], strict=True)
        ]
        results[scenario.name] = {**rows, "ratio": statistics.median(ratios)}
        good = scenario.limit is None or statistics.median(ratios) <= scenario.limit
        failed = failed or not good
        _print_row(scenario, rows, ratios, good)
    return failed


def _print_row(
    scenario: Scenario, rows: dict[str, list[dict[str, Any]]], ratios: list[float], good: bool
) -> None:
    unit = scenario.per.removesuffix("s")
    said = [spread([row["cpu_us"] for row in rows[name]]) for name in ("nginx", "metis")]
    limit = f" (limit {scenario.limit:g}x{'' if good else ', OVER'})" if scenario.limit else ""
    recording = spread([row["recording_us"] for row in rows["metis"]])
    latency = [statistics.median(row["latency_ms"][0] for row in rows[name]) for name in rows]
    print(
        f"\r{scenario.name:38} CPU us/{unit}: nginx {said[0]:22} metis {said[1]:24}"
        f" ratio {statistics.median(ratios):.2f}{limit}"
        f" + recording {recording}  p50 ms {latency[0]:.2f} -> {latency[1]:.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
