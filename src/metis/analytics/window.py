"""Time as reports mean it: instants people type, ranges, calendar buckets. All instants are epoch microseconds, UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal, assert_never, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from metis.errors import BadRequest

Interval = Literal["hour", "day", "week", "month"]
INTERVALS: Final[tuple[str, ...]] = get_args(Interval)

MICROSECONDS: Final = 1_000_000
HOUR_US: Final = 3600 * MICROSECONDS
MAX_BUCKETS: Final = 2000  # a year of hours is refused, a quarter of them is not

_EPOCH = re.compile(r"-?\d+(\.\d+)?")
_LATEST_EPOCH_S: Final = 100_000_000_000  # the year 5138; above it somebody sent milliseconds
_EPOCH_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A year less at each end than datetime has, so that zones and buckets never leave it.
_CALENDAR: Final = (datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


class Window(msgspec.Struct, frozen=True):
    """A half-open range of time: `start_us` is inside, `end_us` is not. None leaves an end open."""

    start_us: int | None = None
    end_us: int | None = None


EVER: Final = Window()


def to_us(moment: datetime) -> int:
    """Convert an aware datetime to epoch microseconds, exactly."""
    return (moment - _EPOCH_START) // timedelta(microseconds=1)


def from_us(instant_us: int, zone: tzinfo = UTC) -> datetime:
    """Convert epoch microseconds to an aware datetime in `zone`, exactly."""
    return (_EPOCH_START + timedelta(microseconds=instant_us)).astimezone(zone)


def within_calendar(instant_us: int) -> int:
    """The instant, or the nearest one that has a date: the years 2 to 9998."""
    first, last = map(to_us, _CALENDAR)
    return min(max(instant_us, first), last)


def iso(instant_us: int, zone: tzinfo = UTC) -> str:
    """Write an instant as ISO 8601 with its offset (`Z` for UTC), to the microsecond where it has any.

    One that has no date is written as the nearest that has: a row somebody made must not hide the others.
    """
    text = from_us(within_calendar(instant_us), zone).isoformat()
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def parse_zone(name: str) -> tzinfo:
    """Find a time zone by its IANA name (`Europe/Berlin`). Raises BadRequest for one that does not exist."""
    if name.upper() in {"UTC", "Z"}:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise BadRequest(
            f"unknown time zone {name!r}; use an IANA name such as 'Europe/Berlin', or 'UTC'"
        ) from exc


def parse_instant(text: str, zone: tzinfo = UTC) -> int:
    """Read an instant as people type it: ISO 8601 (a bare date is midnight in `zone`) or epoch seconds.

    Returns epoch microseconds. Raises BadRequest with the accepted forms.
    """
    text = text.strip()
    if _EPOCH.fullmatch(text):
        seconds, _, fraction = text.partition(".")
        if abs(int(seconds)) > _LATEST_EPOCH_S:
            raise BadRequest(f"{text!r} is too large for epoch seconds; are those milliseconds?")
        sign = -1 if text.startswith("-") else 1
        return _dated(
            int(seconds) * MICROSECONDS + sign * int(fraction[:6].ljust(6, "0") or 0), text
        )
    try:
        # A `+` in a query string arrives as a space: 2026-11-22T10:00:00 02:00.
        moment = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text))
    except ValueError as exc:
        raise BadRequest(
            f"{text!r} is no instant; use ISO 8601 ('2026-11-22', '2026-11-22T10:00:00Z') or epoch seconds"
        ) from exc
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return _dated(to_us(moment), text)


def _dated(instant_us: int, text: str) -> int:
    if within_calendar(instant_us) != instant_us:
        raise BadRequest(f"{text!r} lies outside the calendar, which is the years 2 to 9998")
    return instant_us


def floor(instant_us: int, interval: Interval, zone: tzinfo = UTC) -> int:
    """Find the start of the calendar bucket that holds an instant. Weeks begin on Monday."""
    local = from_us(instant_us, zone)
    match interval:
        case "hour":
            # By offset arithmetic, not by replace(): the hour that a clock change repeats is two buckets.
            offset_us = _offset_us(local)
            return (instant_us + offset_us) // HOUR_US * HOUR_US - offset_us
        case "day":
            start = local
        case "week":
            start = local - timedelta(days=local.weekday())
        case "month":
            start = local.replace(day=1)
        case _:
            assert_never(interval)
    return to_us(start.replace(hour=0, minute=0, second=0, microsecond=0, fold=0))


def following(start_us: int, interval: Interval, zone: tzinfo = UTC) -> int:
    """Find the start of the bucket after the one that starts at `start_us`. Days may have 23 or 25 hours."""
    match interval:
        case "hour":
            return start_us + HOUR_US
        case "day":
            days = 1
        case "week":
            days = 7
        case "month":
            days = 31
        case _:
            assert_never(interval)
    local = from_us(start_us, zone).replace(tzinfo=None) + timedelta(days=days)
    return floor(to_us(local.replace(hour=12, tzinfo=zone)), interval, zone)


def edges(start_us: int, end_us: int, interval: Interval, zone: tzinfo = UTC) -> tuple[int, ...]:
    """Cut [start, end) at the calendar's boundaries: the edges, both ends included, ascending.

    The first and last bucket are shorter where the range does not begin or end on a boundary.
    Raises BadRequest above MAX_BUCKETS buckets.
    """
    found = [start_us]
    boundary = following(floor(start_us, interval, zone), interval, zone)
    while boundary < end_us:
        found.append(boundary)
        if len(found) > MAX_BUCKETS:
            raise BadRequest(
                f"more than {MAX_BUCKETS} buckets of one {interval}; choose a longer interval or a shorter range"
            )
        boundary = following(boundary, interval, zone)
    found.append(end_us)
    return tuple(found)


def is_hour_aligned(instant_us: int | None) -> bool:
    """Tell whether an instant (None: an open end) is the start of a UTC hour, where rollups can answer."""
    return instant_us is None or instant_us % HOUR_US == 0


def _offset_us(local: datetime) -> int:
    offset = local.utcoffset() or timedelta()
    return offset // timedelta(microseconds=1)
