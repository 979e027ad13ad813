"""Other gateways beside Metis: how each is installed into an environment of its own, configured, started and asked.

Versions are pinned, so that a figure says what it is of; each is set up as its documentation says, accounting as it
ships, without a database. `python -m bench.peers [NAME...]` installs; what is there already is left alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.answers import SHAPE_PATHS, Shape
from bench.processes import GATEWAY_CORE, free_port, start, wait_port
from bench.targets import Speech, Target, Upstream, first_answer, spoken

_CLAUDE: Final = "claude-sonnet-4-5"
_PORTKEY: Final = {
    "dependencies": {
        "@portkey-ai/gateway": "1.15.2",
        "hono": "4.9.7",
        "@hono/node-server": "1.13.5",
    },
    # Later versions of these answer every stream of this gateway with a 500.
    "overrides": {"hono": "4.9.7", "@hono/node-server": "1.13.5"},
    "private": True,
}
_LITELLM: Final = """
model_list:
  - model_name: gpt-4o
    litellm_params: {{model: openai/gpt-4o, api_base: "http://127.0.0.1:{up}/v1", api_key: sk-bench}}
  - model_name: claude-sonnet-4-5
    litellm_params: {{model: anthropic/claude-sonnet-4-5, api_base: "http://127.0.0.1:{up}", api_key: sk-bench}}
general_settings: {{master_key: sk-bench-1234}}
litellm_settings: {{telemetry: false}}
"""
_ROLTER: Final = """
[server]
host = "127.0.0.1"
port = {port}
[[providers.readonly]]
name = "openai"
kind = "openai"
api_base = "http://127.0.0.1:{up}"
api_key_env = "OPENAI_API_KEY"
[[providers.readonly]]
name = "anthropic"
kind = "anthropic"
api_base = "http://127.0.0.1:{up}"
api_key_env = "ANTHROPIC_API_KEY"
[[routes]]
model = "gpt-4o"
strategy = "round_robin"
[[routes.targets]]
provider = "openai"
model = "gpt-4o"
[[routes]]
model = "claude-sonnet-4-5"
strategy = "round_robin"
[[routes.targets]]
provider = "anthropic"
model = "claude-sonnet-4-5"
[[virtual_keys]]
key = "sk-rolter-bench"
name = "bench"
models = []
disabled = false
"""
_TENSORZERO: Final = """
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true
[models.gpt-4o]
routing = ["openai"]
[models.gpt-4o.providers.openai]
type = "openai"
model_name = "gpt-4o"
api_base = "http://127.0.0.1:{up}/v1/"
api_key_location = "env::OPENAI_API_KEY"
[functions.chat]
type = "chat"
[functions.chat.variants.v]
type = "chat_completion"
model = "gpt-4o"
"""
_TENSORZERO_SERVE: Final = """
import sys, time, pathlib, tensorzero
gateway = tensorzero._start_http_gateway(config_file=sys.argv[1], clickhouse_url=None,
    postgres_url=None, valkey_url=None, async_setup=False)
pathlib.Path(sys.argv[2]).write_text(gateway.base_url)
time.sleep(3600)
"""


@dataclass(frozen=True)
class Peer:
    """One gateway. `requirement` is pip's; None: npm takes `_PORTKEY`. `launch` writes files and gives the command."""

    name: str
    requirement: str | None
    proof: str
    launch: Callable[[Path, Path, int, Upstream], list[str]]
    speaks: dict[Shape, Speech]
    port_file: bool = False


