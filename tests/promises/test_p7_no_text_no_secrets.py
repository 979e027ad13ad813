"""P7: no prompt or reply text is stored, no secret is logged, stored in clear or sent to another provider."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.answers import answering, usual
from tests.client import PATHS, request_for, send
from tests.promises.conftest import UPSTREAM_KEY, Pair
from tests.upstream import Seen, Wire

PROMPT = "canary-prompt-7f3a91"
REPLY = "canary-reply-c04d22"
TOOL = "canary-tool-result-99ab"
OWN_CREDENTIAL = "sk-ant-oat01-canary-own-credential"


def everything_on_disk(pair: Pair) -> dict[Path, bytes]:
    """Every file the gateway has written: database, log, spool, run files, its log. Not what we gave it."""
    ours = {"metis.toml", "ready.json"}
    files = (file for file in pair.gateway.folder.rglob("*") if file.is_file())
    return {file: file.read_bytes() for file in files if file.name not in ours}


async def replying(seen: Seen, wire: Wire) -> None:
    if seen.json.get("stream"):
        await usual(seen, wire)
        return
    await wire.answer(
        200, json.dumps({"id": "msg_1", "content": [{"type": "text", "text": REPLY}]}).encode()
    )


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "chat-only/gpt-4o", "no-such-model"])
@pytest.mark.parametrize("stream", [False, True])
def test_no_text_of_a_conversation_is_written_anywhere(
    pair: Pair, model: str, stream: bool
) -> None:
    pair.upstream.handler = replying
    body = request_for("anthropic_messages", model, PROMPT, stream=stream)
    body["system"] = PROMPT + "-system"
    body["tools"] = [{"name": "t", "description": PROMPT, "input_schema": {"type": "object"}}]
    body["messages"] += [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t1", "name": "t", "input": {"a": PROMPT}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": TOOL}],
        },
    ]
    send(pair.port, "/v1/messages", body, pair.auth)
    send(pair.port, "/v1/messages", json.dumps(body).encode()[:-20], pair.auth)
    pair.upstream.handler = answering(500, REPLY.encode(), kind="text/plain")
    send(pair.port, "/v1/messages", body, pair.auth)
    pair.gateway.wait_for_rows("SELECT 1 FROM turns", 3)
    for file, content in everything_on_disk(pair).items():
        for canary in (PROMPT, REPLY, TOOL):
            assert canary.encode() not in content, f"{canary} in {file}"


def test_no_secret_is_written_anywhere(pair: Pair) -> None:
    for shape in PATHS:
        send(pair.port, PATHS[shape], request_for(shape, "gpt-4o"), pair.auth)
    headers = {"x-metis-key": pair.gateway.key, "authorization": f"Bearer {OWN_CREDENTIAL}"}
    request = request_for("anthropic_messages", "claude-sonnet-4-5")
    send(pair.port, "/v1/messages", request, headers)
    send(pair.port, "/v1/messages", request, {"x-api-key": "sk-metis-abcdefgh-wrong-canary-key"})
    pair.gateway.wait_for_rows("SELECT 1 FROM events WHERE name = 'gateway.auth_failed'", 1)
    admin_token = pair.gateway.admin_token
    secrets = [pair.gateway.key, UPSTREAM_KEY, OWN_CREDENTIAL, "wrong-canary-key", admin_token]
    for file, content in everything_on_disk(pair).items():
        for secret in secrets:
            assert secret.encode() not in content, f"a secret in {file}"


def test_files_are_private(pair: Pair) -> None:
    for path in [pair.gateway.data, *pair.gateway.data.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_clients_own_credential_goes_to_its_own_provider_alone(pair: Pair) -> None:
    headers = {"x-metis-key": pair.gateway.key, "authorization": f"Bearer {OWN_CREDENTIAL}"}
    request = request_for("anthropic_messages", "claude-sonnet-4-5")
    assert send(pair.port, "/v1/messages", request, headers).status == 200
    seen = pair.upstream.seen[-1]
    assert seen.header("authorization") == f"Bearer {OWN_CREDENTIAL}"
    assert seen.header("x-api-key") is None
    assert seen.header("x-metis-key") is None
    count = len(pair.upstream.seen)
    elsewhere = request_for("anthropic_messages", "chat-only/gpt-4o")
    reply = send(pair.port, "/v1/messages", elsewhere, headers)
    assert reply.status == 403
    assert len(pair.upstream.seen) == count


def test_turns_on_the_clients_credential_stand_apart_in_the_ledger(pair: Pair) -> None:
    headers = {"x-metis-key": pair.gateway.key, "x-api-key": "sk-ant-own"}
    request = request_for("anthropic_messages", "claude-sonnet-4-5")
    turn = send(pair.port, "/v1/messages", request, headers).headers["x-metis-turn"]
    query = f"SELECT paid_by FROM calls WHERE turn_id = '{turn}'"
    assert pair.gateway.wait_for_rows(query, 1) == [{"paid_by": "client"}]


def test_two_differing_metis_keys_are_refused(pair: Pair) -> None:
    headers = {"x-api-key": pair.gateway.key, "authorization": "Bearer sk-metis-other000-x"}
    request = request_for("anthropic_messages", "claude-sonnet-4-5")
    assert send(pair.port, "/v1/messages", request, headers).status == 401
