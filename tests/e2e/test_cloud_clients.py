"""The real Claude Code, set up for Bedrock and for Vertex AI, with Metis in the cloud's place and Bedrock behind it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clouds import ACCESS, FRAMED, MESSAGE, USAGE, event_text, invoked
from tests.gateway import Gateway
from tests.upstream import FakeUpstream, Seen, Wire

pytestmark = pytest.mark.slow

MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
TEXT = {"type": "text", "text": "Grüße aus der Wolke"}
STREAM = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": TEXT["text"]},
    },
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USAGE},
    {"type": "message_stop"},
]


async def plain_bedrock(seen: Seen, wire: Wire) -> None:
    """Says one text: Claude Code is to end after it."""
    if seen.path.endswith("/invoke"):
        await wire.answer(
            200, event_text({**MESSAGE, "content": [TEXT], "stop_reason": "end_turn"})
        )
        return
    await wire.raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n"
        % FRAMED.encode()
    )
    for event in STREAM:
        await wire.chunk(invoked(event))
    await wire.end_stream()


@pytest.fixture
def claude() -> Path:
    clients = Path(os.environ.get("CLIENTS") or Path.home() / ".cache/metis-clients")
    found = clients / "npm/claude/node_modules/.bin/claude"
    if not found.exists():
        pytest.fail(f"{found} is missing; make test-slow installs it")
    return found


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    made = FakeUpstream(plain_bedrock)
    yield made
    made.close()


def settings(cloud: str, gateway: Gateway) -> dict[str, str]:
    """What docs/clients.md tells to set."""
    if cloud == "bedrock":
        return {
            "CLAUDE_CODE_USE_BEDROCK": "1",
            "ANTHROPIC_BEDROCK_BASE_URL": gateway.url,
            "AWS_BEARER_TOKEN_BEDROCK": gateway.key,
            "AWS_REGION": "eu-central-1",
        }
    return {
        "CLAUDE_CODE_USE_VERTEX": "1",
        "ANTHROPIC_VERTEX_BASE_URL": f"{gateway.url}/v1",
        "CLAUDE_CODE_SKIP_VERTEX_AUTH": "1",
        "ANTHROPIC_CUSTOM_HEADERS": f"x-api-key: {gateway.key}",
        "CLOUD_ML_REGION": "europe-west1",
        "ANTHROPIC_VERTEX_PROJECT_ID": "any",
    }


@pytest.mark.parametrize("cloud", ["bedrock", "vertex"])
def test_claude_code_of_a_cloud_works_through_metis(
    tmp_path: Path, claude: Path, upstream: FakeUpstream, cloud: str
) -> None:
    config = f'[providers.bedrock]\nbase_url = "{upstream.url}"\nregion = "eu-central-1"\n'
    gateway = Gateway(tmp_path, config, environment=ACCESS)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "ANTHROPIC_MODEL": MODEL,
        **settings(cloud, gateway),
    }
    ran = subprocess.run(
        [claude, "-p", "say hi"],
        check=False,
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    gateway.stop()
    assert (ran.returncode, ran.stdout.strip()) == (0, TEXT["text"]), ran.stderr
    asked = [one for one in upstream.seen if one.path.endswith("/invoke-with-response-stream")]
    assert {one.json["anthropic_version"] for one in asked} == {"bedrock-2023-05-31"}
    assert all(one.json["anthropic_beta"] for one in asked)
    rows = gateway.rows("SELECT client, outcome, usage_source, price_unknown FROM calls")
    assert len(rows) == len(upstream.seen)
    assert {tuple(row.values()) for row in rows} == {("claude-code", "ok", "reported", 0)}
