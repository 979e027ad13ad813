"""What is summed of rows: hourly rollups and sessions. No database here.

Calls come in groups that are alike in hour, owner, kind and end, so that most of a sum is adding columns up.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any, Final, NamedTuple

from metis.storage.columns import (
    CALL_END_COLUMNS,
    CALL_KIND_COLUMNS,
    FINISH_COLUMNS,
    OWNER_COLUMNS,
    ROLLUP_MEASURES,
    SESSION_KEY,
    SESSION_MEASURES,
    SESSION_OWNER,
)
from metis.storage.rows import Row

HOUR_US: Final = 3_600_000_000


class CallGroup(NamedTuple):
    """Closed calls that are alike: their groups' columns, and of each call `started_ts` and FINISH_COLUMNS.

    `hour` counts from the epoch.
    """

    hour: int
    owner: Row
    kind: Row
    end: Row
    calls: list[tuple[int, Row]]


class TurnGroup(NamedTuple):
    """Turns of one owner, each as when it began and when it ended."""

    owner: Row
    turns: list[tuple[int, int]]


Rollups = dict[Row, list[int]]
Sessions = dict[tuple[str, str], tuple[Row, list[int]]]

_owner_of_rollup: Final = itemgetter(
    *map(OWNER_COLUMNS.index, ("org_id", "team_id", "user_id", "project_id", "key_id", "client"))
)
_kind_of_rollup: Final = itemgetter(
    *map(
        CALL_KIND_COLUMNS.index,
        ("provider", "model", "requested_model", "operation", "role", "paid_by"),
    )
)
_end_of_rollup: Final = itemgetter(*map(CALL_END_COLUMNS.index, ("usage_source", "outcome")))
_session_key: Final = itemgetter(*map(OWNER_COLUMNS.index, SESSION_KEY))
_session_owner: Final = itemgetter(*map(OWNER_COLUMNS.index, SESSION_OWNER))
_SESSION_ID: Final = OWNER_COLUMNS.index("session_id")
_PAID_BY: Final = CALL_KIND_COLUMNS.index("paid_by")
_PRICE_UNKNOWN: Final = CALL_END_COLUMNS.index("price_unknown")
_USAGE_SOURCE: Final = CALL_END_COLUMNS.index("usage_source")
_COMPLETED_TS: Final = FINISH_COLUMNS.index("completed_ts")
_SUMMED: Final = tuple(name for name in ROLLUP_MEASURES if name in FINISH_COLUMNS)
_summed: Final = itemgetter(*map(FINISH_COLUMNS.index, _SUMMED))
_UNKNOWN_AT: Final = ROLLUP_MEASURES.index("price_unknown_calls")
_AT: Final = {name: at for at, name in enumerate(ROLLUP_MEASURES)}


def sums_of(groups: Iterable[CallGroup], turns: Iterable[TurnGroup]) -> tuple[Rollups, Sessions]:
    """Sum closed calls to ROLLUP_MEASURES by ROLLUP_DIMENSIONS, and calls and turns by session.

    Sessions' values are SESSION_OWNER, and a list of first_ts, last_ts and SESSION_MEASURES; calls and
    turns without a session are in none.
    """
    rollups: Rollups = {}
    sessions: Sessions = {}
    for group in groups:
        _, owner, kind, end, calls = group
        columns = tuple(zip(*(finish for _, finish in calls), strict=True))
        measures = [len(calls), *map(sum, _summed(columns))]
        measures.insert(_UNKNOWN_AT, len(calls) if end[_PRICE_UNKNOWN] else 0)
        key = (
            group.hour * 3600,
            *_owner_of_rollup(owner),
            *_kind_of_rollup(kind),
            *_end_of_rollup(end),
        )
        known = rollups.get(key)
        rollups[key] = measures if known is None else list(map(int.__add__, known, measures))
        if owner[_SESSION_ID]:
            first, last = min(start for start, _ in calls), max(columns[_COMPLETED_TS])
            _add(sessions, owner, [first, last, *_session_measures(measures, kind, end)])
    for owner, spans in turns:
        if owner[_SESSION_ID]:
            firsts, lasts = zip(*spans, strict=True)
            counted = [len(spans), *(0,) * (len(SESSION_MEASURES) - 1)]
            _add(sessions, owner, [min(firsts), max(lasts), *counted])
    return rollups, sessions


def _session_measures(measures: list[int], kind: Row, end: Row) -> list[int]:
    """SESSION_MEASURES from ROLLUP_MEASURES of calls that are alike."""
    calls, cost = measures[0], measures[_AT["cost_nano_usd"]]
    written = measures[_AT["cache_write_5m_tokens"]] + measures[_AT["cache_write_1h_tokens"]]
    return [
        0,
        calls,
        measures[_AT["input_tokens"]],
        measures[_AT["cache_read_tokens"]],
        written,
        measures[_AT["output_tokens"]],
        *((0, cost) if kind[_PAID_BY] == "client" else (cost, 0)),
        measures[_UNKNOWN_AT],
        0 if end[_USAGE_SOURCE] == "reported" else calls,
    ]


def _add(sessions: Sessions, owner: Row, sums: list[int]) -> None:
    key: Any = _session_key(owner)
    known = sessions.get(key)
    if known is None:
        sessions[key] = (_session_owner(owner), sums)
    else:
        sessions[key] = (known[0], add_sums(known[1], sums))


def add_sums(one: list[int], other: list[int]) -> list[int]:
    """Merge two sessions' values: the earlier first_ts, the later last_ts, sums of the rest."""
    return [
        min(one[0], other[0]),
        max(one[1], other[1]),
        *map(int.__add__, one[2:], other[2:]),
    ]
