"""The shipped file against the installed package, in a process of its own: the package is never imported here."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata

import pytest

from metis.catalog.compile_prices import installed_version
from metis.catalog.corrections import CORRECTIONS, correct
from metis.catalog.price_data import FORMAT, Period, PriceData, matches, shipped_data


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_shipped_file_is_what_the_installed_package_compiles_to() -> None:
    code = """
from metis.catalog.compile_prices import compile_prices
from metis.catalog.price_data import shipped_data
data, complaints = compile_prices()
assert not complaints, complaints
same = data == shipped_data()
assert same, "run python -m metis.catalog.compile_prices"
print("same")
"""
    assert run(code) == "same\n"


# Every model of every list at several moments, with tiers and caches, priced by the package itself and by
# us. Corrected models are compared in the golden tests.
COMPARE = """
import sys
from importlib import metadata
from datetime import UTC, datetime
from decimal import Decimal
from genai_prices import Usage as TheirUsage
from genai_prices.data import providers
from metis.catalog.corrections import CORRECTIONS
from metis.catalog.price_data import PriceData, shipped_data
from metis.catalog.pricing import Prices
from metis.facts.usage import Usage

prices = Prices(PriceData(shipped_data()))
corrected = {(one.provider, one.model_id) for one in CORRECTIONS}
moments = [datetime(2025, 3, 1, 2, 30, tzinfo=UTC), datetime(2026, 8, 25, 7, tzinfo=UTC),
           datetime(2026, 11, 22, 23, tzinfo=UTC)]
sizes = [(1_000, 500, 300, 200), (90_000, 20_000, 7_001, 13), (300_000, 250_000, 1_000, 777)]
compared, differing = 0, []
for provider in providers:
    for model in provider.models:
        found = provider.find_model(model.id, all_providers=providers)
        if found is None or (provider.id, found.id) in corrected or found.id.endswith(":free"):
            continue
        for at in moments:
            theirs = found.get_prices(at)
            kinds = {key for key, value in vars(theirs).items() if value is not None}
            if not {"input_mtok", "output_mtok"} <= kinds or kinds & {
                "output_reasoning_mtok", "output_citation_mtok"}:
                continue
            for prompt, read, written, output in sizes:
                read, written = read // 2, written // 2
                ours = prices.compile(provider.id, model.id, at)
                usage = Usage(input_tokens=prompt - read - written, cache_read_tokens=read,
                              cache_write_5m_tokens=written, output_tokens=output)
                # Without audio or images: what the package subtracts for them is not there.
                plain = TheirUsage(input_tokens=prompt, output_tokens=output,
                                   cache_read_tokens=read, cache_write_tokens=written,
                                   cache_write_5m_tokens=written, cache_write_1h_tokens=0,
                                   input_audio_tokens=0, output_audio_tokens=0,
                                   cache_audio_read_tokens=0, input_image_tokens=0,
                                   output_image_tokens=0, cache_image_read_tokens=0,
                                   input_video_tokens=0, output_video_tokens=0)
                total = theirs.calc_price(plain)["total_price"]
                compared += 1
                cost = ours and ours.cost(usage).nano_usd
                if cost is None or abs(cost - total * 10**9) > Decimal("0.51"):
                    differing.append((provider.id, model.id, str(at), prompt, cost, str(total)))
print(compared)
assert not differing, differing[:10]
"""


def test_all_models_cost_what_the_package_says() -> None:
    assert int(run(COMPARE)) > 15_000


def test_a_worker_never_imports_the_package() -> None:
    code = """
import sys
from importlib import metadata
from metis.catalog.pricing import Prices
from metis.catalog.price_data import PriceData, shipped_data
from metis.catalog.models import display_name
display_name("gpt-4o"), Prices(PriceData(shipped_data())).at("openai", "gpt-4o", 0.0)
print(sorted({"genai_prices", "pydantic", "httpx", "httpx2", "decimal"} & sys.modules.keys()))
"""
    assert run(code) == "['decimal']\n"


def test_a_correction_is_left_out_when_the_package_has_changed_its_mind() -> None:
    o3 = next(one for one in CORRECTIONS if one.model_id == "o3")
    mended = [Period({"input_mtok": "10", "cache_read_mtok": "0.5", "output_mtok": "40"})]
    changed = [Period({"input_mtok": "9", "cache_read_mtok": "0.5", "output_mtok": "40"})]
    assert [correct(o3, mended), correct(o3, changed), correct(o3, [])] == [True, False, False]
    assert mended == [Period({"input_mtok": "10", "cache_read_mtok": "2.5", "output_mtok": "40"})]
    assert changed[0].prices["cache_read_mtok"] == "0.5"


def test_every_correction_names_its_source() -> None:
    assert all(one.source.startswith("https://") and one.why for one in CORRECTIONS)


def test_all_of_the_package_is_there() -> None:
    data = PriceData(shipped_data())
    counts = {one: len(found.models) for one in data.provider_ids if (found := data.provider(one))}
    assert data.stamp.format == FORMAT
    assert len(counts) >= 40
    assert sum(counts.values()) >= 2000
    assert json.loads(shipped_data())["stamp"] == [FORMAT, data.stamp.genai_prices]


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        (["=", "gpt-4o"], "gpt-4o", True),
        (["=", "gpt-4o"], "gpt-4o-mini", False),
        (["^", "claude-"], "claude-x", True),
        (["$", "-mini"], "gpt-4o-mini", True),
        (["~", "gemini"], "models/gemini-x", True),
        (["*", r"^o\d$"], "o3", True),
        (["*", r"^o\d$"], "o3-mini", False),
        (["|", [["=", "a"], ["=", "b"]]], "b", True),
        (["|", [["=", "a"], ["=", "b"]]], "c", False),
        (["&", [["^", "a"], ["$", "z"]]], "a-z", True),
        (["&", [["^", "a"], ["$", "z"]]], "a-y", False),
    ],
)
def test_rules_are_evaluated_as_written(rule: list[object], text: str, *, expected: bool) -> None:
    assert matches(rule, text) is expected


def test_an_unknown_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown rule"):
        matches(["?", "x"], "x")


def test_the_installed_version_is_read_without_an_import() -> None:
    assert installed_version() == metadata.version("genai-prices")
