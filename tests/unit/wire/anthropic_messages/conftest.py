"""The recorded Messages API traffic, and the reading of a stream by other means than the code under test."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="session")
def records() -> list[dict[str, Any]]:
    """Every recorded exchange of anthropic.messages.jsonl; its absence is an error, never a skip."""
    corpus = Path(os.environ.get("METIS_CORPUS") or ROOT.parent / "shared" / "corpus")
    path = corpus / "anthropic.messages.jsonl"
    if not path.is_file():
        pytest.fail(f"{path} is missing; set METIS_CORPUS to the directory of recorded traffic")
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def streams(records: list[dict[str, Any]]) -> list[tuple[str, bytes]]:
    """Id and bytes of every recorded stream."""
    return [(r["id"], r["response"]["sse"].encode()) for r in records if "sse" in r["response"]]
