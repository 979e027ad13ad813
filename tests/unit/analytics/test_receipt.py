"""The receipt: folded call by call, exact in every amount, honest about what nobody knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from tests.ledgers import NOON, SECOND, LedgerFile, call, client_paid

from metis.analytics.ports import LedgerFilter
from metis.analytics.receipt import Receipt, as_dict, receipt, render_text, to_json
from metis.analytics.spend import Comparison
from metis.facts.usage import Usage, UsageSource
from metis.storage.sqlite.queries import SqliteLedgerQueries


class Baseline:
    """Ten times the tokens, in nano-dollars; embedded models have no baseline."""

    model = "claude-opus-5"

    def price(self, provider: str, model: str, usage: Usage, at_ts: int) -> int | None:
        return None if provider == "local" else usage.total_tokens * 10_000


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LedgerFile]:
    file = LedgerFile(tmp_path)
    yield file
    file.close()


@pytest.fixture
def queries(ledger: LedgerFile) -> Iterator[SqliteLedgerQueries]:
    found = SqliteLedgerQueries(ledger.path)
    yield found
    found.close()


def record_a_session(ledger: LedgerFile) -> None:
    usage = Usage(
        input_tokens=120,
        cache_read_tokens=41_000,
        cache_write_5m_tokens=2_000,
        cache_write_1h_tokens=500,
        output_tokens=830,
    )
    ledger.record(
        call(NOON, turn_id="turn_1", usage=usage, cost_nano_usd=33_210_000),
        call(NOON + SECOND, turn_id="turn_1", attempt=2, outcome="error", http_status=529, usage=Usage(),
             cost_nano_usd=0),
        call(NOON + 61 * SECOND, turn_id="turn_2", usage=usage, cost_nano_usd=33_210_001),
        call(NOON, turn_id="turn_2", attempt=2, provider="openai", model="gpt-5.5-mini", role="auxiliary",
             usage_source=UsageSource.ESTIMATED, cost_nano_usd=1_200),
        call(NOON, turn_id="turn_3", provider="mine", model="qwen", price_unknown=True, cost_nano_usd=0),
        call(NOON, turn_id="turn_4", operation="count_tokens", usage=Usage(), cost_nano_usd=0),
        call(NOON, turn_id="turn_5", **client_paid(usage=usage, cost_nano_usd=33_210_000)),
    )  # fmt: skip


def test_a_receipt_reads_well(ledger: LedgerFile, queries: SqliteLedgerQueries) -> None:
    record_a_session(ledger)
    started, _ = call(NOON)
    ledger.record(started)
    found = receipt(queries, LedgerFilter(), baseline=Baseline(), title="session-1")
    assert render_text(found) == snapshot("""\
Receipt · session-1
4 turns in 1 min 2 s; 1 call still running, not counted

model                      turns  calls  cached  written  fresh    out          cost
anthropic/claude-sonnet-5      2      4  82,000    5,000    240  1,660  $0.066420001
openai/gpt-5.5-mini            1      1       0        0    100     10  $0.000001200
mine/qwen                      1      1       0        0    100     10       unknown
total                                 6  82,000    5,000    440  1,680  $0.066421201

baseline: these tokens on claude-opus-5  $0.890100000
these calls as they were                 $0.066421201
saved                                    $0.823678799  (92.5 %)
1 call not compared with claude-opus-5: embedded model, or usage or price unknown
1 call with estimated usage ($0.0000012 of the total)
1 call whose price is not known, so the total lacks it; set one under [[catalog.prices]] in metis.toml
1 call failed

Paid by the client's own credential, not part of the total (at list price):
model                      turns  calls  cached  written  fresh  out      cost
anthropic/claude-sonnet-5      1      1  41,000    2,500    120  830  $0.03321
""")


def test_a_receipt_without_a_baseline_or_doubts_is_a_table(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    ledger.record(call(NOON, cost_nano_usd=1_500_000_000))
    assert render_text(receipt(queries, LedgerFilter())) == snapshot("""\
Receipt
1 turn in 0.5 s

model                      turns  calls  cached  written  fresh  out   cost
anthropic/claude-sonnet-5      1      1       0        0    100   10  $1.50
""")


def test_a_receipt_of_the_embedded_model_claims_no_saving(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    ledger.record(call(NOON, provider="local", model="smollm2-135m", cost_nano_usd=0))
    found = receipt(queries, LedgerFilter(), baseline=Baseline())
    assert found.comparison == Comparison(model="claude-opus-5", uncompared_calls=1)
    assert render_text(found) == snapshot("""\
Receipt
1 turn in 0.5 s

model               turns  calls  cached  written  fresh  out   cost
local/smollm2-135m      1      1       0        0    100   10  $0.00

1 call not compared with claude-opus-5: embedded model, or usage or price unknown
""")


def test_a_dearer_choice_than_the_baseline_is_said_to_be_dearer(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    ledger.record(call(NOON, cost_nano_usd=2_000_000))
    text = render_text(receipt(queries, LedgerFilter(), baseline=Baseline()))
    assert "spent more" in text
    assert "saved" not in text


def test_an_empty_receipt_says_so(queries: SqliteLedgerQueries) -> None:
    found = receipt(queries, LedgerFilter(session_id="nowhere"), title="nowhere")
    assert found == Receipt(title="nowhere")
    assert render_text(found) == "Receipt · nowhere\nNo call has ended.\n"


def test_json_holds_integers_and_exact_dollars(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    record_a_session(ledger)
    found = receipt(queries, LedgerFilter(), baseline=Baseline(), title="session-1")
    parsed: dict[str, Any] = json.loads(to_json(found))
    assert parsed == as_dict(found)
    assert parsed["spend"]["cost_nano_usd"] == 66_421_201
    assert parsed["spend"]["cost_usd"] == "0.066421201"
    assert parsed["client_paid"]["cost_usd"] == "0.03321"
    assert [(line["provider"], line["model"], line["paid_by"]) for line in parsed["models"]] == [
        ("anthropic", "claude-sonnet-5", "gateway"),
        ("openai", "gpt-5.5-mini", "gateway"),
        ("mine", "qwen", "gateway"),
        ("anthropic", "claude-sonnet-5", "client"),
    ]
    assert (parsed["turns"], parsed["open_calls"]) == (4, 0)


def test_a_receipt_of_chosen_turns_holds_only_these(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    record_a_session(ledger)
    found = receipt(queries, LedgerFilter(turn_ids=("turn_1",)))
    assert (found.turns, found.spend.calls, found.spend.cost_nano_usd) == (1, 2, 33_210_000)


def test_a_receipt_longer_than_a_page_loses_no_call(
    ledger: LedgerFile, queries: SqliteLedgerQueries
) -> None:
    ledger.record(*(call(NOON + index, cost_nano_usd=1) for index in range(4100)))
    found = receipt(queries, LedgerFilter())
    assert (found.spend.calls, found.spend.cost_nano_usd) == (4100, 4100)
