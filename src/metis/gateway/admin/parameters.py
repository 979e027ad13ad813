"""Query parameters as typed values. An unknown or repeated one is refused by name, with a suggestion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from difflib import get_close_matches
from typing import Any, Final, cast, get_args

from starlette.datastructures import QueryParams

from metis.analytics.ports import COLUMNS, Dimension, LedgerFilter
from metis.analytics.window import Interval, Window, parse_instant, parse_zone
from metis.errors import BadRequest

RANGE: Final = ("from", "to", "tz")
PAGE: Final = ("limit", "cursor", "format")
# Each narrows a report to one owner, model or conversation: its name in the URL and in the ledger.
FILTERS: Final[Mapping[str, str]] = {
    "org": "org_id",
    "team": "team_id",
    "user": "user_id",
    "project": "project_id",
    "key": "key_id",
    "session": "session_id",
    "client": "client",
    "provider": "provider",
    "model": "model",
}
MAX_LIMIT: Final = 10_000
_MAX_VALUE_LENGTH: Final = 512
_INTERVALS: Final[tuple[Interval, ...]] = get_args(Interval)


def read(query: QueryParams, known: Sequence[str]) -> dict[str, str]:
    """Read the parameters a route knows. Raises BadRequest for any other, and for one given twice."""
    found: dict[str, str] = {}
    for name, value in query.multi_items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
            raise BadRequest(f"unknown query parameter {name[:64]!r}; {hint}")
        if name in found:
            raise BadRequest(f"query parameter {name!r} is given twice; give it once")
        if len(value) > _MAX_VALUE_LENGTH:
            raise BadRequest(f"query parameter {name!r} is longer than {_MAX_VALUE_LENGTH}")
        found[name] = value
    return found


def zone_of(found: Mapping[str, str]) -> tzinfo:
    """The time zone of `tz`, UTC when it is not given."""
    return parse_zone(found.get("tz", "UTC"))


def filter_of(found: Mapping[str, str]) -> LedgerFilter:
    """The part of the ledger that range and filters mean. Raises BadRequest when `to` is before `from`."""
    zone = zone_of(found)
    start = parse_instant(found["from"], zone) if "from" in found else None
    end = parse_instant(found["to"], zone) if "to" in found else None
    if start is not None and end is not None and end <= start:
        raise BadRequest("'to' must be later than 'from'; 'from' is inside the range, 'to' is not")
    narrowed: dict[str, Any] = {
        column: found[name] for name, column in FILTERS.items() if name in found
    }
    return LedgerFilter(window=Window(start, end), **narrowed)


def interval_of(found: Mapping[str, str]) -> Interval | None:
    """The bucket length asked for, if any."""
    if "interval" not in found:
        return None
    for interval in _INTERVALS:
        if found["interval"] == interval:
            return interval
    raise BadRequest(
        f"unknown interval {found['interval']!r}; use one of {', '.join(_INTERVALS)}"
        + _suggestion(found["interval"], _INTERVALS)
    )


def group_by_of(found: Mapping[str, str]) -> tuple[Dimension, ...]:
    """The dimensions of a comma-separated `group_by`."""
    names = [name.strip() for name in found.get("group_by", "").split(",") if name.strip()]
    for name in names:
        if name not in COLUMNS:
            raise BadRequest(
                f"cannot group by {name!r}; use {', '.join(COLUMNS)}, or several with commas"
                + _suggestion(name, tuple(COLUMNS))
            )
    return tuple(cast("Dimension", name) for name in dict.fromkeys(names))


def limit_of(found: Mapping[str, str], *, usual: int) -> int:
    """How many rows a page holds."""
    return _number(found, "limit", 1, MAX_LIMIT, usual)


def cursor_of(found: Mapping[str, str]) -> int:
    """Where the page begins; 0 for the first one."""
    return _number(found, "cursor", 0, 2**62, 0)


def is_csv(found: Mapping[str, str]) -> bool:
    """Tell whether CSV is asked for rather than JSON."""
    wanted = found.get("format", "json")
    if wanted not in {"json", "csv"}:
        raise BadRequest(f"unknown format {wanted!r}; use 'json' or 'csv'")
    return wanted == "csv"


def flag_of(found: Mapping[str, str], name: str) -> bool:
    """A yes or no, no when it is not given."""
    value = found.get(name, "false").lower()
    if value not in {"true", "false", "1", "0"}:
        raise BadRequest(f"{name!r} must be 'true' or 'false'")
    return value in {"true", "1"}


def _number(found: Mapping[str, str], name: str, least: int, most: int, usual: int) -> int:
    if name not in found:
        return usual
    text = found[name]
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
    if not least <= value <= most:
        raise BadRequest(f"{name!r} must be a whole number from {least} to {most}")
    return value


def _suggestion(wanted: str, known: Sequence[str]) -> str:
    near = get_close_matches(wanted, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
