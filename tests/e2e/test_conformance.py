"""Metis against the conformance suite: every case that applies passes, but for those named here."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from tests.gateway import Gateway

from metis.conformance.runner import chosen, run
from metis.conformance.scenario import SHAPES
from metis.conformance.stage import Target

# "shape case": why it fails for now.
KNOWN: dict[str, str] = {}
# Where "not applicable" may be said of Metis: what no wire shows, or no API has a place for.
BEYOND = {"beyond the wire", "signatures"}
CONFIG = """
[providers.anthropic]
base_url = "http://127.0.0.1:{up}"
api_key_env = "UPSTREAM_KEY"
[providers.chat]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{up}/v1"
api_key_env = "UPSTREAM_KEY"
models = ["gpt-4o"]
[providers.responses]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{up}/v1"
api_key_env = "UPSTREAM_KEY"
shapes = ["openai_responses"]
models = ["gpt-5"]
[catalog.aliases]
house-blend = "anthropic/claude-sonnet-4-5"
"""


@pytest.mark.slow
def test_every_case_that_applies_passes(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    gateway = Gateway(tmp_path, CONFIG.format(up=port), environment={"UPSTREAM_KEY": "k"})
    target = Target(
        url=gateway.url,
        key=gateway.key,
        models={"anthropic": "claude-sonnet-4-5", "openai": "gpt-4o", "responses": "gpt-5"},
        alias="house-blend",
    )
    try:
        verdicts = asyncio.run(
            run(target, chosen(SHAPES), host="127.0.0.1", port=port, told=lambda _one: None)
        )
    finally:
        gateway.stop()
    wrong = {
        f"{one.case.shape} {one.case.id}": one.why
        for one in verdicts
        if one.outcome in ("fail", "error")
    }
    assert {name: why for name, why in wrong.items() if name not in KNOWN} == {}
    assert set(KNOWN) - set(wrong) == set(), "these pass now: take them off the list"
    skipped = {one.case.scenario.group for one in verdicts if one.outcome == "not applicable"}
    assert skipped == BEYOND
    assert sum(one.outcome == "pass" for one in verdicts) > 450
