"""The ledger's rows as plain tuples, made from events: each group of `columns` by a function. No database here."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from metis.facts.decision import RouteDecision
from metis.storage.columns import OPENING_COLUMNS, OWNER_COLUMNS
from metis.trace.events import (
    AnyOtherEvent,
    LlmCallCompleted,
    LlmCallStarted,
    RouteDecided,
    TurnCompleted,
)
from metis.trace.events.event import name_of
from metis.trace.events.groups import CALL_END, CALL_KIND, TURN_KIND, WHOSE, CallKind
from metis.trace.events.route import decision_id_of

Row = tuple[Any, ...]

# Numbers of an upstream are bounded here: no real call reaches a trillion, and SQLite's integers end.
_MOST: Final = 10**12
_MOST_NANO_USD: Final = 10**15

encode_json: Final = msgspec.json.Encoder().encode

# FINISH_COLUMNS and CALL_END_COLUMNS of a call that has not ended.
NO_FINISH: Final[Row] = ("", None, *(0,) * 11, "{}", 0, "", "", 0, None)
NO_END: Final[Row] = ("", 0, "", "", "", "", 0, "[]", "", "")


def owner_row(whose: bytes) -> Row:
    """OWNER_COLUMNS of a packed Whose."""
    return astuple(WHOSE.unpack_bytes(whose))


def call_kind_row(kind: bytes) -> Row:
    """CALL_KIND_COLUMNS of a packed CallKind."""
    *words, stream, paid_by, arm = astuple(CALL_KIND.unpack_bytes(kind))
    return (*words, int(stream), str(paid_by), arm)


def call_end_row(ending: bytes) -> Row:
    """CALL_END_COLUMNS of a packed CallEnd."""
    end = CALL_END.unpack_bytes(ending)
    return (
        end.outcome,
        end.http_status,
        end.failure,
        end.failure_cause,
        end.error_type,
        str(end.usage_source),
        int(end.price_unknown),
        encode_json(end.unpriced).decode(),
        end.stop,
        end.response_model,
    )


def turn_kind_row(kind: bytes) -> Row:
    """TURN_KIND_COLUMNS of a packed TurnKind."""
    return tuple(
        int(value) if isinstance(value, bool) else value
        for value in astuple(TURN_KIND.unpack_bytes(kind))
    )


def start_of(event: LlmCallStarted, call_id: str) -> Row:
    """START_COLUMNS of a call."""
    return (
        call_id,
        event.event_id,
        event.ts,
        event.turn_id,
        event.previous_turn_id,
        event.attempt,
        event.request_bytes,
    )


def lost_start_of(event: LlmCallCompleted, call_id: str) -> Row:
    """START_COLUMNS of a call whose start is nowhere, from its end."""
    return (
        call_id,
        "",
        event.ts - event.duration_us,
        event.turn_id,
        event.previous_turn_id,
        event.attempt,
        event.request_bytes,
    )


def finish_of(event: LlmCallCompleted) -> Row:
    """FINISH_COLUMNS of a call."""
    fresh, read, out = event.input_tokens, event.cache_read_tokens, event.output_tokens
    wrote_5m, wrote_1h = event.cache_write_5m_tokens, event.cache_write_1h_tokens
    thought, heard, spoke = (
        event.reasoning_tokens,
        event.input_audio_tokens,
        event.output_audio_tokens,
    )
    tools = event.server_tools
    asked = sum(tools.values()) if tools else 0
    cost, called, first_byte_us = event.cost_nano_usd, event.tool_calls, event.first_byte_us
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
        event.duration_us,
        encode_json(tools).decode() if tools else "{}",
        called if called <= _MOST else _MOST,
        event.response_id,
        event.upstream_request_id,
        event.response_bytes,
        None if first_byte_us < 0 else first_byte_us,
    )


def turn_facts_of(event: TurnCompleted) -> Row:
    """TURN_FACT_COLUMNS of a turn."""
    features = bytes(event.features).decode()
    return (
        event.turn_id,
        event.event_id,
        event.ts,
        event.previous_turn_id,
        event.response_id,
        None if features == "null" else features,
        encode_json(event.fidelity).decode() if event.fidelity else "[]",
        event.overhead_us,
        event.duration_us,
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
        *owner_row(bytes(event.whose)),
    )


def event_row(event: AnyOtherEvent) -> Row:
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
    kind = {name: fields[name] for name in CallKind.__struct_fields__}
    kind["stream"] = bool(kind["stream"])
    return LlmCallStarted(
        turn_id=fields["turn_id"],
        ts=fields["started_ts"],
        whose=WHOSE.pack(*(fields[name] for name in OWNER_COLUMNS)),
        kind=CALL_KIND.pack(**msgspec.structs.asdict(msgspec.convert(kind, CallKind))),
        attempt=fields["attempt"],
        previous_turn_id=fields["previous_turn_id"],
        request_bytes=fields["request_bytes"],
    )
