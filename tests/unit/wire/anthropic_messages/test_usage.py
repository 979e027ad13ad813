"""Usage merged over a stream: no token twice, none forgotten. Its forms stand in `test_usage_rows`."""

from __future__ import annotations

from metis.wire.anthropic_messages.usage import merge_usage


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
