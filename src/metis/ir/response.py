"""What a model answered, whole, and what an upstream's error says. Values only."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from metis.facts.usage import Usage
from metis.ir.content import Extras, Part

# How the message of an answer that broke off begins. Agents tell by the words whether to send a turn
# again: OpenCode 1.18 and pi 0.73 look for the first two, Continue 1.5 for the last two.
BROKEN_OFF: Final = "connection lost (premature close)"

StopReason = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "content_filter",
    "context_window",
    "error",
    "other",
]


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One finished answer.

    `parts` are the assistant's, in order. `stop` is the neutral reason, `stop_raw` the origin's own
    word, `stop_sequence` the text that stopped it. `choices` holds the further answers of chat's
    n > 1 (index 1 and up), each as its own Response. `created` is epoch seconds.
    """

    origin: str
    response_id: str
    model: str
    parts: tuple[Part, ...]
    stop: StopReason
    stop_raw: str = ""
    stop_sequence: str | None = None
    usage: Usage | None = None
    usage_raw: dict[str, Any] | None = None
    created: int = 0
    service_tier: str | None = None
    choices: tuple[Response, ...] = ()
    extras: Extras = {}


ErrorKind = Literal[
    "invalid_request",
    "authentication",
    "permission",
    "not_found",
    "request_too_large",
    "rate_limit",
    "overloaded",
    "timeout",
    "context_length",
    "billing",
    "api",
]


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An error in no shape's words.

    `message` is the upstream's own sentence where there is one: clients match on it. `original` is
    the upstream's decoded error object (or its text under "text"), put inside the client's shape.
    `retry_after_s` comes from the head, never from the body.
    """

    status: int
    kind: ErrorKind
    message: str
    code: str | None = None
    param: str | None = None
    request_id: str | None = None
    retry_after_s: float | None = None
    details: dict[str, Any] | None = None
    original: dict[str, Any] | None = None
