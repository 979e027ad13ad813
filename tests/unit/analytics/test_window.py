"""Instants as people type them, and calendar buckets over clock changes."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from metis.analytics.window import (
    HOUR_US,
    MAX_BUCKETS,
    Interval,
    edges,
    floor,
    following,
    from_us,
    is_hour_aligned,
    iso,
    parse_instant,
    parse_zone,
    to_us,
)
from metis.errors import BadRequest

BERLIN = ZoneInfo("Europe/Berlin")
DAY_US = 24 * HOUR_US


def us(text: str) -> int:
    return to_us(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00+00:00"),
        ("2026-11-22T10:00:00+02:00", "2026-11-22T08:00:00+00:00"),
        ("2026-11-22T10:00:00 02:00", "2026-11-22T08:00:00+00:00"),  # an unescaped + in a URL
        ("2026-11-22T10:00:00.000001Z", "2026-11-22T10:00:00.000001+00:00"),
        ("2026-11-22", "2026-11-21T23:00:00+00:00"),
        ("2026-07-22T10:00", "2026-07-22T08:00:00+00:00"),
        ("0", "1970-01-01T00:00:00+00:00"),
        (" 1795176000 ", "2026-11-20T12:00:00+00:00"),
        ("1795176000.25", "2026-11-20T12:00:00.250000+00:00"),
        ("-1.5", "1969-12-31T23:59:58.500000+00:00"),
    ],
)
def test_an_instant_is_read_in_each_accepted_form(text: str, expected: str) -> None:
    assert parse_instant(text, BERLIN) == us(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yesterday", "is no instant"),
        ("", "is no instant"),
        ("2026-13-01", "is no instant"),
        ("1795176000000", "milliseconds"),
        ("nan", "is no instant"),
        ("0001-01-01", "outside the calendar"),
        ("9999-12-31T23:59:59Z", "outside the calendar"),
        ("-99999999999", "outside the calendar"),
    ],
)
def test_an_instant_that_is_none_is_refused_with_the_accepted_forms(text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        parse_instant(text)


def test_zones_are_iana_names() -> None:
    assert parse_zone("utc") is UTC
    assert parse_zone("Europe/Berlin") == BERLIN
    for name in ("Europe/Atlantis", "../etc/passwd", "", "/etc/localtime"):
        with pytest.raises(BadRequest, match="unknown time zone"):
            parse_zone(name)


def test_iso_is_read_back_as_the_same_instant() -> None:
    instant = us("2026-11-22T10:00:00.123456+00:00")
    assert iso(instant) == "2026-11-22T10:00:00.123456Z"
    assert iso(instant, BERLIN) == "2026-11-22T11:00:00.123456+01:00"
    assert parse_instant(iso(instant, BERLIN)) == instant
    assert from_us(instant) == datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("hour", "2026-11-22T15:00:00+01:00"),
        ("day", "2026-11-22T00:00:00+01:00"),
        ("week", "2026-11-16T00:00:00+01:00"),
        ("month", "2026-11-01T00:00:00+01:00"),
    ],
)
def test_a_bucket_begins_where_the_local_calendar_says(interval: str, expected: str) -> None:
    assert floor(us("2026-11-22T15:30:00+01:00"), interval, BERLIN) == us(expected)  # type: ignore[arg-type]


def test_days_of_clock_changes_have_23_and_25_hours() -> None:
    spring = us("2026-03-29T00:00:00+01:00")
    autumn = us("2026-10-25T00:00:00+02:00")
    assert following(spring, "day", BERLIN) - spring == 23 * HOUR_US
    assert following(autumn, "day", BERLIN) - autumn == 25 * HOUR_US
    hours = edges(autumn, following(autumn, "day", BERLIN), "hour", BERLIN)
    assert len(hours) == 26
    assert all(b - a == HOUR_US for a, b in itertools.pairwise(hours))


def test_hours_follow_a_zone_of_half_hours() -> None:
    india = ZoneInfo("Asia/Kolkata")
    assert floor(us("2026-11-22T10:10:00+00:00"), "hour", india) == us("2026-11-22T09:30:00+00:00")


def test_months_follow_one_another() -> None:
    start, end = us("2026-01-15T00:00:00+00:00"), us("2026-04-02T00:00:00+00:00")
    assert [iso(edge)[:10] for edge in edges(start, end, "month")] == [
        "2026-01-15",
        "2026-02-01",
        "2026-03-01",
        "2026-04-01",
        "2026-04-02",
    ]


def test_a_range_of_one_bucket_has_two_edges() -> None:
    assert edges(5, 9, "day") == (5, 9)


def test_too_many_buckets_are_refused() -> None:
    assert len(edges(0, MAX_BUCKETS * HOUR_US, "hour")) == MAX_BUCKETS + 1
    with pytest.raises(BadRequest, match="longer interval"):
        edges(0, (MAX_BUCKETS + 1) * HOUR_US, "hour")


def test_only_whole_utc_hours_and_open_ends_are_aligned() -> None:
    assert is_hour_aligned(None)
    assert is_hour_aligned(us("2026-11-22T10:00:00+00:00"))
    assert not is_hour_aligned(us("2026-11-22T10:00:00+05:30"))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Pacific/Kiritimati"])
@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
def test_the_ends_of_the_calendar_stay_inside_it(zone: str, interval: Interval) -> None:
    there = parse_zone(zone)
    for text in ("0002-01-01T00:00:00Z", "9999-01-01T00:00:00Z"):
        instant = parse_instant(text, there)
        assert floor(instant, interval, there) <= instant < following(instant, interval, there)
        assert iso(instant, there)


def test_an_instant_without_a_date_is_written_as_the_nearest_that_has_one() -> None:
    assert iso(9_000_000_000_000_000_000) == "9999-01-01T00:00:00Z"
    assert iso(-9_000_000_000_000_000_000, BERLIN).startswith("0002-01-01")
