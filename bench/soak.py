"""`make soak`: a real gateway with two workers under everything at once, for half an hour or as long as is said.

Clients of all shapes, crossed or not, whole and streaming, some of whom hang up; an upstream that errs, cuts, dawdles
and refuses; a worker that is drained or killed in turn. At the end memory and descriptors are flat, the ledger says
what the upstream counted, and nothing came that was not called for.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import msgspec
import uvloop

from bench.faults import Served
from bench.processes import (
    end_on_sigterm,
    family,
    free_port,
    open_descriptors,
    rss_mb,
    settle,
    start,
    stop,
    wait_port,
)
from bench.soak_checks import Call, flat, ledger_against_upstream, same_descriptors
from bench.soak_clients import Answer, Ask, Client, Tally, wish
from bench.targets import Metis, certificates

_CLIENTS: Final = 40
_THINK_S: Final = 0.25
_WARM: Final = 0.25  # of the whole time
_AT_REST_S: Final = 2.5
_GRACE_S: Final = 1.0


class FaultyUpstream:
    """`bench.faults` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        self.secure_port = free_port()  # nothing listens there, and nothing is sent there
        self.authority, _, _ = certificates(folder)
        log = folder / "faults.log"
        command = [sys.executable, "-m", "bench.faults", str(self.port)]
        self._process = start(command, core=None, log=log, seconds=7200)
        wait_port(self.port, self._process, log)

    def served(self) -> list[Served]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/__served")
        return msgspec.json.decode(connection.getresponse().read(), type=list[Served])

    def stop(self) -> None:
        stop(self._process)


@dataclass
class Watch:
    """What is sampled while it goes on. The first worker is drained and killed; the second lives as long as the run."""

    metis: Metis
    steady: int
    samples: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    at_rest: list[dict[str, int]] = field(default_factory=list[dict[str, int]])
    drains: int = 0
    kills: list[float] = field(default_factory=list[float])

    def named(self) -> dict[str, int]:
        """The processes that live as long as the run, by what they are."""
        others = [pid for pid in self.metis.others() if _is_python(pid)]
        names = ("supervisor", "control process")
        return {"worker": self.steady, **dict(zip(names, others, strict=False))}

    def sample(self) -> None:
        for name, pid in self.named().items():
            self.samples.setdefault(name, []).append(rss_mb(pid))

    def descriptors(self) -> None:
        self.at_rest.append({name: open_descriptors(pid) for name, pid in self.named().items()})

    def disturb(self) -> None:
        """Drain the other worker, or every third time kill it."""
        for pid in self.metis.measured():
            if pid != self.steady:
                last = (self.drains + len(self.kills)) % 3 == 2
                os.kill(pid, signal.SIGKILL if last else signal.SIGTERM)
                if last:
                    self.kills.append(time.monotonic())
                else:
                    self.drains += 1
                return


def _is_python(pid: int) -> bool:
    return b"metis" in Path(f"/proc/{pid}/cmdline").read_bytes() and not Path(
        f"/proc/{pid}/exe"
    ).resolve().name.startswith(("timeout", "setpriv", "taskset"))


class Soak:
    def __init__(self, metis: Metis, seconds: float, seed: int) -> None:
        self._seconds, self._chance = seconds, Random(seed)
        self.tally = Tally()
        self.watch = Watch(metis, metis.measured()[-1])
        self._clients = [Client(metis.port, metis.key, self.tally) for _ in range(_CLIENTS)]
        self._going = asyncio.Event()
        self._busy = 0
        self._idle = asyncio.Event()
        self._over = False

    async def run(self) -> None:
        """Clients at work; a rest after the warm-up and at the end; a disturbance each tenth of the rest."""
        began = time.monotonic()
        self._going.set()
        tasks = [asyncio.create_task(self._client(one)) for one in self._clients]
        every_s = max(12.0, min(60.0, self._seconds / 10))
        warm_at = began + self._seconds * _WARM
        disturb_at = began + every_s
        rested = False
        while (now := time.monotonic()) < began + self._seconds:
            await asyncio.sleep(min(1.0, self._seconds / 100))
            self.watch.sample()
            if now >= disturb_at:
                self.watch.disturb()
                disturb_at += every_s
            if now >= warm_at and not rested:
                rested = True
                await self._rest()
            self._say(now - began)
        self._over = True
        await asyncio.gather(*tasks)
        await self._rest()

    async def _client(self, client: Client) -> None:
        chance = Random(self._chance.random())
        while not self._over:
            await self._going.wait()
            self._busy += 1
            self._idle.clear()
            await client.ask(wish(chance))
            self._busy -= 1
            if not self._busy:
                self._idle.set()
            await asyncio.sleep(chance.expovariate(1 / _THINK_S))
        client.close()

    async def _rest(self) -> None:
        """Let every request end and every connection close, and count descriptors."""
        self._going.clear()
        if self._busy:
            await self._idle.wait()
        for client in self._clients:
            client.close()
        await asyncio.sleep(_AT_REST_S)
        self.watch.descriptors()
        self._going.set()

    def _say(self, gone_s: float) -> None:
        if sys.stderr.isatty():
            tally = self.tally
            print(
                f"\r{gone_s:.0f}/{self._seconds:.0f} s, {tally.asked} asked, {tally.left} left, "
                f"{len(tally.wrong)} wrong ",
                end="",
                file=sys.stderr,
                flush=True,
            )


