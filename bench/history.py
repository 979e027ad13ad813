"""A run as a small JSON file: when, on what machine, which commit, and every median with its spread."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from bench.report import Summary
from metis.turn import machine as turn_machine

FOLDER: Final = Path(__file__).parent / "history"


class Start(msgspec.Struct, kw_only=True, frozen=True):
    """A target's start and memory in MB: of its compared processes and of all others it runs."""

    cold_start_ms: float
    idle_mb: tuple[float, float]
    after_mb: tuple[float, float]

    def text(self) -> str:
        def both(pair: tuple[float, float]) -> str:
            return f"{pair[0]:.0f} MB" + (f" + {pair[1]:.0f}" if pair[1] else "")

        return (
            f"first answer after {self.cold_start_ms:.0f} ms, RSS idle {both(self.idle_mb)}, "
            f"after load {both(self.after_mb)}"
        )


class Run(msgspec.Struct, kw_only=True):
    date: str
    commit: str
    machine: str
    rounds: int
    seconds: float
    scenarios: dict[str, dict[str, Summary]]
    specials: dict[str, dict[str, float]]
    starts: dict[str, Start]


def build() -> str:
    """What is measured: "compiled" (see scripts/compile) or "plain" Python, as PYTHONPATH has it."""
    return "plain" if str(turn_machine.__file__).endswith(".py") else "compiled"


def machine() -> str:
    """The processor, how many of it, kernel, Python and build."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    python = platform.python_version()
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python {python}, {build()}"


def circumstances() -> dict[str, str]:
    """Date, commit (with a + when files differ from it) and machine."""
    now = datetime.datetime.now(datetime.UTC)

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
        )
        return done.stdout.strip()

    changed = "+" if git("status", "--porcelain", "--", "../src") else ""
    return {
        "date": now.strftime("%Y-%m-%d %H:%M UTC"),
        "commit": (git("rev-parse", "--short", "HEAD") or "unknown") + changed,
        "machine": machine(),
    }


def encode(run: Run) -> bytes:
    return msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"


def save(run: Run) -> Path:
    """Write it into bench/history, named by its minute and commit. Gives the path."""
    FOLDER.mkdir(exist_ok=True)
    stamp = run.date.removesuffix(" UTC").replace(" ", "-").replace(":", "")
    path = FOLDER / f"{stamp}-{run.commit.rstrip('+')}.json"
    path.write_bytes(msgspec.json.encode(run) + b"\n")
    return path
