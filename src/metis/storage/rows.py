"""The ledger's rows as plain tuples, made from events, and what of them is summed. No database here.

Column lists and the functions that fill them stand side by side, so that every backend keeps the same.
Units are the schema's: nano-dollars, epoch microseconds, microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any, Final

import msgspec

from metis.trace.events import (
    AnyEvent,
    LlmCallCompleted,
    LlmCallStarted,
    RouteDecided,
    TurnCompleted,
)
from metis.trace.events.event import name_of
from metis.trace.ports import SpoolId

Row = tuple[Any, ...]

# Fields that events and rows share by name.
_OWNER: Final = ("org_id", "team_id", "user_id", "project_id", "key_id", "client", "session_id")

OPENING_COLUMNS: Final = (
    "call_id",
    "replica",
    "spool",
    "started_event_id",
    "started_ts",
    *_OWNER,
    "agent_id",
    "parent_agent_id",
    "turn_id",
    "previous_turn_id",
    "attempt",
    "arm",
    "role",
    "provider",
    "model",
    "requested_model",
    "operation",
    "shape",
    "upstream_shape",
    "stream",
    "paid_by",
    "request_bytes",
)
COMPLETION_COLUMNS: Final = (
    "state",
    "completed_event_id",
    "completed_ts",
    "outcome",
    "http_status",
    "failure",
    "failure_cause",
    "error_type",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "server_tool_requests",
    "server_tools",
    "usage_source",
    "cost_nano_usd",
    "price_unknown",
    "unpriced",
    "stop",
    "tool_calls",
    "response_id",
    "response_model",
    "upstream_request_id",
    "response_bytes",
    "first_byte_us",
    "duration_us",
)
CALL_COLUMNS: Final = (*OPENING_COLUMNS, *COMPLETION_COLUMNS)

TURN_COLUMNS: Final = (
    "turn_id",
    "event_id",
    "ts",
    *_OWNER,
    "agent_id",
    "parent_agent_id",
    "previous_turn_id",
    "arm",
    "operation",
    "shape",
    "requested_model",
    "provider",
    "model",
    "outcome",
    "http_status",
    "attempts",
    "auxiliary",
    "request_class",
    "client_version",
    "session_source",
    "stream",
    "response_id",
    "features",
    "fidelity",
    "overhead_us",
    "duration_us",
)
DECISION_COLUMNS: Final = (
    "event_id",
    "ts",
    "turn_id",
    *_OWNER,
    "requested_model",
    "provider",
    "model",
    "slot",
    "reason",
    "policy",
    "decision",
)
EVENT_COLUMNS: Final = ("event_id", "ts", "name", "org_id", "key_id", "event")

ROLLUP_DIMENSIONS: Final = (
    "hour",
    "org_id",
    "team_id",
    "user_id",
    "project_id",
    "key_id",
    "client",
    "provider",
    "model",
    "requested_model",
    "operation",
    "role",
    "paid_by",
    "usage_source",
    "outcome",
)
ROLLUP_MEASURES: Final = (
    "calls",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "server_tool_requests",
    "cost_nano_usd",
    "price_unknown_calls",
    "duration_us",
)
SESSION_OWNER: Final = ("org_id", "team_id", "user_id", "project_id", "client")
SESSION_MEASURES: Final = (
    "turns",
    "calls",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "cost_nano_usd",
    "client_cost_nano_usd",
    "price_unknown_calls",
    "unreported_calls",
)

_HOUR_US: Final = 3_600_000_000
# Numbers of an upstream are bounded here: no real call reaches a trillion, and SQLite's integers end.
_MOST: Final = 10**12
_MOST_NANO_USD: Final = 10**15

_json: Final = msgspec.json.Encoder()
_AT: Final = {name: index for index, name in enumerate(CALL_COLUMNS)}
_STARTED_TS: Final = _AT["started_ts"]
_rollup_dimensions: Final = itemgetter(*(_AT[name] for name in ROLLUP_DIMENSIONS[1:]))
_rollup_measures: Final = itemgetter(
    *(_AT[name.removesuffix("_calls")] for name in ROLLUP_MEASURES[1:])
)
_session_facts: Final = itemgetter(
    *(
        _AT[name]
        for name in (
            *("key_id", "session_id", "org_id", "team_id", "user_id", "project_id", "client"),
            *("started_ts", "completed_ts", "input_tokens", "cache_read_tokens"),
            *("cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens"),
            *("cost_nano_usd", "paid_by", "price_unknown", "usage_source"),
        )
    )
)

Rollups = dict[Row, list[int]]
Sessions = dict[tuple[str, str], tuple[Row, list[int]]]


def opening_of(event: LlmCallStarted | LlmCallCompleted, spool: SpoolId) -> Row:
    """OPENING_COLUMNS of a call, from its start, or from its end where the start was lost."""
    if isinstance(event, LlmCallStarted):
        started_event_id, started_ts = event.event_id, event.ts
    else:
        started_event_id, started_ts = "", event.ts - round(event.duration_ms * 1000)
    return (
        event.call_id,
        spool.replica,
        spool.spool,
        started_event_id,
        started_ts,
        event.org_id,
        event.team_id,
        event.user_id,
        event.project_id,
        event.key_id,
        event.client,
        event.session_id,
        event.agent_id,
        event.parent_agent_id,
        event.turn_id,
        event.previous_turn_id,
        event.attempt,
        event.arm,
        event.role,
        event.provider,
        event.model,
        event.requested_model,
        event.operation,
        event.shape,
        event.upstream_shape,
        int(event.stream),
        event.paid_by.value,
        event.request_bytes,
    )


def completion_of(event: LlmCallCompleted) -> Row:
    """COMPLETION_COLUMNS of a call."""
    usage = event.usage
    tools = usage.server_tools
    tokens = (
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_5m_tokens,
        usage.cache_write_1h_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.input_audio_tokens,
        usage.output_audio_tokens,
        sum(tools.values()) if tools else 0,
    )
    if min(tokens) < 0 or max(tokens) > _MOST:
        tokens = tuple(min(max(count, 0), _MOST) for count in tokens)
    return (
        "closed",
        event.event_id,
        event.ts,
        event.outcome,
        event.http_status,
        event.failure,
        event.failure_cause,
        event.error_type,
        *tokens,
        _json.encode(tools).decode() if tools else "{}",
        event.usage_source.value,
        min(max(event.cost_nano_usd, 0), _MOST_NANO_USD),
        int(event.price_unknown),
        _json.encode(event.unpriced).decode() if event.unpriced else "[]",
        event.stop,
        min(event.tool_calls, _MOST),
        event.response_id,
        event.response_model,
        event.upstream_request_id,
        event.response_bytes,
        None if event.first_byte_ms < 0 else round(event.first_byte_ms * 1000),
        round(event.duration_ms * 1000),
    )


def turn_row(event: TurnCompleted) -> Row:
    """TURN_COLUMNS of a turn."""
    return (
        event.turn_id,
        event.event_id,
        event.ts,
        event.org_id,
        event.team_id,
        event.user_id,
        event.project_id,
        event.key_id,
        event.client,
        event.session_id,
        event.agent_id,
        event.parent_agent_id,
        event.previous_turn_id,
        event.arm,
        event.operation,
        event.shape,
        event.requested_model,
        event.provider,
        event.model,
        event.outcome,
        event.http_status,
        event.attempts,
        event.auxiliary,
        event.request_class,
        event.client_version,
        event.session_source,
        int(event.stream),
        event.response_id,
        None if event.features is None else _json.encode(event.features).decode(),
        _json.encode(event.fidelity).decode() if event.fidelity else "[]",
        event.overhead_us,
        round(event.duration_ms * 1000),
    )


def decision_row(event: RouteDecided) -> Row:
    """DECISION_COLUMNS of a routing decision."""
    decision = event.decision
    return (
        event.event_id,
        event.ts,
        event.turn_id,
        event.org_id,
        event.team_id,
        event.user_id,
        event.project_id,
        event.key_id,
        event.client,
        event.session_id,
        decision.requested_model,
        decision.provider,
        decision.model,
        decision.slot,
        decision.reason,
        event.policy,
        _json.encode(decision).decode(),
    )


def event_row(event: AnyEvent) -> Row:
    """EVENT_COLUMNS of an event that has no table of its own."""
    return (
        event.event_id,
        event.ts,
        name_of(event),
        event.org_id,
        event.key_id,
        _json.encode(event).decode(),
    )


def rollups_of(calls: Iterable[Row]) -> Rollups:
    """Sum closed calls (CALL_COLUMNS) to ROLLUP_MEASURES by ROLLUP_DIMENSIONS."""
    sums: Rollups = {}
    for call in calls:
        hour = call[_STARTED_TS] // _HOUR_US * 3600
        key = (hour, *_rollup_dimensions(call))
        measures = _rollup_measures(call)
        known = sums.get(key)
        if known is None:
            sums[key] = [1, *measures]
        else:
            known[0] += 1
            for index, value in enumerate(measures, 1):
                if value:
                    known[index] += value
    return sums


def sessions_of(calls: Iterable[Row], turns: Iterable[TurnCompleted]) -> Sessions:
    """Sum closed calls and turns by (key_id, session_id); calls and turns without a session have none.

    Values are SESSION_OWNER, and a list of first_ts, last_ts and SESSION_MEASURES.
    """
    sessions: Sessions = {}
    for call in calls:
        (key_id, session_id, *owner, first, last, fresh, read, wrote_5m, wrote_1h, out, cost, payer,
         unpriced, source) = _session_facts(call)  # fmt: skip
        if not session_id:
            continue
        sums = [
            *(first, last, 0, 1, fresh, read, wrote_5m + wrote_1h, out),
            *((cost, 0) if payer == "gateway" else (0, cost)),
            unpriced,
            int(source != "reported"),
        ]
        _add_session(sessions, (key_id, session_id), tuple(owner), sums)
    for turn in turns:
        if turn.session_id:
            owner = (turn.org_id, turn.team_id, turn.user_id, turn.project_id, turn.client)
            first = turn.ts - round(turn.duration_ms * 1000)
            sums = [first, turn.ts, 1, *(0,) * (len(SESSION_MEASURES) - 1)]
            _add_session(sessions, (turn.key_id, turn.session_id), owner, sums)
    return sessions


def _add_session(
    sessions: Sessions, key: tuple[str, str], owner: tuple[Any, ...], sums: list[int]
) -> None:
    known = sessions.get(key)
    sessions[key] = (owner, sums) if known is None else (known[0], add_sums(known[1], sums))


def add_sums(one: list[int], other: list[int]) -> list[int]:
    """Merge two sessions' values: the earlier first_ts, the later last_ts, sums of the rest."""
    return [
        min(one[0], other[0]),
        max(one[1], other[1]),
        *(a + b for a, b in zip(one[2:], other[2:], strict=True)),
    ]


def started_of(opening: Row) -> LlmCallStarted:
    """The event an open call's row (OPENING_COLUMNS) was made from."""
    fields: dict[str, Any] = dict(zip(OPENING_COLUMNS, opening, strict=True))
    del fields["replica"], fields["spool"]
    fields["event"] = "llm.call_started"
    fields["event_id"] = fields.pop("started_event_id")
    fields["ts"] = fields.pop("started_ts")
    fields["stream"] = bool(fields["stream"])
    return msgspec.convert(fields, LlmCallStarted)
