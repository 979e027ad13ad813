"""The recorded chat traffic, decoded once a session."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(os.environ.get("METIS_CORPUS", Path(__file__).parents[5] / "shared" / "corpus"))


@pytest.fixture(scope="session")
def recordings() -> list[dict[str, Any]]:
    """Every record of openai.chat.jsonl; the tests fail, not skip, where it is absent."""
    path = CORPUS / "openai.chat.jsonl"
    if not path.is_file():
        pytest.fail(f"{path} is missing; set METIS_CORPUS to the folder with the recordings")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def requests(recordings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r for r in recordings if r["request"] is not None]


@pytest.fixture(scope="session")
def answers(recordings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        r
        for r in recordings
        if isinstance(r["response"].get("body"), dict) and "choices" in r["response"]["body"]
    ]


@pytest.fixture(scope="session")
def errors(recordings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r for r in recordings if r["response"]["status"] >= 400 and "body" in r["response"]]


@pytest.fixture(scope="session")
def streams(recordings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r for r in recordings if "sse" in r["response"]]
