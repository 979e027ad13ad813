"""Gateways as the conformance suite meets them: how each is configured to forward to one upstream, and asked.

Each is set up as its own documentation says. A model's name decides which upstream API it is reached by, where the
gateway lets it; a gateway that offers an API or a crossing not at all is not tried in it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import metis
from bench.peers import PEERS, cache
from metis.conformance.dialects.dialect import Name

ALIAS: Final = "house-blend"
_MODELS: Final[dict[Name, str]] = {
    "anthropic": "claude-sonnet-4-5",
    "openai": "gpt-4o",
    "responses": "gpt-5",
}
_METIS: Final = """
[providers.anthropic]
base_url = "http://127.0.0.1:{up}"
api_key_env = "ANTHROPIC_API_KEY"
[providers.chat]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{up}/v1"
api_key_env = "OPENAI_API_KEY"
price_provider = "openai"
models = ["gpt-4o"]
[providers.responses]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{up}/v1"
api_key_env = "OPENAI_API_KEY"
shapes = ["openai_responses"]
price_provider = "openai"
models = ["gpt-5"]
[catalog.aliases]
house-blend = "anthropic/claude-sonnet-4-5"
"""
# Cooldowns are off: one scenario's failing upstream must not close the door to the next one's. What the clients of
# other APIs ask of a chat upstream goes by hosted_vllm, since openai/ would be asked by its Responses API.
_LITELLM: Final = """
model_list:
  - model_name: claude-sonnet-4-5
    litellm_params: {{model: anthropic/claude-sonnet-4-5, api_base: "http://127.0.0.1:{up}", api_key: sk-up}}
  - model_name: house-blend
    litellm_params: {{model: anthropic/claude-sonnet-4-5, api_base: "http://127.0.0.1:{up}", api_key: sk-up}}
  - model_name: gpt-4o
    litellm_params: {{model: openai/gpt-4o, api_base: "http://127.0.0.1:{up}/v1", api_key: sk-up}}
  - model_name: gpt-4o-chat
    litellm_params: {{model: hosted_vllm/gpt-4o, api_base: "http://127.0.0.1:{up}/v1", api_key: sk-up}}
  - model_name: gpt-4o-only-chat
    litellm_params: {{model: lm_studio/gpt-4o, api_base: "http://127.0.0.1:{up}/v1", api_key: sk-up}}
  - model_name: gpt-5
    litellm_params: {{model: openai/gpt-5, api_base: "http://127.0.0.1:{up}/v1", api_key: sk-up}}
  - model_name: gpt-5-bridged
    litellm_params: {{model: openai/responses/gpt-5, api_base: "http://127.0.0.1:{up}/v1", api_key: sk-up}}
general_settings: {{master_key: sk-conformance-1234}}
litellm_settings: {{telemetry: false}}
router_settings: {{disable_cooldowns: true}}
"""
_ROLTER_HEAD: Final = """
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
[[virtual_keys]]
key = "sk-rolter-conformance"
name = "conformance"
models = []
disabled = false
"""
_ROLTER_ROUTE: Final = """
[[routes]]
model = "{name}"
strategy = "round_robin"
[[routes.targets]]
provider = "{provider}"
model = "{model}"
"""
_TENSORZERO: Final = """
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true
[object_storage]
type = "disabled"
[models.gpt-4o]
routing = ["openai"]
[models.gpt-4o.providers.openai]
type = "openai"
model_name = "gpt-4o"
api_base = "http://127.0.0.1:{up}/v1/"
api_key_location = "env::OPENAI_API_KEY"
[models.gpt-5]
routing = ["openai"]
[models.gpt-5.providers.openai]
type = "openai"
api_type = "responses"
model_name = "gpt-5"
api_base = "http://127.0.0.1:{up}/v1/"
api_key_location = "env::OPENAI_API_KEY"
[models.claude-sonnet-4-5]
routing = ["anthropic"]
[models.claude-sonnet-4-5.providers.anthropic]
type = "anthropic"
model_name = "claude-sonnet-4-5"
api_base = "http://127.0.0.1:{up}/v1/"
api_key_location = "env::ANTHROPIC_API_KEY"
"""
_TENSORZERO_SERVE: Final = """
import sys, time, pathlib, tensorzero
gateway = tensorzero._start_http_gateway(config_file=sys.argv[1], clickhouse_url=None,
    postgres_url=None, valkey_url=None, async_setup=False)
