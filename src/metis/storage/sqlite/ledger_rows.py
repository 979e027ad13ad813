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
from metis.storage.columns import TURN_COLUMNS, USAGE_COLUMNS
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
# What of a call or a turn stands in a row under its field's name; the rest is made of several columns.
_MADE_OF_COLUMNS: Final = frozenset(
    ("rowid", "stream", "paid_by", "usage_source", "price_unknown", "unpriced", "usage")
)
_CALL_FIELDS: Final = tuple(
    name for name in CallRecord.__struct_fields__ if name not in _MADE_OF_COLUMNS
)
_TURN_FIELDS: Final = tuple(
    name
    for name in TurnSummary.__struct_fields__
    if name in TURN_COLUMNS and name not in _MADE_OF_COLUMNS
)
MOST_ROWS: Final = 10_000
_decode_decision: Final = msgspec.json.Decoder(RouteDecision).decode
_decode_features: Final = msgspec.json.Decoder(TurnFeatures).decode
_decode_fidelity: Final = msgspec.json.Decoder(tuple[FidelityNote, ...]).decode
_decode_names: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_counts: Final = msgspec.json.Decoder(dict[str, int]).decode


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
        f"SELECT {', '.join(('id', *_CALL_FIELDS, *special, *USAGE_COLUMNS))} FROM calls "
        f"WHERE {all_of(clauses)} ORDER BY id LIMIT {limit}",
        tuple(values),
    )
    return [_call(row) for row in rows]


def _call(row: tuple[Any, ...]) -> CallRecord:
    plain = dict(zip(_CALL_FIELDS, row[1:], strict=False))
    stream, paid_by, source, price_unknown, unpriced, tools, *counts = row[1 + len(_CALL_FIELDS) :]
    return CallRecord(
        rowid=row[0],
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
        f"SELECT id, stream, {', '.join(_TURN_FIELDS)} FROM turns WHERE {all_of(clauses)} "
        f"ORDER BY {order}",
        tuple(values),
    ).fetchall()
    names: list[str] = ["id", "stream", *_TURN_FIELDS]
    turns = [dict(zip(names, row, strict=True)) for row in rows]
    ids = msgspec.json.encode([turn["turn_id"] for turn in turns]).decode()
    sums = ", ".join(f"sum({name})" for name in USAGE_COLUMNS)
    totals = {
        row[0]: row[1:]
        for row in connection.execute(
            "SELECT turn_id, count(*), sum(CASE paid_by WHEN 'client' THEN 0 ELSE cost_nano_usd END), "
            "sum(CASE paid_by WHEN 'client' THEN cost_nano_usd ELSE 0 END), "
            f"sum(usage_source <> 'reported'), sum(price_unknown), {sums} FROM calls "
            "WHERE turn_id IN (SELECT value FROM json_each(?)) AND completed_ts IS NOT NULL GROUP BY turn_id",
            (ids,),
        )
    }
    decisions = {
        turn_id: (slot, reason)
        for turn_id, slot, reason in connection.execute(
            "SELECT turn_id, slot, reason FROM decisions "
            "WHERE turn_id IN (SELECT value FROM json_each(?)) AND decision IS NOT NULL "
            "ORDER BY ts, event_id",
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
        "SELECT decision FROM decisions WHERE turn_id = ? AND decision IS NOT NULL "
        "ORDER BY ts DESC, event_id DESC LIMIT 1",
        (turn_id,),
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
        "SELECT turn_id FROM turn_rows WHERE turn_id = ?",
        "SELECT turn_id FROM call_rows WHERE turn_id = ? LIMIT 1",
        "SELECT turn_id FROM decision_rows WHERE turn_id = ? LIMIT 1",
        "SELECT turn_id FROM turn_rows WHERE response_id = ? AND response_id <> '' "
        "ORDER BY id DESC LIMIT 1",
        "SELECT turn_id FROM call_rows WHERE id = (SELECT max(call) FROM call_responses "
        "WHERE response_id = ?)",
    ):
        found = connection.execute(sql, (wanted,)).fetchone()
        if found is not None:
            return str(found[0])
    return None
