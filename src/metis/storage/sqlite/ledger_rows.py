"""How rows of the ledger's tables become the values of reports, and filters become SQL. No connections live here."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from metis.analytics.ports import CallRecord, LedgerFilter, TurnDetail, TurnSummary
from metis.analytics.window import Window
from metis.facts.decision import RouteDecision
from metis.facts.usage import PaidBy, Usage, UsageSource
from metis.trace.events.turn import FidelityNote, TurnFeatures

_FILTERS: Final = (
    "org_id",
    "team_id",
    "user_id",
    "project_id",
    "key_id",
    "session_id",
    "client",
    "provider",
    "model",
)
_PARTIAL_INDEX: Final = frozenset({"session_id", "response_id"})
_CALL_COLUMNS: Final = (
    "id",
    "call_id",
    "turn_id",
    "started_ts",
    "completed_ts",
    "org_id",
    "team_id",
    "user_id",
    "project_id",
    "key_id",
    "client",
    "session_id",
    "agent_id",
    "attempt",
    "arm",
    "role",
    "provider",
    "model",
    "requested_model",
    "operation",
    "shape",
    "upstream_shape",
    "outcome",
    "http_status",
    "failure",
    "failure_cause",
    "error_type",
    "cost_nano_usd",
    "stop",
    "tool_calls",
    "response_id",
    "response_model",
    "upstream_request_id",
    "request_bytes",
    "response_bytes",
    "first_byte_us",
    "duration_us",
)
_TURN_COLUMNS: Final = (
    "id",
    "turn_id",
    "ts",
    "org_id",
    "team_id",
    "user_id",
    "project_id",
    "key_id",
    "client",
    "client_version",
    "session_id",
    "agent_id",
    "parent_agent_id",
    "previous_turn_id",
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
    "response_id",
    "overhead_us",
    "duration_us",
)
MOST_ROWS: Final = 10_000
_decode_decision: Final = msgspec.json.Decoder(RouteDecision).decode
_decode_features: Final = msgspec.json.Decoder(TurnFeatures).decode
_decode_fidelity: Final = msgspec.json.Decoder(tuple[FidelityNote, ...]).decode
_decode_names: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_counts: Final = msgspec.json.Decoder(dict[str, int]).decode
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


def conditions(
    where: LedgerFilter, time_column: str, window: Window, *, unit: int = 1
) -> tuple[list[str], list[Any]]:
    """The filter as SQL conditions and their values. `unit` is the time column's, in microseconds."""
    clauses: list[str] = []
    values: list[Any] = []
    for name in _FILTERS:
        value = getattr(where, name)
        if value is not None:
            clauses.append(f"{name} = ?")
            values.append(value)
            if value and name in _PARTIAL_INDEX:
                clauses.append(f"{name} <> ''")  # or SQLite may not use the partial index
    if where.turn_ids:
        clauses.append("turn_id IN (SELECT value FROM json_each(?))")
        values.append(msgspec.json.encode(where.turn_ids).decode())
    if window.start_us is not None:
        clauses.append(f"{time_column} >= ?")
        values.append(window.start_us // unit)
    if window.end_us is not None:
        clauses.append(f"{time_column} < ?")
        values.append(window.end_us // unit)
    return clauses, values


def all_of(clauses: Sequence[str]) -> str:
    """Join conditions; none of them means all rows."""
    return " AND ".join(clauses) or "1"


def bounded(limit: int) -> int:
    """Keep a page within what one answer may hold."""
    return max(0, min(limit, MOST_ROWS))


def read_calls(
    connection: sqlite3.Connection, clauses: Sequence[str], values: Sequence[Any], limit: int
) -> list[CallRecord]:
    """Read calls in the order of arrival."""
    special = ("stream", "paid_by", "usage_source", "price_unknown", "unpriced", "server_tools")
    rows = connection.execute(
        f"SELECT {', '.join((*_CALL_COLUMNS, *special, *USAGE_COLUMNS))} FROM calls "
        f"WHERE {all_of(clauses)} ORDER BY id LIMIT {limit}",
        tuple(values),
    )
    return [_call(row) for row in rows]


def _call(row: tuple[Any, ...]) -> CallRecord:
    plain = dict(zip(_CALL_COLUMNS, row, strict=False))
    stream, paid_by, source, price_unknown, unpriced, tools, *counts = row[len(_CALL_COLUMNS) :]
    return CallRecord(
        rowid=plain.pop("id"),
        **plain,
        stream=bool(stream),
        paid_by=PaidBy(paid_by),
        usage_source=UsageSource(source or "unknown"),
        price_unknown=bool(price_unknown),
        unpriced=_decode_names(unpriced),
        usage=Usage(
            **dict(zip(USAGE_COLUMNS, counts, strict=True)), server_tools=_decode_counts(tools)
        ),
    )


def read_turns(
    connection: sqlite3.Connection, clauses: Sequence[str], values: Sequence[Any], order: str
) -> list[TurnSummary]:
    """Read turns, then the sums of their calls and their decisions in one query each."""
    rows = connection.execute(
        f"SELECT stream, {', '.join(_TURN_COLUMNS)} FROM turns WHERE {all_of(clauses)} "
        f"ORDER BY {order}",
        tuple(values),
    ).fetchall()
    names: list[str] = ["stream", *_TURN_COLUMNS]
    turns = [dict(zip(names, row, strict=True)) for row in rows]
    ids = msgspec.json.encode([turn["turn_id"] for turn in turns]).decode()
    sums = ", ".join(f"sum({name})" for name in USAGE_COLUMNS)
    totals = {
        row[0]: row[1:]
        for row in connection.execute(
            "SELECT turn_id, count(*), sum(CASE paid_by WHEN 'client' THEN 0 ELSE cost_nano_usd END), "
            "sum(CASE paid_by WHEN 'client' THEN cost_nano_usd ELSE 0 END), "
            f"sum(usage_source <> 'reported'), sum(price_unknown), {sums} FROM calls "
            "WHERE turn_id IN (SELECT value FROM json_each(?)) AND state = 'closed' GROUP BY turn_id",
            (ids,),
        )
    }
    decisions = {
        turn_id: (slot, reason)
        for turn_id, slot, reason in connection.execute(
            "SELECT turn_id, slot, reason FROM decisions "
            "WHERE turn_id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (ids,),
        )
    }
    return [
        _turn(turn, totals.get(turn["turn_id"]), decisions.get(turn["turn_id"], ("", "")))
        for turn in turns
    ]


def _turn(
    turn: dict[str, Any], totals: tuple[int, ...] | None, decision: tuple[str, str]
) -> TurnSummary:
    calls, nano_usd, client_nano_usd, unreported, unknown, *counts = totals or (0,) * (
        5 + len(USAGE_COLUMNS)
    )
    turn = dict(turn)
    return TurnSummary(
        rowid=turn.pop("id"),
        stream=bool(turn.pop("stream")),
        **turn,
        slot=decision[0],
        reason=decision[1],
        calls=calls,
        usage=Usage(**dict(zip(USAGE_COLUMNS, counts, strict=True))),
        cost_nano_usd=nano_usd,
        client_cost_nano_usd=client_nano_usd,
        unreported_calls=unreported,
        price_unknown_calls=unknown,
    )


def read_turn(connection: sqlite3.Connection, turn_id: str) -> TurnDetail:
    """Read all that is known of a turn that find_turn found."""
    turns = read_turns(connection, ["turn_id = ?"], [turn_id], "id LIMIT 1")
    extra = connection.execute(
        "SELECT fidelity, features FROM turns WHERE turn_id = ?", (turn_id,)
    ).fetchone()
    decision = connection.execute(
        "SELECT decision FROM decisions WHERE turn_id = ? ORDER BY id DESC LIMIT 1", (turn_id,)
    ).fetchone()
    return TurnDetail(
        turn_id=turn_id,
        turn=turns[0] if turns else None,
        decision=_decode_decision(decision[0]) if decision else None,
        calls=tuple(read_calls(connection, ["turn_id = ?"], [turn_id], MOST_ROWS)),
        fidelity=_decode_fidelity(extra[0]) if extra else (),
        features=_decode_features(extra[1]) if extra and extra[1] else None,
    )


def find_turn(connection: sqlite3.Connection, wanted: str) -> str | None:
    """The turn_id meant by a turn_id or by a response id, a client's or an upstream's."""
    if not wanted:
        return None
    for sql in (
        "SELECT turn_id FROM turns WHERE turn_id = ?",
        "SELECT turn_id FROM calls WHERE turn_id = ? LIMIT 1",
        "SELECT turn_id FROM decisions WHERE turn_id = ? LIMIT 1",
        "SELECT turn_id FROM turns WHERE response_id = ? AND response_id <> '' ORDER BY id DESC LIMIT 1",
        "SELECT turn_id FROM calls WHERE response_id = ? AND response_id <> '' ORDER BY id DESC LIMIT 1",
    ):
        found = connection.execute(sql, (wanted,)).fetchone()
        if found is not None:
            return str(found[0])
    return None
