"""docs/conformance.md is made of verdicts: words, shares, reasons, and nothing that Markdown misreads."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import msgspec
from bench.conformance_document import Entry, document
from bench.contenders import Place, contenders

from metis.config import Config
from metis.conformance.runner import chosen
from metis.conformance.scenario import Verdict

CASES = chosen(["openai"], ["text", "retention"])


def entry(name: str, *outcomes: str, why: str = "") -> Entry:
    verdicts = [
        Verdict(c, o, why if o != "pass" else "") for c, o in zip(CASES, outcomes, strict=True)
    ]
    return Entry(name, "1", tuple(verdicts))


def test_a_case_is_a_row_and_a_share_counts_what_applies() -> None:
    assert [case.id for case in CASES] == ["text", "text@anthropic", "text@responses", "retention"]
    beyond = "not applicable"
    page = document(
        [
            entry("One", "pass", "pass", "pass", beyond, why="needs weeks"),
            entry("Two", "pass", "fail", beyond, beyond, why="expected a|b; seen [x](y) `c`"),
            entry("Three", "error", "error", "error", beyond, why="no answer"),
        ],
        date(2026, 11, 28),
    )
    assert "| One | 1 | 3/3 (100 %) | 3/3 (100 %) |" in page
    assert "| Two | 1 | 1/2 (50 %) | 1/2 (50 %) |" in page
    assert "|  | pass | **FAIL** | **no answer** |" in page
    assert "|  | pass | n/a | **no answer** |" in page
    assert "- openai `text@anthropic`: expected a\\|b; seen \\[x\\](y) \\`c\\`" in page
    assert (
        "| `retention` | Old records are removed and their disk comes back | needs weeks |" in page
    )
    assert "2026-11-28" in page


def test_metis_is_configured_as_metis_reads_it(tmp_path: Path) -> None:
    (metis,) = contenders([])
    command = metis.command(Place(tmp_path, 1, 2))
    given = tomllib.loads((tmp_path / "metis.toml").read_text())
    assert set(msgspec.convert(given, Config).providers) == {"anthropic", "chat", "responses"}
    assert str(tmp_path / "metis.toml") in command
