"""What is set aside for a call: the dearer of the standard price and that of the tier it asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client import request_for
from tests.two_providers import Pair, ask, two_providers

# gpt-5.2 with 1,000 tokens of output: under 0.015 USD at the standard price, over 0.028 at priority's.
LIMIT = """
[gateway]
workers = 1
[accounts]
most_open_usd = "0.02"
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder: Path = tmp_path_factory.mktemp("pricing")
    with two_providers(folder, LIMIT) as made:
        yield made


@pytest.mark.parametrize(
    ("tier", "status"),
    [("auto", 200), ("flex", 200), ("priority", 429), ("unheard of", 200)],
)
def test_the_dearer_price_is_set_aside(pair: Pair, tier: str, status: int) -> None:
    asked = {"max_completion_tokens": 1000, "service_tier": tier}
    request = json.dumps(request_for("openai_chat", "gpt-5.2", **asked)).encode()
    assert ask(pair[0], "openai_chat", request).status == status


def test_a_cheaper_tier_sets_no_less_aside(pair: Pair) -> None:
    """Flex at half the price would fit; the provider may serve it at the standard one, which does not."""
    asked = {"max_completion_tokens": 2000, "service_tier": "flex"}
    request = json.dumps(request_for("openai_chat", "gpt-5.2", **asked)).encode()
    assert ask(pair[0], "openai_chat", request).status == 429
