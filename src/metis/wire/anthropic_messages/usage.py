"""Anthropic's usage objects, read, merged over a stream, and written. Prices do not live here.

Sources: platform.claude.com/docs/en/api/messages (Usage, MessageDeltaUsage) and
docs/en/build-with-claude/prompt-caching ("Tracking cache performance").
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from metis.facts.usage import Usage
from metis.wire.codec import ResponseFacts
from metis.wire.counts import as_count, tool_counts
from metis.wire.fields import Json, as_list, as_object

_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)


# What a request may hold of compactions and advice is told nowhere; beyond this it is nonsense.
_MOST_ITERATIONS: Final = 1000


def usage_of(raw: Json) -> Usage:
    """Read a usage object; fields that are absent, null or of another type count as 0.

    `input_tokens` already excludes cache reads and writes. Compactions are billed and stand in no total,
    so theirs are added (anthropic-sdk-python, BetaUsage.iterations). An advisor's tokens stand in none
    either, and are another model's: its requests are counted, so that their price shows as unknown.
    """
    usage = _counted(raw)
    iterations = as_list(raw.get("iterations"))
    return _with_iterations(usage, iterations) if iterations else usage


def _counted(raw: Json) -> Usage:
    """One usage object. What the split of cache writes leaves out is taken as 5 minutes, the default ttl."""
    short, long = as_count(raw.get("cache_creation_input_tokens")), 0
    split = as_object(raw.get("cache_creation"))
    if split:
        long = as_count(split.get("ephemeral_1h_input_tokens"))
        short = max(short - long, as_count(split.get("ephemeral_5m_input_tokens")))
    details, tools = as_object(raw.get("output_tokens_details")), raw.get("server_tool_use")
    return Usage(
        input_tokens=as_count(raw.get("input_tokens")),
        cache_read_tokens=as_count(raw.get("cache_read_input_tokens")),
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=long,
        output_tokens=as_count(raw.get("output_tokens")),
        reasoning_tokens=as_count(details.get("thinking_tokens")) if details else 0,
        server_tools=tool_counts(as_object(tools) or {}) if tools else {},
    )


def _with_iterations(usage: Usage, iterations: list[Any]) -> Usage:
    """The usage with what is billed beside it."""
    told = [one for one in map(as_object, iterations[:_MOST_ITERATIONS]) if one is not None]
    beside = [_counted(one) for one in told if one.get("type") == "compaction"]
    advised = sum(one.get("type") == "advisor_message" for one in told)
    tools = {**usage.server_tools, "advisor_message_requests": advised} if advised else None
    whole = (usage, *beside)
    return msgspec.structs.replace(
        usage,
        input_tokens=sum(one.input_tokens for one in whole),
        cache_read_tokens=sum(one.cache_read_tokens for one in whole),
        cache_write_5m_tokens=sum(one.cache_write_5m_tokens for one in whole),
        cache_write_1h_tokens=sum(one.cache_write_1h_tokens for one in whole),
        output_tokens=sum(one.output_tokens for one in whole),
        server_tools=tools or usage.server_tools,
    )


def note_tier(raw: Json, facts: ResponseFacts) -> None:
    """Put down the tier and the speed that a usage object says the answer was served with."""
    tier, speed = raw.get("service_tier"), raw.get("speed")
    if isinstance(tier, str):
        facts.service_tier = tier
    if isinstance(speed, str):
        facts.speed = speed


def merge_usage(earlier: Json, later: Json) -> Json:
    """The usage known after a `message_delta`, whose counts are running totals and overwrite.

    A null does not overwrite, as in the official SDKs; nor does a 0 erase a count that was already
    told, because totals cannot fall (some compatible servers send zeros for what they told before).
    """
    merged = dict(earlier)
    for key, value in later.items():
        told_before = key in _COUNTS and as_count(merged.get(key)) > 0 and as_count(value) == 0
        if value is None or told_before:
            merged.setdefault(key, value)
        else:
            merged[key] = value
    return merged


def usage_out(usage: Usage | None) -> Json:
    """Write a usage object; an unknown usage is written as zeros, since clients need the field."""
    known = usage or Usage()
    raw: Json = {
        "input_tokens": known.input_tokens,
        "cache_creation_input_tokens": known.cache_write_tokens,
        "cache_read_input_tokens": known.cache_read_tokens,
    }
    if known.cache_write_tokens:
        raw["cache_creation"] = {
            "ephemeral_5m_input_tokens": known.cache_write_5m_tokens,
            "ephemeral_1h_input_tokens": known.cache_write_1h_tokens,
        }
    raw["output_tokens"] = known.output_tokens
    if known.reasoning_tokens:
        raw["output_tokens_details"] = {"thinking_tokens": known.reasoning_tokens}
    if known.server_tools:
        # The SDKs' type declares both counters as present.
        raw["server_tool_use"] = {
            "web_fetch_requests": 0,
            "web_search_requests": 0,
            **known.server_tools,
        }
    return raw
