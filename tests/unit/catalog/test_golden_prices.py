"""Bills computed by hand from what providers publish; nothing here comes from the price package.

Sources, as of 2026-11: https://platform.claude.com/docs/en/about-claude/pricing (Claude),
https://developers.openai.com/api/docs/pricing and the models' own pages (OpenAI),
https://ai.google.dev/gemini-api/docs/pricing (Gemini), https://openrouter.ai/api/v1/models (OpenRouter).
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from metis.catalog.price_data import PriceData, shipped_data
from metis.catalog.pricing import Cost, Prices
from metis.facts.usage import Usage

PRICES = Prices(PriceData(shipped_data()))
NOW = "2026-11-22"

# A thousand tokens of each kind; a price of 1 USD per million is 0.001 USD for them.
PLAIN = Usage(input_tokens=1000, output_tokens=1000)
READ = Usage(input_tokens=1000, output_tokens=1000, cache_read_tokens=1000)
CACHED = Usage(
    input_tokens=1000,
    output_tokens=1000,
    cache_read_tokens=1000,
    cache_write_5m_tokens=1000,
    cache_write_1h_tokens=1000,
)
AUDIO = Usage(
    input_tokens=2000, input_audio_tokens=1000, output_tokens=2000, output_audio_tokens=1000
)


def fresh(tokens: int, output: int = 1000) -> Usage:
    return Usage(input_tokens=tokens, output_tokens=output)


GOLDEN = [
    # Claude: input + output + cache read + 5-minute write + 1-hour write, USD per million.
    ("anthropic", "claude-sonnet-4-5", NOW, CACHED, "0.02805"),  # 3 + 15 + 0.30 + 3.75 + 6
    ("anthropic", "claude-sonnet-4-5-20250929", NOW, CACHED, "0.02805"),
    ("anthropic", "claude-haiku-4-5", NOW, CACHED, "0.00935"),  # 1 + 5 + 0.10 + 1.25 + 2
    ("anthropic", "claude-haiku-4-5-20251001", NOW, CACHED, "0.00935"),
    ("anthropic", "claude-opus-4-5", NOW, CACHED, "0.04675"),  # 5 + 25 + 0.50 + 6.25 + 10
    ("anthropic", "claude-opus-4-1-20250805", NOW, CACHED, "0.14025"),  # 15+75+1.50+18.75+30
    ("anthropic", "claude-sonnet-4-20250514", NOW, CACHED, "0.02805"),
    ("anthropic", "claude-3-7-sonnet-latest", NOW, CACHED, "0.02805"),
    ("anthropic", "claude-3-5-haiku-20241022", NOW, CACHED, "0.00748"),  # 0.80+4+0.08+1+1.60
    ("anthropic", "claude-3-opus-20240229", NOW, CACHED, "0.14025"),
    ("anthropic", "claude-3-haiku-20240307", NOW, CACHED, "0.00233"),  # 0.25+1.25+0.03+0.30+0.50
    ("anthropic", "claude-opus-4-8", NOW, CACHED, "0.04675"),
    ("anthropic", "claude-opus-5", NOW, CACHED, "0.04675"),
    ("anthropic", "claude-opus-5-5", NOW, CACHED, "0.0372"),  # 4 + 20 + 0.20 + 5 + 8
    ("anthropic", "claude-sonnet-5", NOW, CACHED, "0.0187"),  # 2 + 10 + 0.20 + 2.50 + 4
    ("anthropic", "claude-sonnet-5-5", NOW, CACHED, "0.0186"),  # 2 + 10 + 0.10 + 2.50 + 4
    ("anthropic", "claude-fable-5", NOW, CACHED, "0.0935"),  # 10 + 50 + 1 + 12.50 + 20
    ("anthropic", "claude-fable-5-1", NOW, CACHED, "0.09275"),  # 10 + 50 + 0.25 + 12.50 + 20
    # Claude's long context: all tokens of a prompt over 200K (Haiku 5.5: 100K), the answer's too.
    ("anthropic", "claude-sonnet-4-5", NOW, fresh(200_000), "0.615"),  # 3 x 0.2 + 15 x 0.001
    ("anthropic", "claude-sonnet-4-5", NOW, fresh(200_001), "1.222506"),  # 6, 22.50
    (
        "anthropic",
        "claude-sonnet-4-5",
        NOW,
        Usage(input_tokens=1000, cache_read_tokens=250_000, output_tokens=1000),
        "0.1785",  # 6 x 0.001 + 0.60 x 0.25 + 22.50 x 0.001
    ),
    ("anthropic", "claude-sonnet-4-0", "2025-09-01", fresh(250_000, 2000), "1.545"),  # 6, 22.50
    ("anthropic", "claude-haiku-5-5", NOW, CACHED, "0.000935"),  # 0.10+0.50+0.01+0.125+0.20
    ("anthropic", "claude-haiku-5-5", NOW, fresh(150_000), "0.0775"),  # 0.50, 2.50
    # The premium of Sonnet 4.6 ended on 2026-03-13.
    ("anthropic", "claude-sonnet-4-6", "2026-03-12", fresh(300_000, 0), "1.8"),
    ("anthropic", "claude-sonnet-4-6", "2026-03-13", fresh(300_000, 0), "0.9"),
    # Web search: 10 USD per thousand. Fetching is free but for its tokens.
    (
        "anthropic",
        "claude-sonnet-4-5",
        NOW,
        Usage(input_tokens=1000, server_tools={"web_search_requests": 3, "web_fetch_requests": 5}),
        "0.033",
    ),
    # OpenAI: input + output + cached input.
    ("openai", "gpt-4o", NOW, READ, "0.01375"),  # 2.50 + 10 + 1.25
    ("openai", "gpt-4o-2024-08-06", NOW, READ, "0.01375"),
    ("openai", "gpt-4o-2024-05-13", NOW, PLAIN, "0.02"),  # 5 + 15
    ("openai", "gpt-4o-mini", NOW, READ, "0.000825"),  # 0.15 + 0.60 + 0.075
    ("openai", "gpt-4o-mini-2024-07-18", NOW, READ, "0.000825"),
    ("openai", "gpt-4.1", NOW, READ, "0.0105"),  # 2 + 8 + 0.50
    ("openai", "gpt-4.1-mini", NOW, READ, "0.0021"),  # 0.40 + 1.60 + 0.10
    ("openai", "gpt-4.1-nano", NOW, READ, "0.000525"),  # 0.10 + 0.40 + 0.025
    ("openai", "gpt-5", NOW, READ, "0.011375"),  # 1.25 + 10 + 0.125
    ("openai", "gpt-5-mini", NOW, READ, "0.002275"),  # 0.25 + 2 + 0.025
    ("openai", "gpt-5-nano", NOW, READ, "0.000455"),  # 0.05 + 0.40 + 0.005
    ("openai", "gpt-5.1-codex", NOW, READ, "0.011375"),
    ("openai", "gpt-5.2", NOW, READ, "0.015925"),  # 1.75 + 14 + 0.175
    ("openai", "gpt-5.2-2025-12-11", NOW, READ, "0.015925"),
    ("openai", "gpt-5.2-pro", NOW, PLAIN, "0.189"),  # 21 + 168
    ("openai", "o1", NOW, READ, "0.0825"),  # 15 + 60 + 7.50
    ("openai", "o3-mini", NOW, READ, "0.00605"),  # 1.10 + 4.40 + 0.55
    ("openai", "o4-mini", NOW, READ, "0.005775"),  # 1.10 + 4.40 + 0.275
    ("openai", "gpt-3.5-turbo", NOW, PLAIN, "0.002"),  # 0.50 + 1.50
    ("openai", "gpt-4", NOW, PLAIN, "0.09"),  # 30 + 60
    ("openai", "text-embedding-3-small", NOW, fresh(1000, 0), "0.00002"),  # 0.02
    ("openai", "text-embedding-3-large", NOW, fresh(1000, 0), "0.00013"),  # 0.13
    ("openai", "gpt-5.5", NOW, READ, "0.0355"),  # 5 + 30 + 0.50
    ("openai", "gpt-5.5", NOW, fresh(272_000), "1.39"),  # 5 x 0.272 + 30 x 0.001
    ("openai", "gpt-5.5", NOW, fresh(300_000), "3.045"),  # 10 x 0.3 + 45 x 0.001
    ("openai", "gpt-6.1-sol", NOW, READ, "0.0121"),  # 2 + 10 + 0.10
    ("openai", "gpt-6.1-terra", NOW, CACHED, "0.0098"),  # 1+5+0.05+1.25 (30 min)+2.50 (12 h)
    # 80 % off o3 on 2025-06-10, terra and luna cheaper since 2026-07-30.
    ("openai", "o3", "2025-06-09", READ, "0.0525"),  # 10 + 40 + 2.50
    ("openai", "o3", "2025-06-10", READ, "0.0105"),  # 2 + 8 + 0.50
    ("openai", "gpt-5.6-terra", "2026-07-29", READ, "0.01775"),  # 2.50 + 15 + 0.25
    ("openai", "gpt-5.6-terra", "2026-07-30", READ, "0.0142"),  # 2 + 12 + 0.20
    # Audio: half the tokens are audio, each way.
    ("openai", "gpt-4o-audio-preview", NOW, AUDIO, "0.1325"),  # 2.50 + 40 + 10 + 80
    ("openai", "gpt-audio", NOW, AUDIO, "0.1085"),  # 2.50 + 32 + 10 + 64
    # Gemini.
    ("google", "gemini-2.5-pro", NOW, READ, "0.011375"),  # 1.25 + 10 + 0.125
    ("google", "gemini-2.5-pro", NOW, fresh(200_000), "0.26"),
    ("google", "gemini-2.5-pro", NOW, fresh(250_000), "0.64"),  # 2.50 x 0.25 + 15 x 0.001
    ("google", "gemini-2.5-flash", NOW, READ, "0.00283"),  # 0.30 + 2.50 + 0.03
    ("google", "gemini-2.5-flash-lite", NOW, READ, "0.00051"),  # 0.10 + 0.40 + 0.01
    (
        "google",
        "gemini-2.5-flash",
        NOW,
        Usage(input_tokens=2000, input_audio_tokens=1000, output_tokens=1000),
        "0.0038",  # 0.30 + 1 + 2.50
    ),
    # OpenRouter passes prices on, and bills the 1-hour write of Claude at twice the input.
    ("openrouter", "anthropic/claude-sonnet-4.5", NOW, CACHED, "0.02805"),
    ("openrouter", "anthropic/claude-haiku-4.5", NOW, CACHED, "0.00935"),
    ("openrouter", "anthropic/claude-sonnet-4", NOW, CACHED, "0.02805"),
    ("openrouter", "anthropic/claude-sonnet-4", NOW, fresh(250_000, 2000), "1.545"),
    ("openrouter", "openai/gpt-5.2", NOW, READ, "0.015925"),
    ("openrouter", "openai/gpt-4o", NOW, READ, "0.01375"),
    ("openrouter", "google/gemini-3-flash-preview", NOW, READ, "0.00355"),  # 0.50 + 3 + 0.05
]


@pytest.mark.parametrize(("provider", "model", "day", "usage", "usd"), GOLDEN)
def test_a_bill_equals_the_one_made_by_hand(
    provider: str, model: str, day: str, usage: Usage, usd: str
) -> None:
    price = PRICES.compile(provider, model, datetime.fromisoformat(day).replace(tzinfo=UTC))
    assert price is not None
    assert price.cost(usage) == Cost(int(Decimal(usd) * 10**9))
