"""P3: an upstream's error reaches a same-shape client in the upstream's own words."""

from __future__ import annotations

import json

import pytest
from tests.answers import answering
from tests.client import PATHS, request_for, send
from tests.promises.conftest import Pair

ANTHROPIC = b'{"type":"error","error":{"type":"%b","message":"%b"},"request_id":"req_up"} '
OPENAI = b'{\n "error": {"message": "%b", "type": "%b", "param": null, "code": "%b"}}'
HTML = b"<html><body>502 Bad Gateway</body></html>"
SAME = [
    ("anthropic_messages", 400, ANTHROPIC % (b"invalid_request_error", b"prompt is too long: 1")),
    ("anthropic_messages", 404, ANTHROPIC % (b"not_found_error", b"model: claude-x")),
    ("anthropic_messages", 413, ANTHROPIC % (b"request_too_large", b"too large")),
    ("anthropic_messages", 429, ANTHROPIC % (b"rate_limit_error", b"slow down")),
    ("anthropic_messages", 500, ANTHROPIC % (b"api_error", b"oops")),
    ("anthropic_messages", 529, ANTHROPIC % (b"overloaded_error", b"Overloaded")),
    ("openai_chat", 400, OPENAI % (b"bad", b"invalid_request_error", b"context_length_exceeded")),
    ("openai_chat", 429, OPENAI % (b"quota", b"insufficient_quota", b"insufficient_quota")),
    ("openai_chat", 502, HTML),
    ("openai_chat", 503, b""),
    ("openai_responses", 500, OPENAI % (b"server", b"server_error", b"server_error")),
    ("openai_responses", 418, b"\xff\xfe not text"),
]
MODELS = {
    "anthropic_messages": "claude-sonnet-4-5",
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-4o",
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("shape", "status", "body"), SAME)
def test_error_of_the_same_shape_is_untouched(
    pair: Pair, shape: str, status: int, body: bytes, stream: bool
) -> None:
    headers = (("retry-after", "17"), ("request-id", "req_up"), ("x-should-retry", "false"))
    kind = "text/html" if body is HTML else "application/json"
    pair.upstream.handler = answering(status, body, *headers, kind=kind)
    request = request_for(shape, MODELS[shape], stream=stream)
    reply = send(pair.port, PATHS[shape], request, pair.auth)
    assert (reply.status, reply.body) == (status, body)
    assert reply.headers["content-type"] == kind
    assert {name: reply.headers[name] for name, _ in headers} == dict(headers)


@pytest.mark.parametrize("status", [429, 529])
def test_retry_after_is_always_there_when_the_client_must_wait(pair: Pair, status: int) -> None:
    pair.upstream.handler = answering(status, b"{}", kind="application/json")
    request = request_for("openai_responses", "gpt-4o")
    reply = send(pair.port, "/v1/responses", request, pair.auth)
    assert int(reply.headers["retry-after"]) >= 1


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("shape", list(PATHS))
def test_refusal_of_the_gateways_own_credential_is_not_the_clients_fault(
    pair: Pair, shape: str, status: int
) -> None:
    words = b'{"error":{"message":"Incorrect API key provided: sk-up***","type":"x"}}'
    pair.upstream.handler = answering(status, words, kind="application/json")
    reply = send(pair.port, PATHS[shape], request_for(shape, MODELS[shape]), pair.auth)
    assert reply.status == 502
    assert "metis doctor" in reply.json["error"]["message"]
    assert b"sk-up" not in reply.body


def test_refusal_of_the_clients_own_credential_is_the_clients_to_see(pair: Pair) -> None:
    body = ANTHROPIC % (b"authentication_error", b"OAuth token has expired")
    pair.upstream.handler = answering(401, body, kind="application/json")
    headers = {"x-metis-key": pair.gateway.key, "authorization": "Bearer sk-ant-oat-own"}
    request = request_for("anthropic_messages", "claude-sonnet-4-5")
    reply = send(pair.port, "/v1/messages", request, headers)
    assert (reply.status, reply.body) == (401, body)


def test_error_across_shapes_has_the_clients_shape_and_the_original_inside(pair: Pair) -> None:
    body = OPENAI % (
        b"maximum context is 8 tokens",
        b"invalid_request_error",
        b"context_length_exceeded",
    )
    pair.upstream.handler = answering(400, body, ("x-request-id", "req_o"), kind="application/json")
    request = request_for("anthropic_messages", "chat-only/gpt-4o")
    reply = send(pair.port, "/v1/messages", request, pair.auth)
    assert reply.status == 400
    assert reply.json["type"] == "error"
    assert reply.json["error"]["type"] == "invalid_request_error"
    assert "maximum context is 8 tokens" in reply.json["error"]["message"]
    assert json.loads(body)["error"]["code"] in json.dumps(reply.json["error"])


def test_calls_that_ended_in_errors_are_in_the_ledger(pair: Pair) -> None:
    pair.upstream.handler = answering(529, b"{}", kind="application/json")
    request = request_for("anthropic_messages", "claude-sonnet-4-5")
    reply = send(pair.port, "/v1/messages", request, pair.auth)
    turn = reply.headers["x-metis-turn"]
    query = (
        "SELECT outcome, http_status, failure, cost_nano_usd FROM calls "
        f"WHERE turn_id = '{turn}' AND outcome != ''"
    )
    assert pair.gateway.wait_for_rows(query, 1) == [
        {"outcome": "error", "http_status": 529, "failure": "overloaded", "cost_nano_usd": 0}
    ]
