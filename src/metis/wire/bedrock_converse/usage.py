"""Converse's usage and stop reasons. Prices do not live here.

Sources: docs.aws.amazon.com/bedrock/latest/APIReference: API_runtime_TokenUsage, API_runtime_ConverseResponse.
"""

from __future__ import annotations

from typing import Final

from metis.facts.usage import Usage
from metis.ir.response import StopReason
from metis.wire.counts import as_count, tool_counts
from metis.wire.fields import Json, as_list, as_object

STOP_IN: Final[dict[str, StopReason]] = {
    "end_turn": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "model_context_window_exceeded": "context_window",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}


def stop_of(raw: str) -> StopReason:
    return STOP_IN.get(raw, "other")


def usage_of(raw: Json) -> Usage:
    """Read a usage object; fields that are absent, null or of another type count as 0.

    `inputTokens` excludes cache reads and writes. Writes are split by `cacheDetails`; what
    `cacheWriteInputTokens` counts beyond that is taken as 5-minute writes, the default ttl.
    """
    written_1h = sum(
        as_count(detail.get("inputTokens"))
        for one in as_list(raw.get("cacheDetails")) or []
        if (detail := as_object(one)) is not None and detail.get("ttl") == "1h"
    )
    tools = as_object(raw.get("serverToolUsage")) or {}
    return Usage(
        input_tokens=as_count(raw.get("inputTokens")),
        cache_read_tokens=as_count(raw.get("cacheReadInputTokens")),
        cache_write_5m_tokens=max(0, as_count(raw.get("cacheWriteInputTokens")) - written_1h),
        cache_write_1h_tokens=written_1h,
        output_tokens=as_count(raw.get("outputTokens")),
        server_tools=tool_counts(tools),
    )
