"""What is measured: the upstream itself, nginx as the yardstick, and Metis with everything on."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import trustme

from bench.answers import CHUNKS, SHAPE_PATHS, Shape
from bench.processes import (
    GATEWAY_CORE,
    LOAD_CORE,
    family,
    free_port,
    start,
    stop,
    wait_port,
)
from bench.scenarios import CROSSED, SCENARIOS, SECURE, Scenario, body_for

_NGINX: Final = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.err warn;
events {{ worker_connections 16384; }}
worker_rlimit_nofile 40000;
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_max_body_size 64m; client_body_buffer_size 8m; keepalive_requests 1000000;
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; tcp_nodelay on;
  upstream plain {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000; }}
  upstream tls {{ server 127.0.0.1:{secure}; keepalive 512; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{ proxy_pass http://plain; }}
  }}
  server {{
    listen 127.0.0.1:{tls_port} backlog=2048;
    location / {{ proxy_pass https://tls; }}
  }}
}}
"""
_METIS: Final = """
[gateway]
workers = {workers}
[accounts]
most_open_usd = "1000"
[providers.openai]
base_url = "http://127.0.0.1:{plain}/v1"
api_key_env = "BENCH_KEY"
[providers.anthropic]
base_url = "http://127.0.0.1:{plain}"
api_key_env = "BENCH_KEY"
[providers.only-chat]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{plain}/v1"
api_key_env = "BENCH_KEY"
price_provider = "openai"
models = ["gpt-4o"]
[providers.only-responses]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{plain}/v1"
api_key_env = "BENCH_KEY"
shapes = ["openai_responses"]
price_provider = "openai"
models = ["gpt-4o"]
[providers.secure]
kind = "openai-compatible"
base_url = "https://127.0.0.1:{secure}/v1"
api_key_env = "BENCH_KEY"
price_provider = "openai"
models = ["gpt-4o"]
[upstream]
ca_file = "{authority}"
[catalog.aliases]
{aliases}
"""
_ALIASES: Final = {
    CROSSED["chat"]: "only-chat/gpt-4o",
    CROSSED["messages"]: "anthropic/claude-sonnet-4-5",
    CROSSED["responses"]: "only-responses/gpt-4o",
    SECURE: "secure/gpt-4o",
}


@dataclass(frozen=True)
class Speech:
    """How a gateway is asked for one API shape. `model`: its own name for it, None for the scenario's."""

    path: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    model: str | None = None


@dataclass(kw_only=True)
class Target:
    """A running thing that is measured. `everything`: it can do all scenarios, crossings and TLS included."""

    name: str
    port: int
    speaks: dict[Shape, Speech]
    process: subprocess.Popen[bytes] | None = None
    tls_port: int = 0
    everything: bool = False
    cold_start_ms: float = 0.0
    idle_mb: float = 0.0

    def measured(self) -> list[int]:
        """The processes whose CPU is the price of a request."""
        return family(self.process.pid) if self.process else []

    def others(self) -> list[int]:
        """What else it runs, such as a recorder: its CPU is shown beside."""
        return []

    def request_for(self, scenario: Scenario) -> str | None:
        """The whole HTTP request as text; None when this target cannot be asked for it."""
        if (scenario.upstream or scenario.tls) and not self.everything:
            return None
        speech = self.speaks.get(scenario.shape)
        if speech is None:
            return None
        body = body_for(scenario, speech.model)
        headers = {
            "host": "127.0.0.1",
            "content-type": "application/json",
            "accept": "*/*",
            **speech.headers,
            "content-length": str(len(body.encode())),
        }
        lines = [f"POST {speech.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def port_for(self, scenario: Scenario) -> int:
        return self.tls_port if scenario.tls and self.tls_port else self.port

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)


def spoken(headers: dict[str, str] | None = None) -> dict[Shape, Speech]:
    """All three shapes at their usual paths with these headers."""
    version = {"anthropic-version": "2023-06-01"}
    return {
        shape: Speech(path, {**(headers or {}), **(version if shape == "messages" else {})})
        for shape, path in SHAPE_PATHS.items()
    }


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Write an authority, and a chain and key it signed for this machine."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    paths = folder / "authority.pem", folder / "chain.pem", folder / "key.pem"
    authority.cert_pem.write_to_path(str(paths[0]))
    certificate.cert_chain_pems[0].write_to_path(str(paths[1]))
    certificate.private_key_pem.write_to_path(str(paths[2]))
    return paths


class Provider(Protocol):
    """Where Metis finds its providers: a plain port, one behind TLS, and whose certificates to trust."""

    port: int
    secure_port: int
    authority: Path


