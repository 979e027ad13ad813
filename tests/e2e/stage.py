"""A gateway whose three providers say what a test module's SCRIPT tells them: one for each API shape.

A reply is found by a word in the last thing the user said (`[tools]`), so that every test of a module can
share one gateway. Each test asks for a model of its own, by which it finds its ledger rows.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import anthropic
import openai

UPSTREAMS = {"a": "anthropic_messages", "c": "openai_chat", "r": "openai_responses"}

CONFIG = """
[embedded]
use = "never"

[providers.a]
kind = "scripted"
shapes = ["anthropic_messages"]
script = "script.json"
models = ["priced-*"]

[providers.c]
kind = "scripted"
shapes = ["openai_chat"]
script = "script.json"
models = ["priced-*"]

[providers.r]
kind = "scripted"
shapes = ["openai_responses"]
script = "script.json"
models = ["priced-*"]

# USD per million tokens
[[catalog.prices]]
provider = "scripted"
model = "priced-*"
input = "3"
output = "15"
cache_read = "0.3"
cache_write_5m = "3.75"
"""

# What most replies of the scripts report, and what that costs by the prices above, counted by hand:
# 1000 x 3000 + 200 x 300 + 40 x 3750 + 30 x 15000 nano-dollars.
USAGE = {
    "input_tokens": 1000,
    "cache_read_tokens": 200,
    "cache_write_5m_tokens": 40,
    "output_tokens": 30,
    "reasoning_tokens": 10,
}
COST_NANO_USD = 3_660_000


class RunningGateway(Protocol):
    """A gateway in this process or in its own."""

    url: str
    key: str

    def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]: ...

    def stop(self) -> object: ...


def write_stage(folder: Path, script: list[dict[str, Any]], more: str = "") -> str:
    """Put the script into the folder and give the text of the metis.toml that plays it."""
    (folder / "script.json").write_text(json.dumps({"replies": script}))
    return CONFIG + more


@dataclass
class Stage:
    """A running gateway with both SDKs' clients pointed at it; neither retries on its own."""

    gateway: RunningGateway
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        url, key = self.gateway.url, self.gateway.key
        self.anthropic = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=30)
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30)

    def model(self, upstream: str) -> str:
        """A model name nobody else uses: `c/priced-17`."""
        return f"{upstream}/priced-{next(self._numbers)}"

    def calls(self, model: str, count: int = 1) -> list[dict[str, Any]]:
        """The ledger's closed calls of a model, oldest first; waits until there are `count`."""
        name = model.partition("/")[2]
        deadline = time.monotonic() + 10
        while True:
            query = "select * from calls where model = ? and state = 'closed' order by started_ts"
            found = self.gateway.rows(query, name)
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.02)

    def call(self, model: str) -> dict[str, Any]:
        """The one call of a model."""
        (row,) = self.calls(model)
        return row


def ledger_row(
    row: dict[str, Any], shape: str, upstream: str, *, stream: bool, **changed: Any
) -> None:
    """Check a call's row against that of a good call with USAGE; `changed` are its other columns."""
    expected = {
        "shape": shape,
        "upstream_shape": UPSTREAMS[upstream],
        "provider": upstream,
        "operation": "generate",
        "stream": int(stream),
        "role": "main",
        "paid_by": "gateway",
        "outcome": "ok",
        "http_status": 200,
        "failure": "",
        "usage_source": "reported",
        "cost_nano_usd": COST_NANO_USD,
        "price_unknown": 0,
        "unpriced": "[]",
        "cache_write_1h_tokens": 0,
        "stop": "end_turn",
        "tool_calls": 0,
        **USAGE,
        **changed,
    }
    wrong = {name: (row[name], expected[name]) for name in expected if row[name] != expected[name]}
    assert wrong == {}, f"ledger row (is, should be): {wrong}"
