"""A slow upstream: heartbeats keep the client's stream alive, and no SDK stumbles over one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.e2e.stage import Stage

pytestmark = pytest.mark.slow

Json = dict[str, Any]
CONFIG = """
[turn]
keepalive_s = 0.4
"""
SCRIPT: list[Json] = [{"text": "worth the wait", "chunk_delay_ms": 1300}]
QUESTION: Any = [{"role": "user", "content": "slowly, please"}]
BEATS = {
    "messages": 'data: {"type":"ping"}',
    "chat": ": keepalive",
    "responses": "event: keepalive",
}


def arguments(client: str, model: str) -> Json:
    if client == "responses":
        return {"model": model, "input": QUESTION, "stream": True}
    limit = {"max_tokens": 50} if client == "messages" else {}
    return {"model": model, "messages": QUESTION, "stream": True, **limit}


def resource(stage: Stage, client: str) -> Any:
    return {
        "messages": stage.anthropic.messages,
        "chat": stage.openai.chat.completions,
        "responses": stage.openai.responses,
    }[client]


def lines(stage: Stage, client: str, model: str) -> list[str]:
    create = resource(stage, client).with_streaming_response.create
    with create(**arguments(client, model)) as answer:
        return list(answer.iter_lines())


def text(stage: Stage, client: str, model: str) -> str:
    """What the SDK's own parser makes of the stream."""
    said: list[str] = []
    for event in resource(stage, client).create(**arguments(client, model)):
        if client == "chat":
            said += [choice.delta.content or "" for choice in event.choices]
        elif event.type in ("content_block_delta", "response.output_text.delta"):
            said.append(event.delta.text if client == "messages" else event.delta)
    return "".join(said)


def test_heartbeats_fill_the_silence_and_every_sdk_reads_on(stage: Stage) -> None:
    model = stage.model("a")
    with ThreadPoolExecutor(6) as pool:
        raw = {client: pool.submit(lines, stage, client, model) for client in BEATS}
        read = {client: pool.submit(text, stage, client, model) for client in BEATS}
    assert {client: future.result() for client, future in read.items()} == dict.fromkeys(
        BEATS, "worth the wait"
    )
    beats = {client: future.result().count(BEATS[client]) for client, future in raw.items()}
    assert all(count >= 2 for count in beats.values()), beats
    assert [row["outcome"] for row in stage.calls(model, 6)] == ["ok"] * 6
