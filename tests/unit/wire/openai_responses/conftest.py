"""Recorded Responses traffic: OpenAI's and others' exchanges, and what Codex and the SDKs really send."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]


@pytest.fixture(scope="session")
def records(corpus: Path) -> list[Json]:
    with (corpus / "openai.responses.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def request_bodies(records: list[Json]) -> list[tuple[str, Json]]:
    """Every recorded request body of the generation endpoint and its kin."""
    found = [(r["id"], r["request"]["body"]) for r in records if r["request"]]
    return [(name, body) for name, body in found if isinstance(body, dict)]


@pytest.fixture(scope="session")
def response_bodies(records: list[Json]) -> list[tuple[str, Json]]:
    found = [(r["id"], r["response"].get("body")) for r in records]
    return [(name, body) for name, body in found if isinstance(body, dict) and "output" in body]


@pytest.fixture(scope="session")
def error_bodies(records: list[Json]) -> list[tuple[int, Json]]:
    return [
        (r["response"]["status"], r["response"]["body"])
        for r in records
        if r["response"]["status"] >= 400
    ]


@pytest.fixture(scope="session")
def streams(records: list[Json]) -> list[tuple[str, bytes]]:
    """Id and bytes of every recorded stream."""
    return [(r["id"], r["response"]["sse"].encode()) for r in records if "sse" in r["response"]]


@pytest.fixture(scope="session")
def captured(client_tools: Path) -> Callable[[str], list[Json]]:
    """The Responses request bodies that a client was seen to send, by the capture's name."""

    def read(name: str) -> list[Json]:
        with (client_tools / "captures" / f"{name}.jsonl").open(encoding="utf-8") as lines:
            seen = [json.loads(line) for line in lines]
        return [r["body"] for r in seen if "responses" in r["path"] and isinstance(r["body"], dict)]

    return read