pathlib.Path(sys.argv[2]).write_text(gateway.base_url)
time.sleep(3600)
"""


@dataclass(frozen=True)
class Place:
    """Where a gateway is started: a folder of its own, its port, and the upstream's."""

    folder: Path
    port: int
    upstream: int

    def file(self, name: str, text: str) -> str:
        """Write a configuration, with `{up}` and `{port}` filled in; gives its path."""
        path = self.folder / name
        path.write_text(text.format(up=self.upstream, port=self.port))
        return str(path)

    @property
    def said(self) -> Path:
        """Where a gateway that chooses its port itself says which."""
        return self.folder / "address"


@dataclass(frozen=True)
class Contender:
    """One gateway. `models` may differ by the client's shape; `headers` by the upstream, made for its port."""

    name: str
    version: str
    command: Callable[[Place], list[str]]
    key: str = "sk-up"
    path: str = ""
    models: Mapping[Name, Mapping[Name, str]] = field(default_factory=dict)
    headers: Callable[[int], Mapping[str, tuple[tuple[str, str], ...]]] = lambda _port: {}
    alias: str | None = ALIAS
    tells_address: bool = False

    def models_for(self, shape: Name) -> dict[Name, str]:
        return {**_MODELS, **self.models.get(shape, {})}


def _metis(place: Place) -> list[str]:
    command = [sys.executable, "-m", "metis", "up", "--port", str(place.port), "--admin-port", "0"]
    command += ["--config", place.file("metis.toml", _METIS), "--data", str(place.folder / "data")]
    return [*command, "--ready-file", str(place.said), "--quiet"]


def _litellm(place: Place) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(place.port), "--num_workers", "1"]
    config = place.file("litellm.yaml", _LITELLM)
    binary = str(cache() / "litellm/bin/litellm")
    return [binary, "--config", config, *options, "--telemetry", "False"]


def _rolter(place: Place) -> list[str]:
    names = {**{model: kind for kind, model in _MODELS.items()}, ALIAS: "anthropic"}
    routes = [
        _ROLTER_ROUTE.format(
            name=name,
            provider="anthropic" if kind == "anthropic" else "openai",
            model=_MODELS[kind],
        )
        for name, kind in names.items()
    ]
    config = place.file("rolter.toml", _ROLTER_HEAD + "".join(routes))
    options = ["--host", "127.0.0.1", "--port", str(place.port)]
    return [str(cache() / "rolter/bin/rolter"), "gateway", "--config", config, *options]


def _tensorzero(place: Place) -> list[str]:
    config = place.file("tensorzero.toml", _TENSORZERO)
    python = str(cache() / "tensorzero/bin/python")
    return [python, "-c", _TENSORZERO_SERVE, config, str(place.said)]


def _portkey(place: Place) -> list[str]:
    server = cache() / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
    return ["node", str(server), f"--port={place.port}", "--headless"]


def _portkey_headers(upstream: int) -> dict[str, tuple[tuple[str, str], ...]]:
    """Portkey is told with each request where it goes."""

    def lines(provider: str) -> tuple[tuple[str, str], ...]:
        root = f"http://127.0.0.1:{upstream}/v1"
        return (("x-portkey-provider", provider), ("x-portkey-custom-host", root))

    return {
        "anthropic": lines("anthropic"),
        "openai": lines("openai"),
        "responses": lines("openai"),
    }


def _tensorzero_models() -> dict[Name, dict[Name, str]]:
    names: dict[Name, str] = {
        kind: f"tensorzero::model_name::{model}" for kind, model in _MODELS.items()
    }
    return {"openai": names}


def _version(name: str) -> str:
    requirement = next(peer.requirement for peer in PEERS if peer.name == name)
    if requirement is not None:
        return requirement.partition("==")[2]
    package = cache() / "portkey/node_modules/@portkey-ai/gateway/package.json"
    return str(json.loads(package.read_text())["version"])


def contenders(names: list[str]) -> list[Contender]:
    """Metis and these peers, which must be installed."""
    known: dict[str, Callable[[str], Contender]] = {
        "litellm": lambda version: Contender(
            "LiteLLM",
            version,
            _litellm,
            key="sk-conformance-1234",
            models={
                "anthropic": {"openai": "gpt-4o-chat"},
                "openai": {"responses": "gpt-5-bridged"},
                "responses": {"openai": "gpt-4o-only-chat"},
            },
        ),
        "portkey": lambda version: Contender(
            "Portkey", version, _portkey, headers=_portkey_headers, alias=None
        ),
        "tensorzero": lambda version: Contender(
            "TensorZero",
            version,
            _tensorzero,
            path="/openai",
            models=_tensorzero_models(),
            alias=None,
            tells_address=True,
        ),
        "rolter": lambda version: Contender(
            "rolter", version, _rolter, key="sk-rolter-conformance"
        ),
    }
    metis_itself = Contender("Metis", metis.__version__, _metis, tells_address=True)
    return [metis_itself, *(known[name](_version(name)) for name in names)]
