"""Relayed paths: off by default, then by an allow-list; in the ledger, without a known price."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client import Reply, send
from tests.gateway import Gateway
from tests.upstream import FakeUpstream, Seen, Wire

CONFIG = """
[providers.openai]
base_url = "{url}/v1"
api_key_env = "UPSTREAM_KEY"

[gateway.relay.openai]
provider = "openai"
allow = ["GET /v1/files", "GET /v1/files/*", "POST /v1/files"]
"""
ANSWER = b'{"object":"list","data":[]}\n'


async def files(seen: Seen, wire: Wire) -> None:
    if seen.path == "/v1/files/gone":
        await wire.answer(404, b'{"error":{"message":"No such file"}}')
    else:
        await wire.answer(200, ANSWER, ("x-upstream", "yes"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, FakeUpstream]]:
    upstream = FakeUpstream(files)
    gateway = Gateway(
        tmp_path_factory.mktemp("relay"),
        CONFIG.format(url=upstream.url),
        environment={"UPSTREAM_KEY": "sk-up"},
    )
    yield gateway, upstream
    gateway.stop()
    upstream.close()


def ask(
    pair: tuple[Gateway, FakeUpstream], method: str, path: str, body: bytes | None = None
) -> Reply:
    gateway, _ = pair
    headers = {
        "authorization": f"Bearer {gateway.key}",
        "content-type": "multipart/form-data; boundary=x",
    }
    return send(gateway.port, path, body, headers, method=method)


def test_allowed_path_goes_through_as_it_is(pair: tuple[Gateway, FakeUpstream]) -> None:
    gateway, upstream = pair
    reply = ask(pair, "POST", "/openai/v1/files?purpose=batch", b"--x\x00\xff")
    assert (reply.status, reply.body, reply.headers["x-upstream"]) == (200, ANSWER, "yes")
    seen = upstream.seen[-1]
    assert (seen.method, seen.path, seen.body) == (
        "POST",
        "/v1/files?purpose=batch",
        b"--x\x00\xff",
    )
    assert seen.header("authorization") == "Bearer sk-up"
    assert seen.header("content-type") == "multipart/form-data; boundary=x"
    turn = reply.headers["x-metis-turn"]
    query = f"SELECT role, operation, outcome, price_unknown FROM calls WHERE turn_id = '{turn}' AND state = 'closed'"
    assert gateway.wait_for_rows(query, 1) == [
        {"role": "relay", "operation": "relay", "outcome": "ok", "price_unknown": 1}
    ]


def test_error_of_a_relayed_path_is_the_upstreams(pair: tuple[Gateway, FakeUpstream]) -> None:
    reply = ask(pair, "GET", "/openai/v1/files/gone")
    assert (reply.status, reply.json["error"]["message"]) == (404, "No such file")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/openai/v1/fine_tuning", 403),
        ("DELETE", "/openai/v1/files", 403),
        ("GET", "/openai/v1/files/a/b", 403),
        ("GET", "/openai/v1/files/../models", 404),
        ("GET", "/openai/v1//files", 404),
        ("GET", "/openai/v1/files/a%2Fb", 404),
        ("GET", "/openai/v1/files/%2e%2e", 404),
        ("GET", "/anthropic/v1/files", 404),
    ],
)
def test_other_paths_are_refused_and_never_sent(
    pair: tuple[Gateway, FakeUpstream], method: str, path: str, status: int
) -> None:
    count = len(pair[1].seen)
    assert ask(pair, method, path).status == status
    assert len(pair[1].seen) == count


def test_key_with_a_budget_is_refused(pair: tuple[Gateway, FakeUpstream], tmp_path: Path) -> None:
    gateway, upstream = pair
    admin_port = int(gateway.admin_url.rsplit(":", 1)[1])
    token = {"authorization": f"Bearer {gateway.admin_token}", "content-type": "application/json"}
    minted = send(admin_port, "/keys", {"name": "capped", "budgeted": True}, token)
    count = len(upstream.seen)
    reply = send(gateway.port, "/openai/v1/files", None, {"x-api-key": minted.json["key"]})
    assert (reply.status, len(upstream.seen)) == (403, count)
