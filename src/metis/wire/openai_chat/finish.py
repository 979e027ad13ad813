"""Why an answer ended: `finish_reason` to the neutral stop reason and back.

Besides OpenAI's five words the table reads what compatible servers say instead: Mistral's
`model_length`, DeepSeek's `insufficient_system_resource`, Z.ai's `sensitive` and `network_error`,
Together's and TGI's `eos`, OpenRouter's `error`, and Anthropic's own words where they leak through.
"""

from __future__ import annotations

from typing import Final

from metis.ir.response import StopReason

_IN: Final[dict[str, StopReason]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
    "error": "error",
    "end_turn": "end_turn",
    "eos": "end_turn",
    "eos_token": "end_turn",
    "max_tokens": "max_tokens",
    "model_length": "context_window",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "refusal": "refusal",
    "sensitive": "content_filter",
    "network_error": "error",
    "insufficient_system_resource": "error",
}

_OUT: Final[dict[StopReason, str]] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "pause_turn": "stop",
    "refusal": "content_filter",
    "content_filter": "content_filter",
    "context_window": "length",
    "error": "length",  # the answer is cut short; clients know no word for an error here
    "other": "stop",
}


def stop_of(finish_reason: str, *, called_tools: bool, refused: bool = False) -> StopReason:
    """The neutral reason. "" (some servers never say) is judged by what the answer holds.

    `stop` with tool calls means tool use: OpenAI itself says so when a function was forced.
    """
    if not finish_reason or finish_reason == "stop":
        return "tool_use" if called_tools else "refusal" if refused else "end_turn"
    return _IN.get(finish_reason, "other")


def finish_of(stop: StopReason, *, called_tools: bool, refused: bool = False) -> str:
    """OpenAI's word for the neutral reason. A refusal that was said in words ends with `stop`."""
    if refused and stop == "refusal":
        return "stop"
    if called_tools and stop in ("end_turn", "stop_sequence", "other"):
        return "tool_calls"
    return _OUT[stop]
