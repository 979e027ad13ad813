"""Bodies that are read in steps: what comes of them is what comes of small ones, and nobody waits for all of one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.client import PATHS, request_for
from tests.inprocess import InProcessGateway
from tests.two_providers import MODELS, Pair, ask, two_providers
from tests.upstream import FakeUpstream

CONFIG = """
[catalog.aliases]
"gpt-renamed" = "openai/gpt-4o"
"""
SIZE = 3_000_000


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


def large(shape: str, model: str | None = None, **more: Any) -> bytes:
    body = request_for(shape, model or MODELS[shape], "é" * (SIZE // 2), **more)
    return json.dumps(body, ensure_ascii=False).encode()


@pytest.mark.parametrize("shape", list(PATHS))
def test_a_large_body_leaves_as_it_came_and_its_turn_is_whole(
    gateway: InProcessGateway, upstream: FakeUpstream, shape: str
) -> None:
    body = large(shape)
    assert ask(gateway, shape, body).status == 200
    assert upstream.seen[-1].body == body
    query = "SELECT outcome, features FROM turns ORDER BY id DESC LIMIT 1"
    (turn,) = gateway.rows(query)
    assert turn["outcome"] == "ok"
    assert json.loads(turn["features"])["request_bytes"] == len(body)


def test_a_large_body_is_edited_where_a_small_one_would_be(
    gateway: InProcessGateway, upstream: FakeUpstream
) -> None:
    body = large("openai_chat", "gpt-renamed")
    assert ask(gateway, "openai_chat", body).status == 200
    assert upstream.seen[-1].body == body.replace(b'"gpt-renamed"', b'"gpt-4o"', 1)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda body: body[:-1], "not valid JSON"),
        (lambda body: body.replace("é".encode(), b"\xff\xff", 1), "not valid JSON"),
        (lambda body: b"[" + body + b"]", "must be a JSON object"),
        (lambda body: body[:-1] + b',"model":"gpt-4o"}', "twice"),
        (lambda body: body.replace(b'"gpt-4o"', b"7", 1), "must be a string"),
    ],
)
def test_what_is_wrong_in_a_large_body_is_said_as_of_a_small_one(
    gateway: InProcessGateway, upstream: FakeUpstream, spoil: Any, said: str
) -> None:
    called = len(upstream.seen)
    reply = ask(gateway, "openai_chat", spoil(large("openai_chat")))
    assert reply.status == 400
    assert said in reply.json["error"]["message"]
    assert len(upstream.seen) == called
    assert gateway.rows("SELECT 1 FROM calls WHERE state = 'open'") == []


def test_small_requests_and_many_large_ones_are_all_answered(
    gateway: InProcessGateway,
) -> None:
    body, small = large("openai_chat"), json.dumps(request_for("openai_chat", "gpt-4o")).encode()
    statuses: list[int] = []
    asked = [
        threading.Thread(target=lambda: statuses.append(ask(gateway, "openai_chat", body).status))
        for _ in range(6)
    ]
    for thread in asked:
        thread.start()
    statuses += [ask(gateway, "openai_chat", small).status for _ in range(20)]
    for thread in asked:
        thread.join()
    assert statuses == [200] * 26
