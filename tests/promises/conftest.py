"""A real gateway in front of a real upstream, one pair for each test module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.answers import usual
from tests.gateway import Gateway
from tests.upstream import FakeUpstream

CONFIG = """
[providers.anthropic]
base_url = "{url}"
api_key_env = "UPSTREAM_KEY"

[providers.openai]
base_url = "{url}/v1"
api_key_env = "UPSTREAM_KEY"

[providers.chat-only]
kind = "openai"
base_url = "{url}/v1"
api_key_env = "UPSTREAM_KEY"
shapes = ["openai_chat"]
"""
UPSTREAM_KEY = "sk-upstream-secret-5f1c9a7e"


@dataclass
class Pair:
    """A gateway and the upstream behind it. `auth`: headers that carry the gateway's key."""

    gateway: Gateway
    upstream: FakeUpstream

    @property
    def port(self) -> int:
        return self.gateway.port

    @property
    def auth(self) -> dict[str, str]:
        return {"x-api-key": self.gateway.key, "anthropic-version": "2023-06-01"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    upstream = FakeUpstream(usual)
    gateway = Gateway(
        tmp_path_factory.mktemp("gateway"),
        CONFIG.format(url=upstream.url),
        environment={"UPSTREAM_KEY": UPSTREAM_KEY},
    )
    try:
        yield Pair(gateway, upstream)
    finally:
        gateway.stop()
        upstream.close()


@pytest.fixture
def pair(running: Pair) -> Pair:
    """The module's pair, the upstream answering the usual way and its memory empty."""
    running.upstream.handler = usual
    running.upstream.seen.clear()
    return running
