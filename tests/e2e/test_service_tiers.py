"""A call costs what its tier costs: the one that the answer names, else the one that was asked for.

Priced by hand from https://openai.com/api/pricing and https://claude.com/pricing, USD per million tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.answers import events_for, usual, whole_for
from tests.client import request_for
from tests.two_providers import Pair, ask, two_providers
from tests.upstream import Handler, Seen, Wire

# tests/answers.py: OpenAI 12 fresh, 100 cached, 7 out; Anthropic 12 fresh, 10 and 20 written, 400 read, 7 out.
GPT_52 = {
    "": 12 * Decimal("1.75") + 100 * Decimal("0.175") + 7 * 14,
    "flex": 12 * Decimal("0.875") + 100 * Decimal("0.0875") + 7 * 7,
    "priority": 12 * Decimal("3.5") + 100 * Decimal("0.35") + 7 * 28,
}
OPUS_48 = {
    "": 12 * 5 + 10 * Decimal("6.25") + 20 * 10 + 400 * Decimal("0.5") + 7 * 25,
    "fast": 12 * 10 + 10 * Decimal("12.5") + 20 * 20 + 400 * 1 + 7 * 50,
    "batch": Decimal("12") * Decimal("2.5")
    + 10 * Decimal("3.125")
    + 20 * 5
    + 400 * Decimal("0.25")
    + 7 * Decimal("12.5"),
}
OPENAI, OPUS = "gpt-5.2", "claude-opus-4-8"


def nano(usd_per_million: Decimal) -> int:
    return int(usd_per_million * 1000)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_providers(tmp_path_factory.mktemp("tiers"), "") as made:
        yield made


def saying(words: dict[str, str]) -> Handler:
    """The usual answer with these words of the tier where each API has them."""

    def put(value: dict[str, Any], path: str) -> None:
        if path.endswith("/messages"):
            for holder in (value, value.get("message") or {}):
                if holder.get("usage"):
                    holder["usage"] = {**holder["usage"], **words}
        elif path.endswith("/chat/completions"):
            value.update(words)
        elif "response" in value or "output" in value:
            value.get("response", value).update(words)

    async def handler(seen: Seen, wire: Wire) -> None:
        if not seen.json.get("stream"):
            whole = whole_for(seen.path)
            put(whole, seen.path)
            await wire.answer(200, json.dumps(whole).encode())
            return
        await wire.begin_stream()
        for event in events_for(seen):
            head, mark, data = event.partition(b"data: ")
            if data.startswith(b"{"):
                value = json.loads(data)
                put(value, seen.path)
                data = json.dumps(value).encode() + b"\n\n"
            await wire.chunk(head + mark + data)
        await wire.end_stream()

    return handler


def cost(pair: Pair, shape: str, model: str, **asked: Any) -> int:
    gateway, upstream = pair
    reply = ask(gateway, shape, json.dumps(request_for(shape, model, **asked)).encode())
    assert reply.status == 200
    [row] = gateway.rows(
        "SELECT cost_nano_usd, usage_source, price_unknown FROM calls WHERE turn_id = ?",
        reply.headers["x-metis-turn"],
    )
    assert (row["usage_source"], row["price_unknown"]) == ("reported", 0)
    upstream.handler = usual
    return row["cost_nano_usd"]


TOLD = [
    ("openai_chat", OPENAI, {"service_tier": "flex"}, GPT_52["flex"]),
    ("openai_chat", OPENAI, {"service_tier": "priority"}, GPT_52["priority"]),
    ("openai_chat", OPENAI, {"service_tier": "default"}, GPT_52[""]),
    ("openai_responses", OPENAI, {"service_tier": "flex"}, GPT_52["flex"]),
    ("openai_responses", OPENAI, {"service_tier": "default"}, GPT_52[""]),
    ("anthropic_messages", OPENAI, {"service_tier": "priority"}, GPT_52["priority"]),
    ("anthropic_messages", OPUS, {"service_tier": "batch"}, OPUS_48["batch"]),
    ("anthropic_messages", OPUS, {"service_tier": "standard", "speed": "fast"}, OPUS_48["fast"]),
    ("anthropic_messages", OPUS, {"service_tier": "priority"}, OPUS_48[""]),
    ("openai_chat", OPUS, {"speed": "fast"}, OPUS_48["fast"]),
    ("openai_responses", OPUS, {"service_tier": "batch"}, OPUS_48["batch"]),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("shape", "model", "words", "price"), TOLD)
def test_the_tier_that_the_answer_names_is_what_it_costs(
    pair: Pair, shape: str, model: str, words: dict[str, str], price: Decimal, stream: bool
) -> None:
    pair[1].handler = saying(words)
    assert cost(pair, shape, model, stream=stream) == nano(price)


ASKED = [
    ("openai_chat", OPENAI, {"service_tier": "flex"}, GPT_52["flex"]),
    ("openai_responses", OPENAI, {"service_tier": "priority"}, GPT_52["priority"]),
    ("anthropic_messages", OPUS, {"speed": "fast"}, OPUS_48["fast"]),
    ("openai_chat", OPENAI, {"service_tier": "auto"}, GPT_52[""]),
    ("openai_chat", OPENAI, {"service_tier": None}, GPT_52[""]),
    ("openai_chat", OPENAI, {"service_tier": 7}, GPT_52[""]),
    ("openai_chat", OPENAI, {"service_tier": "x" * 9000}, GPT_52[""]),
    # Anthropic has no such tier, so the crossing leaves it out.
    ("openai_chat", OPUS, {"service_tier": "batch"}, OPUS_48[""]),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("shape", "model", "asked", "price"), ASKED)
def test_the_tier_that_was_asked_for_counts_where_the_answer_names_none(
    pair: Pair, shape: str, model: str, asked: dict[str, str], price: Decimal, stream: bool
) -> None:
    assert cost(pair, shape, model, stream=stream, **asked) == nano(price)


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_answer_names_counts_before_what_was_asked(pair: Pair, stream: bool) -> None:
    pair[1].handler = saying({"service_tier": "default"})
    asked = {"service_tier": "flex", "stream": stream}
    assert cost(pair, "openai_chat", OPENAI, **asked) == nano(GPT_52[""])