def cache() -> Path:
    """Where peers are installed: `$METIS_BENCH_CACHE`, else in the user's cache directory."""
    given = os.environ.get("METIS_BENCH_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "metis-bench"


def _written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def _litellm(home: Path, folder: Path, port: int, upstream: Upstream) -> list[str]:
    config = _written(folder / "litellm.yaml", _LITELLM.format(up=upstream.port))
    options = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    return [str(home / "bin/litellm"), "--config", config, *options, "--telemetry", "False"]


def _rolter(home: Path, folder: Path, port: int, upstream: Upstream) -> list[str]:
    config = _written(folder / "rolter.toml", _ROLTER.format(up=upstream.port, port=port))
    options = ["--host", "127.0.0.1", "--port", str(port)]
    return [str(home / "bin/rolter"), "gateway", "--config", config, *options]


def _tensorzero(home: Path, folder: Path, port: int, upstream: Upstream) -> list[str]:
    config = _written(folder / "tensorzero.toml", _TENSORZERO.format(up=upstream.port))
    said = str(folder / "tensorzero.port")
    return [str(home / "bin/python"), "-c", _TENSORZERO_SERVE, config, said]


def _portkey(home: Path, folder: Path, port: int, upstream: Upstream) -> list[str]:
    server = home / "node_modules/@portkey-ai/gateway/build/start-server.js"
    return ["node", str(server), f"--port={port}", "--headless"]


def _but_responses(headers: dict[str, str]) -> dict[Shape, Speech]:
    return {shape: one for shape, one in spoken(headers).items() if shape != "responses"}


PEERS: Final = (
    Peer(
        name="rolter",
        requirement="rolter==0.1.0",
        proof="bin/rolter",
        launch=_rolter,
        speaks=_but_responses({"authorization": "Bearer sk-rolter-bench"}),
    ),
    Peer(
        name="tensorzero",
        requirement="tensorzero==2026.6.0",
        proof="lib/python3*/site-packages/tensorzero/__init__.py",
        launch=_tensorzero,
        speaks={
            "chat": Speech(
                "/openai" + SHAPE_PATHS["chat"],
                {"authorization": "Bearer x"},
                "tensorzero::model_name::gpt-4o",
            )
        },
        port_file=True,
    ),
    Peer(
        name="portkey",
        requirement=None,
        proof="node_modules/@portkey-ai/gateway/build/start-server.js",
        launch=_portkey,
        speaks={},
    ),
    Peer(
        name="litellm",
        requirement="litellm[proxy]==1.106.2",
        proof="bin/litellm",
        launch=_litellm,
        speaks=_but_responses({"authorization": "Bearer sk-bench-1234"}),
    ),
)


def _portkey_speech(upstream: Upstream) -> dict[Shape, Speech]:
    """Portkey is told its provider with each request."""

    def headers(provider: str) -> dict[str, str]:
        root = f"http://127.0.0.1:{upstream.port}/v1"
        return {
            "authorization": "Bearer sk-bench",
            "x-portkey-provider": provider,
            "x-portkey-custom-host": root,
        }

    anthropic = {
        **headers("anthropic"),
        "x-api-key": "sk-bench",
        "anthropic-version": "2023-06-01",
    }
    return {
        "chat": Speech(SHAPE_PATHS["chat"], headers("openai")),
        "messages": Speech(SHAPE_PATHS["messages"], anthropic),
    }


def installed(peer: Peer) -> bool:
    return any((cache() / peer.name).glob(peer.proof))


def install(peer: Peer) -> None:
    """Install it from its registry, as it is configured on this machine. Raises SystemExit when that fails."""
    home, uv = cache() / peer.name, str(Path(__file__).parents[1] / "scripts/uv")
    home.mkdir(parents=True, exist_ok=True)
    if peer.requirement is None:
        if shutil.which("npm") is None:
            raise SystemExit("portkey needs node and npm; install them, or name other --peers")
        (home / "package.json").write_text(json.dumps(_PORTKEY))
        commands = [["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]]
    else:
        commands = [
            [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(home)],
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--python",
                str(home / "bin/python"),
                peer.requirement,
            ],
        ]
    for command in commands:
        done = subprocess.run(
            command, cwd=home, capture_output=True, text=True, check=False, timeout=900
        )
        if done.returncode:
            said = (done.stdout + done.stderr)[-2000:]
            raise SystemExit(f"{peer.name} could not be installed:\n{said}")


def chosen(names: str) -> list[Peer]:
    """The peers that `--peers` names: a list with commas, "all", "installed" or "none". Raises SystemExit."""
    match names:
        case "none" | "":
            return []
        case "all":
            return list(PEERS)
        case "installed":
            return [peer for peer in PEERS if installed(peer)]
        case _:
            known = {peer.name: peer for peer in PEERS}
            unknown = [name for name in names.split(",") if name not in known]
            if unknown:
                raise SystemExit(f"unknown peer {unknown[0]!r}; there are {', '.join(known)}")
            return [known[name] for name in names.split(",")]


def launch(peer: Peer, folder: Path, upstream: Upstream) -> Target:
    """Start it and wait for its first good answer."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log, said = free_port(), folder / f"{peer.name}.log", folder / f"{peer.name}.port"
    command = peer.launch(cache() / peer.name, folder, port, upstream)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "OPENAI_API_KEY": "sk-bench",
        "ANTHROPIC_API_KEY": "sk-bench",
        "ROLTER_KEY_PEPPER": "pepper",
        # No calls home, and no price lists from there.
        "DO_NOT_TRACK": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "DISABLE_ADMIN_UI": "True",
        "TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS": "1",
        "NO_PROXY": "127.0.0.1",
    }
    began = time.perf_counter()
    process = start(command, core=GATEWAY_CORE, log=log, environment=environment, folder=folder)
    if peer.port_file:
        while not said.exists() or not said.read_text():
            if process.poll() is not None or time.perf_counter() - began > 60:
                raise SystemExit(f"{peer.name} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.01)
        port = urlsplit(said.read_text()).port or port
    wait_port(port, process, log)
    speaks = peer.speaks or _portkey_speech(upstream)
    target = Target(name=peer.name, port=port, speaks=speaks, process=process)
    first_answer(target)
    target.cold_start_ms = (time.perf_counter() - began) * 1000
    return target


def main(names: list[str]) -> int:
    for peer in chosen(",".join(names) or "all"):
        if installed(peer):
            print(f"{peer.name}: there already")
            continue
        print(f"{peer.name}: installing into {cache() / peer.name}", flush=True)
        install(peer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
