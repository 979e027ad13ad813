"""A real gateway for tests: `metis up` as its own process, on free ports, with its own data directory."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


class Gateway:
    """Start with a metis.toml's text; `url`, `key`, `admin_url` and `admin_token` are there once it serves."""

    def __init__(
        self, folder: Path, config: str, *options: str, environment: dict[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "gateway.log"
        ready = folder / "ready.json"
        ready.unlink(missing_ok=True)
        config_file = folder / "metis.toml"
        config_file.write_text(config)
        command = [sys.executable, "-m", "metis", "up", "--port", "0", "--admin-port", "0"]
        command += ["--data", str(self.data), "--config", str(config_file)]
        command += ["--ready-file", str(ready), "--quiet", *options]
        clean = {"PATH": os.environ["PATH"], "HOME": str(folder), **(environment or {})}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=clean, stdout=log, stderr=log)
        said = _wait_for(ready, self.process, self.log)
        self.url: str = said["url"]
        self.admin_url: str = said["admin_url"]
        self.key: str = said["key"]
        self.admin_token: str = said["admin_token"]
        self.port = int(self.url.rsplit(":", 1)[1])

    def stop(self, *, timeout_s: float = 30) -> int:
        """SIGTERM, and wait until everything is recorded. Gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL the supervisor and all its children."""
        for pid in [*children(self.process.pid), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(10)

    def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        """Read the ledger."""
        with sqlite3.connect(f"file:{self.data / 'metis.db'}?mode=ro", uri=True) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, arguments)]

    def wait_for_rows(self, query: str, count: int, timeout_s: float = 10) -> list[dict[str, Any]]:
        """Read the ledger until it has `count` rows: recording follows the answer within moments."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.rows(query)
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.05)


def children(pid: int) -> list[int]:
    """The direct children of a process, from /proc."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def _wait_for(ready: Path, process: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if ready.exists():
            return json.loads(ready.read_text())
        if process.poll() is not None:
            break
        time.sleep(0.01)
    process.kill()
    raise AssertionError(f"the gateway did not start:\n{log.read_text()[-4000:]}")
