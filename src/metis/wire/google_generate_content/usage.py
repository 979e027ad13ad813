"""Gemini's usage and reasons to stop. Prices do not live here.

Sources: ai.google.dev/api/generate-content (UsageMetadata, FinishReason, BlockReason) and, for numbers,
googleapis/google/ai/generativelanguage/v1beta/generative_service.proto. Vertex AI numbers some reasons otherwise from 6
on; Metis never asks for numbers, so they come only of what others have recorded.
"""

from __future__ import annotations

from typing import Any, Final

from metis.facts.usage import Usage
from metis.ir.response import StopReason
from metis.wire.counts import as_count
from metis.wire.fields import Json, as_list, as_object

STOP_IN: Final[dict[str, StopReason]] = {
    "STOP": "end_turn",
    "MAX_TOKENS": "max_tokens",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "LANGUAGE": "other",
    "OTHER": "other",
    "NO_IMAGE": "other",
    "IMAGE_OTHER": "other",
}
NUMBERED: Final = {
    "1": "STOP",
    "2": "MAX_TOKENS",
    "3": "SAFETY",
    "4": "RECITATION",
    "5": "OTHER",
    "6": "LANGUAGE",
    "7": "BLOCKLIST",
    "8": "PROHIBITED_CONTENT",
    "9": "SPII",
    "10": "MALFORMED_FUNCTION_CALL",
    "11": "IMAGE_SAFETY",
    "12": "UNEXPECTED_TOOL_CALL",
}
_AUDIO: Final = ("AUDIO", 4)


def stop_of(raw: str, *, called: bool) -> StopReason:
    """The neutral reason; an answer that calls tools says only STOP."""
    found = STOP_IN.get(NUMBERED.get(raw, raw), "other")
    return "tool_use" if called and found == "end_turn" else found


def reason_text(value: object) -> str:
    """A reason as it came, a number as its digits; "" for none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def reason_value(raw: str) -> str | int:
    return int(raw) if raw.isdecimal() else raw


def blocked_reason(feedback: object) -> str:
    """Why a prompt was not answered at all, by the answer's `promptFeedback`; "" where it was."""
    return reason_text((as_object(feedback) or {}).get("blockReason"))


def usage_of(raw: Json) -> Usage:
    """Read `usageMetadata`; fields that are absent, null or of another type count as 0.

    `promptTokenCount` includes what was cached, `candidatesTokenCount` leaves out what was thought, and what the
    server's own tools put before the model (`toolUsePromptTokenCount`) stands beside both.
    """
    cached = as_count(raw.get("cachedContentTokenCount"))
    tool_use = as_count(raw.get("toolUsePromptTokenCount"))
    thoughts = as_count(raw.get("thoughtsTokenCount"))
    audio = _audio(raw.get("promptTokensDetails")) - _audio(raw.get("cacheTokensDetails"))
    return Usage(
        input_tokens=max(0, as_count(raw.get("promptTokenCount")) - cached) + tool_use,
        cache_read_tokens=cached,
        output_tokens=as_count(raw.get("candidatesTokenCount")) + thoughts,
        reasoning_tokens=thoughts,
        input_audio_tokens=max(0, audio) + _audio(raw.get("toolUsePromptTokensDetails")),
        output_audio_tokens=_audio(raw.get("candidatesTokensDetails")),
    )


def _audio(details: Any) -> int:
    return sum(
        as_count(one.get("tokenCount"))
        for item in as_list(details) or []
        if (one := as_object(item)) is not None and one.get("modality") in _AUDIO
    )
