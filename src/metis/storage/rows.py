"""The ledger's rows as plain tuples, made from events: each group of `columns` by a function. No database here."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from metis.facts.decision import RouteDecision
from metis.storage.columns import (
    OPENING_COLUMNS,
    SPOOL_COLUMNS,
)
from metis.trace.events import (
    AnyEvent,
    LlmCallCompleted,
    LlmCallStarted,
    RouteDecided,
    TurnCompleted,
)
from metis.trace.events.event import Event, name_of
from metis.trace.events.route import decision_id_of

Row = tuple[Any, ...]

# Numbers of an upstream are bounded here: no real call reaches a trillion, and SQLite's integers end.
_MOST: Final = 10**12
_MOST_NANO_USD: Final = 10**15

encode_json: Final = msgspec.json.Encoder().encode

# FINISH_COLUMNS and CALL_END_COLUMNS of a call that has not ended.
NO_FINISH: Final[Row] = ("", None, *(0,) * 11, "{}", 0, "", "", 0, None)
NO_END: Final[Row] = ("", 0, "", "", "", "", 0, "[]", "", "")


def owner_of(event: Event) -> Row:
    """OWNER_COLUMNS of any event."""
    return (
        event.org_id,
        event.team_id,
        event.user_id,
        event.project_id,
        event.key_id,
        event.client,
        event.session_id,
        event.agent_id,
        event.parent_agent_id,
    )


def start_of(event: LlmCallStarted) -> Row:
    """START_COLUMNS of a call."""
    return (
        event.call_id,
        event.event_id,
        event.ts,
        event.turn_id,
        event.previous_turn_id,
        event.attempt,
        event.request_bytes,
    )


def lost_start_of(event: LlmCallCompleted) -> Row:
    """START_COLUMNS of a call whose start is nowhere, from its end."""
    return (
        event.call_id,
        "",
        event.ts - round(event.duration_ms * 1000),
        event.turn_id,
        event.previous_turn_id,
        event.attempt,
        event.request_bytes,
    )


def call_kind_of(event: LlmCallStarted | LlmCallCompleted) -> Row:
    """CALL_KIND_COLUMNS of a call, from its start or its end: both say the same."""
    return (
        event.role,
        event.provider,
        event.model,
        event.requested_model,
        event.operation,
        event.shape,
        event.upstream_shape,
        int(event.stream),
        str(event.paid_by),  # a quarter of the cost of `.value`
        event.arm,
    )


def finish_of(event: LlmCallCompleted) -> Row:
    """FINISH_COLUMNS of a call."""
    usage = event.usage
    fresh, read, out = usage.input_tokens, usage.cache_read_tokens, usage.output_tokens
    wrote_5m, wrote_1h = usage.cache_write_5m_tokens, usage.cache_write_1h_tokens
    thought, heard, spoke = (
        usage.reasoning_tokens,
        usage.input_audio_tokens,
        usage.output_audio_tokens,
    )
    tools = usage.server_tools
    asked = sum(tools.values()) if tools else 0
    cost, called, first_byte_ms = event.cost_nano_usd, event.tool_calls, event.first_byte_ms
    # Or-ed together they are negative if one is, and no less than the greatest: one look for all nine.
    if not 0 <= fresh | read | wrote_5m | wrote_1h | out | thought | heard | spoke | asked <= _MOST:
        fresh, read, wrote_5m, wrote_1h, out, thought, heard, spoke, asked = (
            min(max(count, 0), _MOST)
            for count in (fresh, read, wrote_5m, wrote_1h, out, thought, heard, spoke, asked)
        )
    return (
        event.event_id,
        event.ts,
        fresh,
        read,
        wrote_5m,
        wrote_1h,
        out,
        thought,
        heard,
        spoke,
        asked,
        cost if 0 <= cost <= _MOST_NANO_USD else min(max(cost, 0), _MOST_NANO_USD),
        round(event.duration_ms * 1000),
        encode_json(tools).decode() if tools else "{}",
        called if called <= _MOST else _MOST,
        event.response_id,
        event.upstream_request_id,
        event.response_bytes,
        None if first_byte_ms < 0 else round(first_byte_ms * 1000),
    )


def call_end_of(event: LlmCallCompleted) -> Row:
    """CALL_END_COLUMNS of a call."""
    return (
        event.outcome,
        event.http_status,
        event.failure,
        event.failure_cause,
        event.error_type,
        str(event.usage_source),
        int(event.price_unknown),
        encode_json(event.unpriced).decode() if event.unpriced else "[]",
        event.stop,
        event.response_model,
    )


def turn_facts_of(event: TurnCompleted) -> Row:
    """TURN_FACT_COLUMNS of a turn."""
    return (
        event.turn_id,
        event.event_id,
        event.ts,
        event.previous_turn_id,
        event.response_id,
        None if event.features is None else encode_json(event.features).decode(),
        encode_json(event.fidelity).decode() if event.fidelity else "[]",
        event.overhead_us,
        round(event.duration_ms * 1000),
    )


def turn_kind_of(event: TurnCompleted) -> Row:
    """TURN_KIND_COLUMNS of a turn."""
    return (
        event.operation,
        event.shape,
        event.requested_model,
        event.provider,
        event.model,
        int(event.stream),
        event.outcome,
        event.http_status,
        event.attempts,
        event.auxiliary,
        event.request_class,
        event.client_version,
        event.session_source,
        event.arm,
    )


def decision_text_of(decision: RouteDecision, decision_id: str) -> Row:
    """DECISION_TEXT_COLUMNS of a decision; an id is made where it has none."""
    encoded = encode_json(decision)
    return (
        decision_id or decision_id_of(encoded),
        decision.requested_model,
        decision.provider,
        decision.model,
        decision.slot,
        decision.reason,
        encoded.decode(),
    )


def decision_row(event: RouteDecided, decision_id: str) -> Row:
    """DECISION_COLUMNS of an event, whose decision has the id given."""
    return (
        event.turn_id,
        event.event_id,
        event.ts,
        event.policy,
        decision_id,
        *owner_of(event),
    )


def event_row(event: AnyEvent) -> Row:
    """EVENT_COLUMNS of an event that has no table of its own."""
    return (
        event.event_id,
        event.ts,
        name_of(event),
        event.org_id,
        event.key_id,
        encode_json(event).decode(),
    )


def started_of(opening: Row) -> LlmCallStarted:
    """The event an open call's row (OPENING_COLUMNS) was made from."""
    fields: dict[str, Any] = dict(zip(OPENING_COLUMNS, opening, strict=True))
    for name in SPOOL_COLUMNS:
        del fields[name]
    fields["event"] = "llm.call_started"
    fields["event_id"] = fields.pop("started_event_id")
    fields["ts"] = fields.pop("started_ts")
    fields["stream"] = bool(fields["stream"])
    return msgspec.convert(fields, LlmCallStarted)