class Upstream(Target):
    """The fake provider, plain and over TLS, on the load's core. Asked directly, it is the ceiling of a run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(name="direct", port=free_port(), speaks=spoken(), everything=True)
        folder.mkdir(parents=True, exist_ok=True)
        self.secure_port = free_port()
        self.authority, chain, key = certificates(folder)
        log = folder / "upstream.log"
        ports = [str(self.port), str(self.secure_port)]
        command = [sys.executable, "-m", "bench.upstream", *ports, str(chain), str(key)]
        self.process = start(command, core=LOAD_CORE, log=log)
        wait_port(self.port, self.process, log)

    def request_for(self, scenario: Scenario) -> str | None:
        return None if scenario.tls else super().request_for(scenario)

    def measured(self) -> list[int]:
        return []

    def own(self) -> list[int]:
        return family(self.process.pid) if self.process else []

    def pace(self, pace_us: int, chunks: int = CHUNKS) -> None:
        """Space the chunks of streams that begin from now on, and say how many they have."""
        self._ask(f"/__pace/{pace_us}/{chunks}")

    def served(self) -> int:
        """Requests answered so far."""
        return self._ask("/__stats")["requests"]

    def _ask(self, path: str) -> dict[str, int]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


class Nginx(Target):
    """The yardstick: nginx as a plain reverse proxy with one worker, kept-alive connections and no log."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if binary is None:
            raise SystemExit("nginx is the yardstick here; install it (apt-get install nginx)")
        super().__init__(name="nginx", port=free_port(), speaks=spoken(), everything=True)
        self.tls_port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config, log = folder / "nginx.conf", folder / "nginx.log"
        config.write_text(
            _NGINX.format(
                folder=folder,
                port=self.port,
                tls_port=self.tls_port,
                upstream=upstream.port,
                secure=upstream.secure_port,
            )
        )
        began = time.perf_counter()
        command = [binary, "-p", str(folder), "-e", str(folder / "nginx.err"), "-c", str(config)]
        self.process = start(command, core=GATEWAY_CORE, log=log)
        wait_port(self.port, self.process, log)
        self.cold_start_ms = (time.perf_counter() - began) * 1000


class Metis(Target):
    """A gateway with everything on: keys, routing, prices, ledger. `core`: None lets it use all of them.

    `workers` that are compared; supervisor and recorder are its `others`.
    """

    def __init__(
        self,
        folder: Path,
        upstream: Provider,
        *,
        workers: int = 1,
        core: int | None = GATEWAY_CORE,
        name: str = "metis",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config, ready, log = folder / "metis.toml", folder / "ready.json", folder / f"{name}.log"
        ready.unlink(missing_ok=True)
        aliases = "\n".join(f'"{alias}" = "{model}"' for alias, model in _ALIASES.items())
        config.write_text(
            _METIS.format(
                workers=workers,
                plain=upstream.port,
                secure=upstream.secure_port,
                authority=upstream.authority,
                aliases=aliases,
            )
        )
        self.data = folder / "data"
        command = [sys.executable, "-m", "metis", "up", "--port", "0", "--admin-port", "0"]
        command += ["--config", str(config), "--data", str(self.data)]
        command += ["--ready-file", str(ready), "--quiet"]
        began = time.perf_counter()
        environment = {**os.environ, "BENCH_KEY": "sk-bench"}
        # An installed Metis has its bytecode; compiling all of it would take longer than the start.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        process = start(command, core=core, log=log, environment=environment)
        while not ready.exists():
            if process.poll() is not None or time.perf_counter() - began > 60:
                stop(process)
                raise SystemExit(f"metis did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.002)
        said = json.loads(ready.read_text())
        self.key: str = said["key"]
        self.admin_url: str = said["admin_url"]
        super().__init__(
            name=name,
            port=int(said["url"].rsplit(":", 1)[1]),
            speaks=spoken({"authorization": f"Bearer {said['key']}"}),
            process=process,
            everything=True,
        )
        self.log = log
        first_answer(self)
        self.cold_start_ms = (time.perf_counter() - began) * 1000

    def measured(self) -> list[int]:
        """The workers: the children that hold a spool."""
        return [pid for pid in super().measured() if _holds_spool(pid)]

    def others(self) -> list[int]:
        workers = self.measured()
        return [pid for pid in super().measured() if pid not in workers]


def first_answer(target: Target, most_s: float = 90) -> None:
    """Ask until a good answer comes. Raises SystemExit with the last one when none does."""
    scenario = next(one for one in SCENARIOS if one.shape in target.speaks)
    request = (target.request_for(scenario) or "").encode()
    deadline, last = time.monotonic() + most_s, b""
    while time.monotonic() < deadline:
        if target.process is not None and target.process.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", target.port), 10) as sock:
                sock.sendall(request)
                last = sock.recv(65_536)
        except OSError as exc:
            last = str(exc).encode()
        if last[9:12] == b"200":
            return
        time.sleep(0.01)
    raise SystemExit(f"{target.name} gave no good answer: {last[:500]!r}")


def _holds_spool(pid: int) -> bool:
    try:
        links = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
    for link in links:
        try:
            target = link.readlink()
        except OSError:
            continue
        if target.name == "lock" and "spool" in target.parts:
            return True
    return False
