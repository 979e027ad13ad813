"""Token counts: chat's `usage` object, in the forms its many servers write, to the neutral Usage and back.

`prompt_tokens` holds all input, so fresh input is what remains after cached and written tokens;
`completion_tokens` is meant to hold reasoning. Where a server counts otherwise, its own total tells:
xAI leaves reasoning out of completion_tokens, Google's endpoint names thinking only in the total,
Mistral leaves audio out of prompt_tokens, Vercel's gateway reports more reasoning than completion.
"""

from __future__ import annotations

from typing import Any, Final, cast

from metis.facts.usage import Usage
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


_PLAIN: Final = _OPENAIS - {"completion_tokens_details"}


def usage_of(raw: dict[str, Any]) -> Usage:
    """The neutral Usage; numbers that are missing, null or nonsense count as 0, nothing is ever negative."""
    plain = _plain(raw)
    if plain is not None:
        return plain
    prompt_details = _object(raw.get("prompt_tokens_details"))
    completion_details = _object(raw.get("completion_tokens_details"))
    prompt, completion = _count(raw, "prompt_tokens"), _count(raw, "completion_tokens")
    reasoning = _count(completion_details, "reasoning_tokens")
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


def _plain(raw: Object) -> Usage | None:
    """The usage where nothing but the three counts and cached tokens is told, and they add up."""
    prompt, completion = raw.get("prompt_tokens"), raw.get("completion_tokens")
    if type(prompt) is not int or type(completion) is not int or prompt < 0 or completion < 0:
        return None
    if raw.get("total_tokens") != prompt + completion or not _PLAIN.issuperset(raw):
        return None
    details = raw.get("prompt_tokens_details")
    if not details or not isinstance(details, dict):
        return Usage(input_tokens=prompt, output_tokens=completion)
    details = cast(Object, details)
    cached = details.get("cached_tokens") if len(details) == 1 else None
    if type(cached) is not int or not 0 <= cached <= prompt:
        return None
    return Usage(input_tokens=prompt - cached, cache_read_tokens=cached, output_tokens=completion)


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
    value = values.get(key)
    if isinstance(value, float) and value == value and abs(value) < 1e15:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
