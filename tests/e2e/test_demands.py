"""Demands through a gateway: what a pinned key or x-metis-model cannot have is refused, never replaced."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.client import PATHS, request_for, send
from tests.two_providers import Pair, two_providers

from metis.accounts.keys import KeySpec

REQUEST = request_for("anthropic_messages", "claude-opus-4-5")
PATH = PATHS["anthropic_messages"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_providers(tmp_path_factory.mktemp("demands"), "") as made:
        yield made


def test_a_pin_that_nobody_serves_answers_404(pair: Pair) -> None:
    gateway, upstream = pair
    key = gateway.make_key(KeySpec(pinned_model="nope-9"))
    reply = send(gateway.port, PATH, REQUEST, {"x-api-key": key})
    assert (reply.status, "'nope-9'" in reply.json["error"]["message"]) == (404, True)
    assert upstream.seen == []


def test_a_pin_is_not_left_with_a_credential_of_the_clients(pair: Pair) -> None:
    gateway, upstream = pair
    key = gateway.make_key(KeySpec(pinned_model="gpt-4o"))
    headers = {"x-metis-key": key, "authorization": "Bearer sk-ant-oat-client"}
    reply = send(gateway.port, PATH, REQUEST, headers)
    assert (reply.status, "pinned" in reply.json["error"]["message"]) == (403, True)
    assert upstream.seen == []


def test_a_header_that_nobody_serves_answers_404(pair: Pair) -> None:
    gateway, upstream = pair
    headers = {"x-api-key": gateway.key, "x-metis-model": "nope-9"}
    assert send(gateway.port, PATH, REQUEST, headers).status == 404
    assert upstream.seen == []


def test_auto_in_the_header_demands_nothing(pair: Pair) -> None:
    gateway, upstream = pair
    headers = {"x-api-key": gateway.key, "x-metis-model": "auto"}
    reply = send(gateway.port, PATH, REQUEST, headers)
    assert (reply.status, reply.headers["x-metis-route"].partition(";")[0]) == (200, "requested")
    upstream.seen.clear()
