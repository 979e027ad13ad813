"""Usage read, merged and written: no token twice, none forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from metis.facts.usage import Usage
from metis.wire.anthropic_messages.usage import merge_usage, usage_of, usage_out


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({}, Usage()),
        (
            {
                "input_tokens": 3,
                "output_tokens": 9,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 30,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 10,
                    "ephemeral_1h_input_tokens": 20,
                },
                "output_tokens_details": {"thinking_tokens": 4},
                "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
            },
            Usage(
                input_tokens=3,
                output_tokens=9,
                cache_read_tokens=100,
                cache_write_5m_tokens=10,
                cache_write_1h_tokens=20,
                reasoning_tokens=4,
                server_tools={"web_search_requests": 2},
            ),
        ),
        ({"cache_creation_input_tokens": 7}, Usage(cache_write_5m_tokens=7)),
        (
            {
                "cache_creation_input_tokens": 25,
                "cache_creation": {"ephemeral_1h_input_tokens": 20},
            },
            Usage(cache_write_5m_tokens=5, cache_write_1h_tokens=20),
        ),
        (
            {
                "input_tokens": None,
                "output_tokens": "9",
                "cache_read_input_tokens": True,
                "cache_creation": [],
                "server_tool_use": None,
            },
            Usage(),
        ),
    ],
)
def test_usage_objects_are_read(raw: dict[str, Any], usage: Usage) -> None:
    assert usage_of(raw) == usage
    assert usage_of(usage_out(usage)) == usage


def test_later_totals_overwrite_but_neither_null_nor_zero_erases() -> None:
    first = {
        "input_tokens": 10,
        "cache_read_input_tokens": 5,
        "output_tokens": 1,
        "service_tier": "standard",
    }
    later = {"input_tokens": 0, "cache_read_input_tokens": None, "output_tokens": 30, "new": 1}
    assert merge_usage(first, later) == {
        "input_tokens": 10,
        "cache_read_input_tokens": 5,
        "output_tokens": 30,
        "service_tier": "standard",
        "new": 1,
    }
    assert merge_usage({"input_tokens": 0}, {"input_tokens": 12}) == {"input_tokens": 12}


def test_an_unknown_usage_is_written_as_zeros() -> None:
    assert usage_out(None) == {
        "input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }
