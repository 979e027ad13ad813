"""Answers of the admin plane as JSON and CSV. Amounts stand twice: integer nano-dollars and exact dollars."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, Final

import msgspec
from starlette.responses import Response

from metis.accounts.keys import KeyRecord
from metis.analytics.money import with_dollars
from metis.analytics.ports import TurnDetail, TurnSummary, columns_of
from metis.analytics.spend import CostReport, SpendRow
from metis.analytics.window import Window, iso
from metis.facts.usage import Usage

_ERROR_TYPES: Final = {
    400: "invalid_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media",
    503: "unavailable",
}
_TOKEN_FIELDS: Final = tuple(n for n in Usage.__struct_fields__ if n != "server_tools")
# A spreadsheet takes a cell that starts with one of these for a formula; ids are the clients' own words.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def json_response(
    value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer plain values as JSON."""
    return Response(
        msgspec.json.encode(value) + b"\n",
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/json",
    )


def error_response(
    status: int, message: str, *, kind: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """Answer `{"error": {"type", "message"}}`."""
    error = {"type": kind or _ERROR_TYPES.get(status, "internal_error"), "message": message}
    return json_response({"error": error}, status=status, headers=headers)


def csv_response(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Response:
    """Answer rows as CSV (RFC 4180) with a header line, nested values under dotted names."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        flat = flatten(row)
        writer.writerow([_csv_cell(flat.get(column)) for column in columns])
    return Response(
        text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="metis.csv"'},
    )


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Lay nested mappings flat: `{"tokens": {"fresh": 1}}` becomes `{"tokens.fresh": 1}`."""
    flat: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, dict):
            flat.update(flatten(item, f"{prefix}{name}."))  # pyright: ignore[reportUnknownArgumentType] -- any JSON
        else:
            flat[prefix + name] = item
    return flat


def report_value(
    report: CostReport, rows: Sequence[SpendRow], *, next_cursor: int | None, zone: tzinfo
) -> dict[str, Any]:
    """A report as plain values, with the rows of one page."""
    comparison = report.total.comparison
    return {
        **_range_value(report.window, zone),
        "tz": report.zone,
        "interval": report.interval,
        "group_by": list(report.group_by),
        "currency": "USD",
        "baseline_model": comparison.model if comparison else None,
        "rows": [row_value(row, zone) for row in rows],
        "total": row_value(report.total, zone),
        "open_calls": report.open_calls,
        "next_cursor": None if next_cursor is None else str(next_cursor),
    }


def row_value(row: SpendRow, zone: tzinfo = UTC) -> dict[str, Any]:
    """One row: its group's columns, its range, then the sums."""
    comparison: dict[str, Any] = {}
    if row.comparison is not None:
        comparison = msgspec.to_builtins(row.comparison)
        del comparison["model"]  # it is one for the whole report, and would hide the group's
    value = {
        **row.group,
        **_range_value(row.window, zone),
        "turns": row.turns,
        **msgspec.to_builtins(row.spend),
        "client_paid": msgspec.to_builtins(row.client_paid),
        **comparison,
    }
    return with_dollars(value)


def report_columns(report: CostReport) -> list[str]:
    """The CSV columns of a report, the same whether it has rows or not."""
    return [*columns_of(report.group_by), *flatten(row_value(report.total))]


def turn_value(turn: TurnSummary) -> dict[str, Any]:
    """One turn as plain values, without its row id, which is the cursor's."""
    value = msgspec.to_builtins(turn)
    del value["rowid"]
    value["usage"] = usage_value(turn.usage)
    return with_times(with_dollars(value))


def detail_value(detail: TurnDetail) -> dict[str, Any]:
    """All that is known of a turn as plain values."""
    value: dict[str, Any] = msgspec.to_builtins(detail)
    for part, origin in zip(
        (value["turn"], *value["calls"]), (detail.turn, *detail.calls), strict=True
    ):
        if origin is not None:
            del part["rowid"]
            part["usage"] = usage_value(origin.usage)
    value["fidelity"] = [
        {"verb": note.verb, "path": note.path, "why": note.why} for note in detail.fidelity
    ]
    return with_times(with_dollars(value))


def turn_columns() -> list[str]:
    """The CSV columns of turns."""
    names = [name for name in TurnSummary.__struct_fields__ if name not in {"rowid", "usage"}]
    columns: list[str] = []
    for name in names:
        columns.append(name)
        if name == "ts":
            columns.append("time")
        elif name.endswith("_nano_usd"):
            columns.append(name.removesuffix("nano_usd") + "usd")
    return columns + [f"usage.{name}" for name in _TOKEN_FIELDS]


def usage_value(usage: Usage) -> dict[str, Any]:
    """A call's usage with every count written out, zeros too."""
    counts: dict[str, Any] = {name: getattr(usage, name) for name in _TOKEN_FIELDS}
    return {**counts, "server_tools": usage.server_tools}


def key_value(record: KeyRecord, now_ts: int) -> dict[str, Any]:
    """A key as plain values; its digest stays here."""
    value: dict[str, Any] = msgspec.to_builtins(
        {name: getattr(record, name) for name in record.__struct_fields__ if name != "digest"}
    )
    if record.revoked_ts is not None:
        status = "revoked"
    else:
        status = "active" if record.is_active(now_ts) else "expired"
    return with_times({"prefix": record.prefix, "status": status, **value})


def with_times(value: Any) -> Any:
    """Put ISO 8601 beside epoch microseconds: `time` beside `ts`, `x_at` beside `x_ts`, at any depth."""
    if isinstance(value, list):
        return [with_times(item) for item in value]  # pyright: ignore[reportUnknownVariableType] -- any JSON
    if not isinstance(value, dict):
        return value
    found: dict[Any, Any] = {}
    for name, item in value.items():  # pyright: ignore[reportUnknownVariableType] -- any JSON
        found[name] = with_times(item)
        if name == "ts" or (isinstance(name, str) and name.endswith("_ts")):
            label = "time" if name == "ts" else name.removesuffix("_ts") + "_at"
            found[label] = None if item is None else iso(item)  # pyright: ignore[reportUnknownArgumentType] -- any JSON
    return found


def _range_value(window: Window, zone: tzinfo) -> dict[str, str | None]:
    return {
        "from": None if window.start_us is None else iso(window.start_us, zone),
        "to": None if window.end_us is None else iso(window.end_us, zone),
    }


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS) and not _is_amount(value):
        return "'" + value
    return value


def _is_amount(value: str) -> bool:
    return value.removeprefix("-").replace(".", "", 1).isdigit()