def unforgiven(
    wrong: list[tuple[Ask, Answer, str]], kills: list[float]
) -> list[tuple[Ask, Answer, str]]:
    """What went wrong without a worker being killed under it."""
    return [
        (ask, answer, said)
        for ask, answer, said in wrong
        if not any(answer.began - _GRACE_S <= kill <= answer.ended for kill in kills)
    ]


def ledger(data: Path) -> list[Call]:
    columns = ", ".join(Call.__struct_fields__)
    with sqlite3.connect(f"file:{data / 'metis.db'}?mode=ro", uri=True) as connection:
        rows = connection.execute(f"SELECT {columns} FROM calls").fetchall()
    return [Call(**dict(zip(Call.__struct_fields__, row, strict=True))) for row in rows]


def _failures(soak: Soak, metis: Metis, upstream: FaultyUpstream, code: int) -> list[str]:
    """Everything that must hold, and does not; figures are printed on the way."""
    watch, tally = soak.watch, soak.tally
    failures: list[str] = []
    for name, samples in watch.samples.items():
        said, good = flat(name, samples, _WARM)
        print(said)
        failures += [] if good else [said]
    for name, count in watch.at_rest[-1].items():
        print(f"{name}: {watch.at_rest[0][name]} descriptors after the warm-up, {count} at the end")
    failures += same_descriptors(watch.at_rest[0], watch.at_rest[-1])
    calls, served = ledger(metis.data), upstream.served()
    # The gateway's own first request, which said that it serves, is one of them.
    interrupted = sum(call.outcome == "interrupted" for call in calls)
    print(
        f"ledger: {len(calls)} calls, {interrupted} interrupted; upstream: {len(served)} requests"
    )
    failures += ledger_against_upstream(calls, served, kills=len(watch.kills))
    wrong = unforgiven(tally.wrong, watch.kills)
    print(
        f"clients: {tally.asked} requests, {tally.answered} answered as they had to be, {tally.left} hung up, "
        f"{tally.retried} asked again on a closed connection, {len(tally.wrong)} failed, "
        f"{len(tally.wrong) - len(wrong)} of them with a worker that was killed"
    )
    failures += [f"{ask}: {said}" for ask, _, said in wrong[:10]]
    print(f"workers: {watch.drains} drained, {len(watch.kills)} killed; exit code {code}")
    failures += [] if code == 0 else [f"the gateway ended with {code}"]
    spools = [path for path in (metis.data / "spool").rglob("*") if path.is_file()]
    failures += [f"{len(spools)} spool files were left unrecorded"] if spools else []
    log = metis.log.read_text(errors="replace")
    if "Traceback" in log:
        at = log.index("Traceback")
        failures.append(f"the gateway's log has a traceback: {log[at : at + 1500]}")
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", action="store_true", help="keep data and logs, and say where")
    options = parser.parse_args()
    end_on_sigterm()
    with ExitStack() as running:
        name = (
            tempfile.mkdtemp(prefix="metis-soak-")
            if options.keep
            else running.enter_context(tempfile.TemporaryDirectory(prefix="metis-soak-"))
        )
        folder = Path(name)
        upstream = FaultyUpstream(folder / "upstream")
        running.callback(upstream.stop)
        metis = Metis(folder / "metis", upstream, workers=2, core=None)
        running.callback(metis.stop)
        soak = Soak(metis, options.seconds, options.seed)
        uvloop.run(soak.run())
        settle(family(metis.process.pid if metis.process else 0))
        assert metis.process is not None
        metis.process.terminate()
        code = metis.process.wait(120)
        print(f"\nsoak of {options.seconds:g} s, seed {options.seed}")
        failures = _failures(soak, metis, upstream, code)
    if options.keep:
        print(f"kept: {folder}")
    for failure in failures:
        print(f"FAILED: {failure}")
    print("soak failed" if failures else "soak passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
