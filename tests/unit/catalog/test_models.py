from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from metis.catalog.models import (
    KnownModel,
    default_model,
    display_name,
    family_of,
    known_model,
    known_models,
    retires_on,
)
from metis.catalog.price_data import PriceData, shipped_data
from metis.catalog.pricing import Prices

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FAMILIES = ("anthropic", "openai", "google")


def test_a_model_is_known_in_its_many_spellings() -> None:
    spellings = (
        "claude-sonnet-4-6",
        "anthropic/claude-sonnet-4.6",
        "claude-sonnet-4-6[1m]",
        "claude-sonnet-4-6-20260217",
    )
    expected = KnownModel(
        "claude-sonnet-4-6",
        "Claude Sonnet 4.6",
        "anthropic",
        1_000_000,
        128_000,
        frozenset({"tools", "images", "documents", "structured_output", "thinking"}),
    )
    assert {known_model(one) for one in spellings} == {expected}


def test_the_price_list_speaks_where_the_model_data_is_silent() -> None:
    assert known_model("grok-4.3") == KnownModel("grok-4.3", "Grok 4.3", "x-ai", 1_000_000)


@pytest.mark.parametrize("name", ["house-model", "gpt-99-ultra", "", "auto"])
def test_of_unknown_models_nothing_is_claimed(name: str) -> None:
    assert known_model(name) is None
    assert display_name(name) == name
    assert retires_on(name) is None


def test_people_see_names_and_snapshots() -> None:
    names = ["claude-opus-5", "claude-sonnet-4-5-20250929", "openai/gpt-5-mini", "smollm2-135m"]
    assert [display_name(name) for name in names] == [
        "Claude Opus 5",
        "Claude Sonnet 4.5 (2025-09-29)",
        "GPT-5 mini",
        "SmolLM2 135M (embedded)",
    ]


def test_announced_retirements_are_known_and_past_ones_not_listed() -> None:
    assert retires_on("claude-sonnet-4-5-20250929") == date(2026, 11, 30)
    assert retires_on("claude-3-opus-20240229") == date(2026, 1, 5)
    listed = known_models("anthropic")
    assert "claude-sonnet-4-5" in listed
    assert "claude-3-opus" not in listed


def test_a_reseller_lists_its_own_ids() -> None:
    listed = known_models("openrouter")
    assert {"anthropic/claude-sonnet-4.5", "openai/gpt-5.2"} <= set(listed)
    assert not [one for one in listed if one.startswith("~") or one.endswith(":batch")]
    assert known_models("nobody") == ()
    assert known_models("local") == ("smollm2-135m",)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_familys_default_is_listed_priced_and_not_about_to_retire(family: str) -> None:
    model = default_model(family)
    assert model is not None
    assert model in known_models(family)
    assert retires_on(model) is None
    assert Prices(PriceData(shipped_data())).compile(family, model, NOW) is not None
    assert default_model("nobody") is None


def test_all_listed_models_are_of_their_family() -> None:
    listed = [(family, one) for family in FAMILIES for one in known_models(family)]
    assert [(family, one) for family, one in listed if family_of(one) != family] == []


def test_limits_agree_with_what_the_provider_itself_lists(corpus: Path) -> None:
    lines = (corpus / "anthropic.models.jsonl").read_bytes().splitlines()
    bodies = [msgspec.json.decode(line)["response"]["body"] for line in lines]
    told = {
        model["id"]: (model["display_name"], model["max_input_tokens"], model["max_tokens"])
        for body in bodies
        for model in body.get("data", ())
        if "max_input_tokens" in model
    }
    ours = {
        name: (model.name, model.context_window, model.max_output_tokens)
        for name in told
        if (model := known_model(name)) is not None
    }
    assert told
    assert ours == told


def test_names_that_only_a_price_list_knows_are_not_listed() -> None:
    listed = known_models("aws")
    assert "amazon.nova-lite-v1:0" in listed
    assert not [name for name in listed if name.startswith("regional.")]
