"""Token usage both ways. Prices do not live here.

Source: https://platform.openai.com/docs/api-reference/responses/object (usage). `input_tokens` includes what
was read from the cache and what was written to it; `output_tokens` includes reasoning.
"""

from __future__ import annotations

import math
from typing import Any

from metis.facts.usage import Usage
from metis.wire.openai_responses.fields import Json, object_or_empty

# xAI names its own counts; OpenAI's stand in `tool_usage` beside `usage`.
_SERVER_TOOL_SUFFIX = "_calls"


def usage_of(raw: Json) -> Usage:
    """Read a `usage` object; what is missing or of a wrong type counts as zero.

    The cache's two lifetimes go into the two fields the ledger has: 12 hours into the long one, all else
    (30 minutes, or none named) into the short one.
    """
    input_details, output_details = (
        object_or_empty(raw.get("input_tokens_details")),
        object_or_empty(raw.get("output_tokens_details")),
    )
    prompt = _count(raw.get("input_tokens"))
    # Both are part of the input: of a count that is over it, only so much is believed.
    cached = min(prompt, _count(input_details.get("cached_tokens")))
    written = min(prompt - cached, _count(input_details.get("cache_write_tokens")))
    lifetimes = object_or_empty(input_details.get("cache_write_tokens_details"))
    written_long = min(written, _count(lifetimes.get("ttl_12h_tokens")))
    return Usage(
        input_tokens=prompt - cached - written,
        cache_read_tokens=cached,
        cache_write_5m_tokens=written - written_long,
        cache_write_1h_tokens=written_long,
        output_tokens=_count(raw.get("output_tokens")),
        reasoning_tokens=_count(output_details.get("reasoning_tokens")),
        input_audio_tokens=_count(input_details.get("audio_tokens")),
        output_audio_tokens=_count(output_details.get("audio_tokens")),
        server_tools=_xai_server_tools(object_or_empty(raw.get("server_side_tool_usage_details"))),
    )


def server_tools_of(tool_usage: Any, web_searches: int) -> dict[str, int]:
    """Billed server tool requests of an answer: OpenAI's own count, else the searches among its items."""
    told = object_or_empty(object_or_empty(tool_usage).get("web_search")).get("num_requests")
    count = _count(told) if isinstance(told, int) else web_searches
    return {"web_search_requests": count} if count else {}


def is_billed_search(item_type: Any, action: Any) -> bool:
    """Whether an output item is a web search that is billed: opening or searching a page found is not."""
    return (
        item_type == "web_search_call" and object_or_empty(action).get("type", "search") == "search"
    )


def usage_object(usage: Usage | None) -> Json:
    """The `usage` of an answer: always whole, zeros where nothing is known, for clients loop without it."""
    usage = usage or Usage()
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


def _xai_server_tools(raw: Json) -> dict[str, int]:
    return {
        f"{name.removesuffix(_SERVER_TOOL_SUFFIX)}_requests": _count(count)
        for name, count in raw.items()
        if name.endswith(_SERVER_TOOL_SUFFIX) and _count(count)
    }


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return max(0, int(value))
