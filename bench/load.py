"""The benchmark's load: closed-loop clients over keep-alive connections, in a process of its own.

`python -m bench.load JSON` with url, path, connections, seconds, body, headers, stream; prints one JSON line with
requests, errors and latencies.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from typing import Any

import uvloop


class Outcome:
    def __init__(self) -> None:
        self.requests = 0
        self.chunks = 0
        self.errors = 0
        self.first_error = ""
        self.latencies_ms: list[float] = []
        self.first_byte_ms: list[float] = []

    def as_json(self, seconds: float) -> dict[str, Any]:
        def quantiles(values: list[float]) -> list[float]:
            if len(values) < 2:
                return [*values, 0.0, 0.0][:2]
            cuts = statistics.quantiles(values, n=100)
            return [round(cuts[49], 3), round(cuts[98], 3)]

        return {
            "requests": self.requests,
            "chunks": self.chunks,
            "errors": self.errors,
            "first_error": self.first_error,
            "seconds": round(seconds, 3),
            "latency_ms": quantiles(self.latencies_ms),
            "first_byte_ms": quantiles(self.first_byte_ms),
        }


async def _read_answer(
    reader: asyncio.StreamReader, outcome: Outcome, began: float
) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        last, first = b"", True
        while True:
            size = int((await reader.readuntil(b"\r\n"))[:-2], 16)
            data = await reader.readexactly(size + 2)
            if size == 0:
                return status, last
            if first:
                outcome.first_byte_ms.append((time.perf_counter() - began) * 1000)
                first = False
            outcome.chunks += data.count(b"data: ")
            last = data
    start = lowered.index(b"content-length:") + 15
    length = int(lowered[start : lowered.index(b"\r\n", start)])
    return status, await reader.readexactly(length)


async def _client(plan: dict[str, Any], outcome: Outcome, until: float) -> None:
    host, port = plan["host"], plan["port"]
    body = plan["body"].encode()
    lines = [f"POST {plan['path']} HTTP/1.1", f"host: {host}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in plan["headers"].items()]
    request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    marker = plan["marker"].encode()
    pause_s = plan.get("pause_s", 0.0)
    reader, writer = await asyncio.open_connection(host, port, limit=2**24)
    while (began := time.perf_counter()) < until:
        writer.write(request)
        try:
            status, tail = await _read_answer(reader, outcome, began)
        except (asyncio.IncompleteReadError, ConnectionError) as exc:
            outcome.errors += 1
            outcome.first_error = outcome.first_error or repr(exc)
            reader, writer = await asyncio.open_connection(host, port, limit=2**24)
            continue
        if status != 200 or marker not in tail:
            outcome.errors += 1
            outcome.first_error = outcome.first_error or f"{status} {tail[:200]!r}"
        outcome.requests += 1
        outcome.latencies_ms.append((time.perf_counter() - began) * 1000)
        if pause_s:
            await asyncio.sleep(pause_s)
    writer.close()


async def _run(plan: dict[str, Any]) -> None:
    outcome = Outcome()
    began = time.perf_counter()
    until = began + plan["seconds"]
    await asyncio.gather(*(_client(plan, outcome, until) for _ in range(plan["connections"])))
    print(json.dumps(outcome.as_json(time.perf_counter() - began)))


if __name__ == "__main__":
    said = sys.stdin.read() if sys.argv[1] == "-" else sys.argv[1]
    uvloop.run(_run(json.loads(said)))
