"""The ledger's columns, by what they describe. The one list that rows, schemas and reports are made from.

What is alike in many rows (whose call, of which kind, how it ended) stands in groups of its own, so that a backend
may keep each combination once. Units are the schema's: nano-dollars, epoch microseconds, microseconds.
"""

from __future__ import annotations

from typing import Final

from metis.trace.events.groups import CallEnd, CallKind, TurnKind, Whose

# Groups that events and rows share: whose it is, what kind of call, how it ended.
OWNER_COLUMNS: Final = Whose.__struct_fields__

SPOOL_COLUMNS: Final = ("replica", "spool")

# A call, from its start.
START_COLUMNS: Final = (
    "call_id",
    "started_event_id",
    "started_ts",
    "turn_id",
    "previous_turn_id",
    "attempt",
    "request_bytes",
)
CALL_KIND_COLUMNS: Final = CallKind.__struct_fields__
OPENING_COLUMNS: Final = (*START_COLUMNS, *SPOOL_COLUMNS, *OWNER_COLUMNS, *CALL_KIND_COLUMNS)

# A call, from its end.
USAGE_COLUMNS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
)
FINISH_COLUMNS: Final = (
    "completed_event_id",
    "completed_ts",
    *USAGE_COLUMNS,
    "server_tool_requests",
    "cost_nano_usd",
    "duration_us",
    "server_tools",
    "tool_calls",
    "response_id",
    "upstream_request_id",
    "response_bytes",
    "first_byte_us",
)
CALL_END_COLUMNS: Final = CallEnd.__struct_fields__
COMPLETION_COLUMNS: Final = (*FINISH_COLUMNS, *CALL_END_COLUMNS)
CALL_COLUMNS: Final = (*OPENING_COLUMNS, *COMPLETION_COLUMNS)

# A turn.
TURN_FACT_COLUMNS: Final = (
    "turn_id",
    "event_id",
    "ts",
    "previous_turn_id",
    "response_id",
    "features",
    "fidelity",
    "overhead_us",
    "duration_us",
)
TURN_KIND_COLUMNS: Final = TurnKind.__struct_fields__
TURN_COLUMNS: Final = (*TURN_FACT_COLUMNS, *OWNER_COLUMNS, *TURN_KIND_COLUMNS)

DECISION_COLUMNS: Final = ("turn_id", "event_id", "ts", "policy", "decision_id", *OWNER_COLUMNS)
DECISION_TEXT_COLUMNS: Final = (
    "decision_id",
    "requested_model",
    "provider",
    "model",
    "slot",
    "reason",
    "decision",
)
EVENT_COLUMNS: Final = ("event_id", "ts", "name", "org_id", "key_id", "event")
UNREADABLE_COLUMNS: Final = ("replica", "spool", "segment", "offset", "why", "payload")

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
    *USAGE_COLUMNS,
    "server_tool_requests",
    "cost_nano_usd",
    "price_unknown_calls",
    "duration_us",
)
SESSION_KEY: Final = ("key_id", "session_id")
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
SESSION_COLUMNS: Final = (*SESSION_KEY, *SESSION_OWNER, "first_ts", "last_ts", *SESSION_MEASURES)
