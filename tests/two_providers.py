"""A gateway in this process, with a fake Anthropic and OpenAI behind it that answer as usual."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.answers import usual
from tests.client import PATHS, Reply, send
from tests.inprocess import InProcessGateway
from tests.upstream import FakeUpstream

MODELS = {
    "anthropic_messages": "claude-sonnet-4-5",
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-4o",
}
_PROVIDERS = """
[providers.anthropic]
base_url = "{url}"
api_key_env = "UPSTREAM_KEY"
[providers.openai]
base_url = "{url}/v1"
api_key_env = "UPSTREAM_KEY"
"""
Pair = tuple[InProcessGateway, FakeUpstream]


@contextmanager
def two_providers(folder: Path, more: str) -> Iterator[Pair]:
    """Serve with `more` in metis.toml behind the providers."""
    upstream = FakeUpstream(usual)
    config = _PROVIDERS.format(url=upstream.url) + more
    gateway = InProcessGateway(folder, config, environment={"UPSTREAM_KEY": "k"})
    yield gateway, upstream
    gateway.stop()
    upstream.close()


def ask(gateway: InProcessGateway, path: str, body: bytes) -> Reply:
    """POST to a path, or to the one of an API shape, with the gateway's key."""
    headers = {"x-api-key": gateway.key, "anthropic-version": "2023-06-01"}
    return send(gateway.port, PATHS.get(path, path), body, headers)
