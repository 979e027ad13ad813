"""What a key's calls under way may cost together: refused in the client's shape before anything is called."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.client import PATHS, Reply, request_for
from tests.inprocess import InProcessGateway
from tests.two_providers import MODELS, Pair, ask, two_providers
from tests.upstream import FakeUpstream

CONFIG = """
[accounts]
most_open_usd = "0.05"
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_providers(tmp_path_factory.mktemp("gateway"), CONFIG) as made:
        yield made


@pytest.fixture
def gateway(both: Pair) -> InProcessGateway:
    return both[0]


@pytest.fixture
def upstream(both: Pair) -> FakeUpstream:
    return both[1]


def ask_for(gateway: InProcessGateway, shape: str, tokens: int) -> Reply:
    body = request_for(shape, MODELS[shape])
    body["max_output_tokens" if shape == "openai_responses" else "max_tokens"] = tokens
    return ask(gateway, shape, json.dumps(body).encode())


@pytest.mark.parametrize("shape", list(PATHS))
def test_a_call_over_the_limit_is_refused_in_its_shape_and_never_made(
    gateway: InProcessGateway, upstream: FakeUpstream, shape: str
) -> None:
    for _ in range(3):  # what ended is not held against the next
        assert ask_for(gateway, shape, 500).status == 200
    called = len(upstream.seen)
    refused = ask_for(gateway, shape, 50_000)
    assert (refused.status, len(upstream.seen)) == (429, called)
    assert refused.headers["retry-after"] == "2"
    assert "accounts.most_open_usd" in refused.json["error"]["message"]
    turn = gateway.rows("SELECT outcome, http_status, attempts FROM turns ORDER BY id DESC LIMIT 1")
    assert turn == [{"outcome": "refused", "http_status": 429, "attempts": 0}]
    assert gateway.rows("SELECT 1 FROM calls WHERE state = 'open'") == []


def test_a_limit_of_hundreds_of_digits_is_over_every_limit(gateway: InProcessGateway) -> None:
    assert ask_for(gateway, "openai_chat", 10**325).status == 429


def test_a_token_count_costs_nothing_and_is_never_over_the_limit(
    gateway: InProcessGateway, upstream: FakeUpstream
) -> None:
    body = json.dumps(request_for("anthropic_messages", "claude-sonnet-4-5", "word " * 60_000))
    called = len(upstream.seen)
    reply = ask(gateway, "/v1/messages/count_tokens", body.encode())
    assert reply.status != 429
    assert len(upstream.seen) == called + 1
