"""Starting what is measured, and reading what it costs: CPU time and memory from /proc."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.err warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_max_body_size 64m; client_body_buffer_size 8m; keepalive_requests 1000000;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"a process to be measured ended with {process.returncode}")
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise SystemExit("a process to be measured did not listen within 30 s")


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting += parents.get(current, [])
    return found


def cpu_s(pids: list[int]) -> float:
    """CPU seconds used so far by these processes, all threads (nanosecond counters of the scheduler)."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


def rss_mb(pid: int) -> float:
    return (
        int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20
    )


def pinned(core: int) -> list[str]:
    """Run on one core where the machine has two and taskset."""
    enough = (os.cpu_count() or 1) > core
    return ["taskset", "-c", str(core)] if enough and shutil.which("taskset") else []


class Upstream:
    def __init__(self, core: int) -> None:
        self.port = free_port()
        command = [*pinned(core), sys.executable, "-m", "bench.upstream", str(self.port)]
        self.process = subprocess.Popen(command)
        wait_port(self.port, self.process)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


class Nginx:
    """The yardstick: nginx as a plain reverse proxy with one worker."""

    name = "nginx"

    def __init__(self, folder: Path, upstream: int, core: int) -> None:
        binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if binary is None:
            raise SystemExit(
                "the benchmark compares with nginx; install it (apt-get install nginx)"
            )
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        conf = folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=folder, upstream=upstream, port=self.port))
        self.headers: dict[str, str] = {}
        self.process = subprocess.Popen([*pinned(core), binary, "-p", str(folder), "-c", str(conf)])
        wait_port(self.port, self.process)
        self.cold_start_ms = 0.0

    def measured(self) -> list[int]:
        return family(self.process.pid)

    def helpers(self) -> list[int]:
        return []

    def worker(self) -> int:
        return self.measured()[-1]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


class Metis:
    """A gateway with everything on. Its worker is what is compared; the rest is reported beside it."""

    name = "metis"

    def __init__(self, folder: Path, upstream: int, core: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config, ready = folder / "metis.toml", folder / "ready.json"
        ready.unlink(missing_ok=True)
        config.write_text(
            "[providers.openai]\n"
            f'base_url = "http://127.0.0.1:{upstream}/v1"\napi_key_env = "BENCH_KEY"\n'
            "[providers.anthropic]\n"
            f'base_url = "http://127.0.0.1:{upstream}"\napi_key_env = "BENCH_KEY"\n'
            '[catalog.aliases]\n"claude-crossed" = "openai/gpt-4o"\n'
        )
        command = [*pinned(core), sys.executable, "-m", "metis", "up", "--port", "0"]
        command += ["--admin-port", "0", "--config", str(config), "--data", str(folder / "data")]
        command += ["--ready-file", str(ready), "--quiet"]
        environment = {**os.environ, "BENCH_KEY": "sk-bench"}
        began = time.perf_counter()
        self.process = subprocess.Popen(command, env=environment)
        while not ready.exists():
            if self.process.poll() is not None or time.perf_counter() - began > 30:
                self.process.kill()
                raise SystemExit("metis did not start; its message is above")
            time.sleep(0.002)
        self.cold_start_ms = (time.perf_counter() - began) * 1000
        said = json.loads(ready.read_text())
        self.port = int(said["url"].rsplit(":", 1)[1])
        self.headers = {"authorization": f"Bearer {said['key']}"}

    def measured(self) -> list[int]:
        return [self.worker()]

    def helpers(self) -> list[int]:
        """Everything else of it: the recorder above all, which folds what the worker wrote down."""
        return [pid for pid in family(self.process.pid) if pid != self.worker()]

    def worker(self) -> int:
        """The worker is the child that holds a spool open."""
        for pid in family(self.process.pid)[1:]:
            if _holds_spool(pid):
                return pid
        raise SystemExit("no worker was found")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def _holds_spool(pid: int) -> bool:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = link.readlink()
        except OSError:
            continue
        if target.name == "lock" and "spool" in target.parts:
            return True
    return False
