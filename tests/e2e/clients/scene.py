"""One scene: a fake upstream, a real gateway before it, and a client's script run through the gateway.

Run as `python -m tests.e2e.clients.scene`, mostly in a network namespace of its own: a Scene as JSON on stdin, an
Outcome as JSON on stdout. What upstream and gateway wrote down stays in the scene's folder.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.gateway import Gateway

REQUESTS = "requests.jsonl"
# Long enough that a lone slow machine passes, short enough that a client that waits for ever is seen.
CLIENT_TIMEOUT_S = 60


@dataclass
class Scene:
    """`config` may say {upstream}. `client` is the script to run, `upstream` the program that answers."""

    folder: str
    config: str
    client: str
    upstream: str
    environment: dict[str, str] = field(default_factory=dict)
    scenario: str = "ok"


@dataclass
class Outcome:
    """`gateway_exit` is 0 when the gateway stopped in good order."""

    exit: int
    said: str
    gateway_exit: int


def play(scene: Scene) -> Outcome:
    folder = Path(scene.folder)
    port = _free_port()
    (folder / REQUESTS).touch()
    command = [sys.executable, scene.upstream, "--port", str(port), "--scenario", scene.scenario]
    upstream = subprocess.Popen(
        [*command, "--log", str(folder / REQUESTS)], stdout=sys.stderr, stderr=sys.stderr
    )
    try:
        _wait_for(port, upstream)
        config = scene.config.replace("{upstream}", f"http://127.0.0.1:{port}")
        gateway = Gateway(folder, config, environment={"UPSTREAM_KEY": "sk-upstream-0000"})
        try:
            ran = subprocess.run(
                ["bash", scene.client, gateway.url],
                env={**os.environ, **scene.environment, "KEY": gateway.key},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
        finally:
            left = gateway.stop()
        died = upstream.poll()
        if died is not None:
            raise SystemExit(f"the fake upstream ended in the middle of the scene: {died}")
        return Outcome(ran.returncode, ran.stdout, left)
    finally:
        upstream.kill()
        upstream.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit("the fake upstream did not start")


if __name__ == "__main__":
    print(json.dumps(asdict(play(Scene(**json.load(sys.stdin))))))
