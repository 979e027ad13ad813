"""`metis exec -- python script.py`: the receipt equals a bill computed here from published prices, exactly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

from tests.answers import usual
from tests.upstream import FakeUpstream

# USD per million tokens: https://claude.com/pricing and https://openai.com/api/pricing.
SONNET_45 = {"in": "3", "read": "0.30", "write_5m": "3.75", "write_1h": "6", "out": "15"}
GPT_4O = {"in": "2.50", "read": "1.25", "out": "10"}

# What tests/answers.py reports for every call of the shape.
MESSAGES_CALL = (
    (12, SONNET_45["in"]),
    (400, SONNET_45["read"]),
    (10, SONNET_45["write_5m"]),
    (20, SONNET_45["write_1h"]),
    (7, SONNET_45["out"]),
)
OPENAI_CALL = ((12, GPT_4O["in"]), (100, GPT_4O["read"]), (7, GPT_4O["out"]))

SCRIPT = """
import os, sys
import anthropic, openai
claude, gpt = anthropic.Anthropic(), openai.OpenAI()
ask = [{"role": "user", "content": "Say hello."}]
for _ in range(2):
    claude.messages.create(model="claude-sonnet-4-5", max_tokens=64, messages=ask)
with claude.messages.stream(model="claude-sonnet-4-5", max_tokens=64, messages=ask) as stream:
    stream.get_final_message()
gpt.chat.completions.create(model="gpt-4o", messages=ask)
for _ in gpt.chat.completions.create(model="gpt-4o", messages=ask, stream=True):
    pass
gpt.responses.create(model="gpt-4o", input="Say hello.")
assert "sk-upstream" not in str(os.environ), "the provider's key reached the command"
print("script output")
sys.exit(7)
"""


def bill(calls: int, lines: tuple[tuple[int, str], ...]) -> Decimal:
    return calls * sum((tokens * Decimal(price) for tokens, price in lines), Decimal(0)) / 1_000_000


def test_receipt_equals_the_bill_computed_by_hand(tmp_path: Path) -> None:
    upstream = FakeUpstream(usual)
    (tmp_path / "metis.toml").write_text(
        f'[providers.anthropic]\nbase_url = "{upstream.url}"\napi_key_env = "UPSTREAM_KEY"\n'
        f'[providers.openai]\nbase_url = "{upstream.url}/v1"\napi_key_env = "UPSTREAM_KEY"\n'
    )
    (tmp_path / "script.py").write_text(SCRIPT)
    receipt_file = tmp_path / "receipt.json"
    command = [sys.executable, "-m", "metis", "exec", "--config", str(tmp_path / "metis.toml")]
    command += ["--data", str(tmp_path / "data"), "--receipt", str(receipt_file)]
    command += ["--", sys.executable, str(tmp_path / "script.py")]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "UPSTREAM_KEY": "sk-upstream-1",
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    upstream.close()
    assert (done.returncode, done.stdout) == (7, "script output\n"), done.stderr
    expected = bill(3, MESSAGES_CALL) + bill(3, OPENAI_CALL)
    spend = json.loads(receipt_file.read_text())["spend"]
    assert spend["cost_nano_usd"] == int(expected * 1_000_000_000)
    assert spend["calls"] == 6
    assert f"${expected.normalize()}" in done.stderr
    assert len(upstream.seen) == 6
