"""Token counts: chat's `usage` object, in the forms its many servers write, to the neutral Usage and back.

`prompt_tokens` holds all input, so fresh input is what remains after cached and written tokens;
`completion_tokens` is meant to hold reasoning. Where a server counts otherwise, its own total tells:
xAI leaves reasoning out of completion_tokens, Google's endpoint names thinking only in the total,
Mistral leaves audio out of prompt_tokens, Vercel's gateway and Perplexity report more reasoning than completion.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from metis.facts.usage import Usage
from metis.wire.counts import MOST_COUNTED, as_count
from metis.wire.openai_chat.fields import Object

# OpenAI's own fields: where there are no others, the other servers' words need not be looked for.
_OPENAIS: Final = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    }
)


class PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    audio_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class TypedUsage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """OpenAI's own form, which has no fields but these: see `plain_usage`."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


def plain_usage(raw: TypedUsage) -> Usage | None:
    """The neutral Usage where the counts agree with one another; None where they have to be weighed."""
    prompt, completion = raw.prompt_tokens, raw.completion_tokens
    read = written = audio_in = reasoning = audio_out = 0
    details = raw.prompt_tokens_details
    if details is not None:
        read, written = details.cached_tokens or 0, details.cache_write_tokens or 0
        audio_in = details.audio_tokens or 0
    out_details = raw.completion_tokens_details
    if out_details is not None:
        reasoning, audio_out = out_details.reasoning_tokens or 0, out_details.audio_tokens or 0
    fresh = prompt - read - written
    # Or-ed together they are negative if one is.
    if (
        fresh | read | written | completion | reasoning | audio_in | audio_out < 0
        or not raw.total_tokens == prompt + completion <= MOST_COUNTED
        or audio_in > fresh
        or max(reasoning, audio_out) > completion
    ):
        return None
    return Usage(
        input_tokens=fresh,
        cache_read_tokens=read,
        cache_write_5m_tokens=written,
        output_tokens=completion,
        reasoning_tokens=reasoning,
        input_audio_tokens=audio_in,
        output_audio_tokens=audio_out,
    )


def usage_of(raw: dict[str, Any]) -> Usage:
    """The neutral Usage; numbers that are missing, null or nonsense count as 0, nothing is ever negative."""
    prompt_details = _object(raw.get("prompt_tokens_details"))
    completion_details = _object(raw.get("completion_tokens_details"))
    prompt, completion = _count(raw, "prompt_tokens"), _count(raw, "completion_tokens")
    reasoning = _count(completion_details, "reasoning_tokens") or _count(raw, "reasoning_tokens")
    audio = _count(prompt_details, "audio_tokens")
    hidden = _count(raw, "total_tokens") - prompt - completion
    if hidden > 0 and hidden == audio:
        prompt += hidden
    elif hidden > 0:
        completion += hidden
        reasoning = max(reasoning, hidden)
    elif reasoning > completion:
        completion += reasoning
    read = min(prompt, _cache_read(raw, prompt_details))
    written = min(prompt - read, _cache_written(raw, prompt_details))
    return Usage(
        input_tokens=prompt - read - written,
        cache_read_tokens=read,
        cache_write_5m_tokens=written,
        output_tokens=completion,
        reasoning_tokens=reasoning,
        input_audio_tokens=min(audio, prompt - read - written),
        output_audio_tokens=min(_count(completion_details, "audio_tokens"), completion),
        server_tools=_server_tools(raw),
    )


def _cache_read(raw: Object, prompt_details: Object) -> int:
    cached = _count(prompt_details, "cached_tokens")
    if cached or not raw.keys() - _OPENAIS:
        return cached
    return (
        _count(raw, "prompt_cache_hit_tokens")  # DeepSeek
        or _count(raw, "cache_read_input_tokens")  # Databricks
        or _count(raw, "num_cached_tokens")  # Mistral
        or _count(raw, "cached_tokens")  # Together, Moonshot
    )


def _cache_written(raw: Object, prompt_details: Object) -> int:
    return (
        _count(prompt_details, "cache_write_tokens")  # OpenAI, OpenRouter
        or _count(raw, "cache_creation_input_tokens")  # Databricks, Vercel
    )


def _server_tools(raw: Object) -> dict[str, int]:
    if not raw.keys() - _OPENAIS:
        return {}
    details = _object(raw.get("server_tool_use_details")) or _object(raw.get("server_tool_use"))
    searches = _count(details, "web_search_requests") or _count(raw, "num_search_queries")
    return {"web_search_requests": searches} if searches else {}


def usage_object(usage: Usage) -> Object:
    """OpenAI's `usage` object: prompt_tokens holds all input the model read."""
    prompt_details: Object = {
        "cached_tokens": usage.cache_read_tokens,
        "audio_tokens": usage.input_audio_tokens,
    }
    if usage.cache_write_tokens:
        prompt_details["cache_write_tokens"] = usage.cache_write_tokens
    out: Object = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.output_audio_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    if usage.server_tools:
        out["server_tool_use_details"] = dict(usage.server_tools)
    return out


def _object(value: object) -> Object:
    return cast(Object, value) if isinstance(value, dict) else {}


def _count(values: Object, key: str) -> int:
    return as_count(values.get(key))
