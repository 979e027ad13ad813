from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metis.catalog.names import AUTO_NAMES, ModelName, family_of, normalise, suggest, without_cloud


@pytest.mark.parametrize(
    ("raw", "provider", "base", "snapshot", "suffixes", "sent"),
    [
        ("gpt-4o", "", "gpt-4o", "", (), "gpt-4o"),
        ("claude-sonnet-4-5[1m]", "", "claude-sonnet-4-5", "", ("[1m]",), "claude-sonnet-4-5"),
        (
            "anthropic/claude-sonnet-4-5-20250929[1m]",
            "anthropic",
            "claude-sonnet-4-5",
            "2025-09-29",
            ("[1m]",),
            "anthropic/claude-sonnet-4-5-20250929",
        ),
        ("gpt-4o-2024-08-06", "", "gpt-4o", "2024-08-06", (), "gpt-4o-2024-08-06"),
        (
            "claude-opus-4@20250514",
            "",
            "claude-opus-4",
            "2025-05-14",
            (),
            "claude-opus-4@20250514",
        ),
        ("gpt-5-chat-latest", "", "gpt-5-chat", "", ("-latest",), "gpt-5-chat-latest"),
        (
            "openrouter/deepseek/DeepSeek-R1:free",
            "openrouter/deepseek",
            "deepseek-r1",
            "",
            (":free",),
            "openrouter/deepseek/DeepSeek-R1:free",
        ),
        (" gpt-4-0613 ", "", "gpt-4-0613", "", (), "gpt-4-0613"),
        (
            "ft:gpt-4o-mini-2024-07-18:acme::abc",
            "",
            "ft:gpt-4o-mini-2024-07-18:acme::abc",
            "",
            (),
            "ft:gpt-4o-mini-2024-07-18:acme::abc",
        ),
        ("gpt-5-20269999", "", "gpt-5-20269999", "", (), "gpt-5-20269999"),
        ("[1m]", "", "[1m]", "", (), "[1m]"),
        ("-latest", "", "-latest", "", (), "-latest"),
        ("", "", "", "", (), ""),
    ],
)
def test_a_name_is_taken_apart(
    raw: str, provider: str, base: str, snapshot: str, suffixes: tuple[str, ...], sent: str
) -> None:
    found = normalise(raw)
    assert found == ModelName(raw.strip(), provider, base, snapshot, suffixes)
    assert found.sent == sent


def test_spellings_get_plainer_but_keep_what_has_a_price_of_its_own() -> None:
    assert normalise("a/b/GPT-5.2-2025-12-11[1m]").spellings == (
        "a/b/gpt-5.2-2025-12-11",
        "b/gpt-5.2-2025-12-11",
        "gpt-5.2-2025-12-11",
        "gpt-5.2",
    )
    assert normalise("x/r1:free").spellings == ("x/r1:free", "r1:free")


@given(st.text(max_size=60))
def test_any_text_can_be_taken_apart(text: str) -> None:
    found = normalise(text)
    assert found.spellings[0] == found.sent.lower()
    assert family_of(text) == family_of(found.base)


def test_names_that_leave_the_choice_to_metis_are_told() -> None:
    names = [*sorted(AUTO_NAMES), "Auto", "openai/auto", "claude-metis-auto[1m]", "automatic", ""]
    assert [normalise(name).is_auto for name in names] == [True] * 6 + [False] * 2


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("claude-opus-5", "anthropic"),
        ("anthropic/claude-3-haiku-20240307", "anthropic"),
        ("gpt-5.2", "openai"),
        ("o3", "openai"),
        ("o4-mini-high", "openai"),
        ("o1-preview", "openai"),
        ("chatgpt-4o-latest", "openai"),
        ("codex-mini-latest", "openai"),
        ("text-embedding-3-small", "openai"),
        ("davinci-002", "openai"),
        ("babbage-002", "openai"),
        ("ft:gpt-3.5-turbo:acme", "openai"),
        ("gemini-2.5-pro", "google"),
        ("models/gemini-2.5-flash", "google"),
        ("grok-4.3", "x-ai"),
        ("deepseek-chat", "deepseek"),
        ("mistral-large-latest", "mistral"),
        ("kimi-k2.5", "moonshotai"),
        ("llama-3.3-70b-versatile", "meta"),
        ("qwen3-coder", "qwen"),
        ("glm-4.7", "zai"),
        ("smollm2-135m", "local"),
        ("house-model", None),
        ("opus", None),
        ("", None),
    ],
)
def test_a_family_is_told_by_the_name(name: str, family: str | None) -> None:
    assert family_of(name) == family


def test_near_misses_are_suggested_nearest_first() -> None:
    known = ["gpt-5.5", "gpt-5.2", "claude-sonnet-4-5", "openai/gpt-5-mini"]
    assert suggest("gpt-5.6", known)[0] in {"gpt-5.5", "gpt-5.2"}
    assert suggest("claude-sonet-4-5-20250929", known) == ("claude-sonnet-4-5",)
    assert suggest("gpt5-mini", known)[0] == "openai/gpt-5-mini"
    assert suggest("zebra", known) == ()
    assert suggest("gpt-5.5", []) == ()


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku-20240307"),
        ("us-gov.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("global.anthropic.claude-opus-5", "claude-opus-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929"),
        ("claude-opus-5@default", "claude-opus-5"),
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("arn:aws:bedrock:x:1:inference-profile/y", "arn:aws:bedrock:x:1:inference-profile/y"),
    ],
)
def test_a_clouds_name_for_claude_is_told_as_anthropics(name: str, plain: str) -> None:
    assert without_cloud(name) == plain
