"""Why an answer ended, both ways: this shape's status and incomplete reason, and the IR's stop.

Source: https://platform.openai.com/docs/api-reference/responses/object (status, incomplete_details).
"""

from __future__ import annotations

from typing import Any, Final

from metis.ir.content import Part, Refusal, ToolCall
from metis.ir.response import StopReason
from metis.wire.openai_responses.fields import Json, object_or_empty

_INCOMPLETE: Final[dict[str, StopReason]] = {
    "max_output_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "content_filter": "content_filter",
}
_UNFINISHED: Final[dict[str, StopReason]] = {
    "failed": "error",
    "cancelled": "error",
    "queued": "other",
    "in_progress": "other",
}
# Reasons that leave an answer incomplete here; every other one leaves it completed.
_REASONS: Final[dict[str, str]] = {
    "max_tokens": "max_output_tokens",
    "context_window": "max_output_tokens",
    "content_filter": "content_filter",
}


def stop_of(status: Any, incomplete: Any, *, calls: bool, refused: bool) -> tuple[StopReason, str]:
    """The IR's stop and the origin's own word for it. A missing status counts as completed."""
    if status == "incomplete":
        reason = object_or_empty(incomplete).get("reason")
        word = reason if isinstance(reason, str) else "incomplete"
        return _INCOMPLETE.get(word, "other"), word
    word = status if isinstance(status, str) else "completed"
    if word in _UNFINISHED:
        return _UNFINISHED[word], word
    if calls:
        return "tool_use", word
    return ("refusal" if refused else "end_turn"), word


def stop_of_parts(status: Any, incomplete: Any, parts: tuple[Part, ...]) -> tuple[StopReason, str]:
    return stop_of(
        status,
        incomplete,
        calls=any(isinstance(part, ToolCall) for part in parts),
        refused=any(isinstance(part, Refusal) for part in parts),
    )


def status_of(stop: StopReason, *, refused: bool) -> tuple[str, Json | None]:
    """Status and `incomplete_details` for an answer of any origin.

    A refusal that says nothing (Anthropic's classifiers cut the answer) is a content filter here; one
    with its own words is a completed answer, as this shape does it.
    """
    if stop == "error":
        return "failed", None
    reason = "content_filter" if stop == "refusal" and not refused else _REASONS.get(stop)
    return ("completed", None) if reason is None else ("incomplete", {"reason": reason})
