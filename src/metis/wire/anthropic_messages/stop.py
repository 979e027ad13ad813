"""Anthropic's stop reasons and the neutral ones, as two tables.

Source: platform.claude.com/docs/en/api/handling-stop-reasons.
"""

from __future__ import annotations

from metis.ir.response import StopReason

STOP_IN: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "pause_turn": "pause_turn",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_window",
}

# Clients know no other words, so what Anthropic never says becomes the nearest it does.
STOP_OUT: dict[StopReason, str] = {
    **{neutral: raw for raw, neutral in STOP_IN.items()},
    "content_filter": "refusal",
    "error": "end_turn",
    "other": "end_turn",
}


def stop_of(raw: str) -> StopReason:
    return STOP_IN.get(raw, "other")


def foreign_stop(stop: StopReason, *, called_tools: bool, refused: bool) -> str:
    """The stop reason of an answer from another API.

    Some chat servers say "stop" after tool calls, and a client would not run those; a refusal is a
    part elsewhere and a reason here.
    """
    if refused and stop in ("end_turn", "other"):
        return "refusal"
    if called_tools and stop in ("end_turn", "other"):
        return "tool_use"
    return STOP_OUT[stop]
