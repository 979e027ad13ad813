"""The `llm` family: one upstream call's beginning and end. No prompt or reply text, ever (promise P7)."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from metis.trace.events.event import TURN_PREFIX, TurnEvent
from metis.trace.events.groups import (
    CALL_END,
    CALL_KIND,
    WHOSE,
    CallOutcome,
    CallRole,
    Packed,
)

__all__ = ["CallEvent", "CallOutcome", "CallRole", "LlmCallCompleted", "LlmCallStarted"]

_CALL_GROUPS: Final = {"whose": WHOSE, "kind": CALL_KIND}


class CallEvent(TurnEvent, frozen=True, array_like=True, tag="call_event", gc=False):
    """What a call's beginning and end both say. `kind` is a packed CallKind; attempts of a turn count from 1."""

    kind: Packed
    attempt: int
    previous_turn_id: str
    request_bytes: int

    @property
    def call_id(self) -> str:
        return f"call_{self.turn_id.removeprefix(TURN_PREFIX)}_{self.attempt}"

    @property
    def event_id(self) -> str:
        return f"evt_{self.turn_id.removeprefix(TURN_PREFIX)}_{self.attempt}_{self.mark}"


class LlmCallStarted(CallEvent, frozen=True, array_like=True, tag="llm.call_started", gc=False):
    """An upstream call is about to leave. Spooled before its first byte does (promise P4)."""

    groups = _CALL_GROUPS
    mark = "start"


class LlmCallCompleted(CallEvent, frozen=True, array_like=True, tag="llm.call_completed", gc=False):
    """An upstream call is over, well or badly. Spooled before the client's terminator is released.

    `ending` is a packed CallEnd. Durations are microseconds from the call's start; `first_byte_us` is -1
    when no body byte came. Tokens are as in `facts.usage.Usage`.
    """

    ending: Packed
    duration_us: int = 0
    first_byte_us: int = -1
    response_bytes: int = 0
    response_id: str = ""
    upstream_request_id: str = ""
    cost_nano_usd: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    server_tools: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    tool_calls: int = 0

    is_compliance = True
    groups: ClassVar = {**_CALL_GROUPS, "ending": CALL_END}
    mark = "end"
