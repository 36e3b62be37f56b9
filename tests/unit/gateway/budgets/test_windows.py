"""Windows follow a place's calendar, through every change of its clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budgets.windows import window
from gateway.settings import Period

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "America/Havana",
    "Asia/Beirut",
    "Pacific/Apia",
)
YEARS_US = 60 * 365 * 86_400_000_000


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("period", "zone", "now", "start", "end"),
    [
        ("day", "UTC", "2026-11-22T12:00:00+00:00", "2026-11-22T00:00:00+00:00", "2026-11-23T00:00:00+00:00"),
        (
            "day",
            "Europe/Berlin",
            "2026-11-22T23:30:00+00:00",
            "2026-11-23T00:00:00+01:00",
            "2026-11-24T00:00:00+01:00",
        ),
        (
            "day",
            "Europe/Berlin",
            "2026-03-29T12:00:00+00:00",
            "2026-03-29T00:00:00+01:00",
            "2026-03-30T00:00:00+02:00",
        ),
        (
            "week",
            "UTC",
            "2026-11-22T12:00:00+00:00",
            "2026-11-16T00:00:00+00:00",
            "2026-11-23T00:00:00+00:00",
        ),
        (
            "month",
            "America/New_York",
            "2026-12-01T04:59:59+00:00",
            "2026-11-01T00:00:00-04:00",
            "2026-12-01T00:00:00-05:00",
        ),
        (
            "month",
            "UTC",
            "2026-12-31T23:59:59+00:00",
            "2026-12-01T00:00:00+00:00",
            "2027-01-01T00:00:00+00:00",
        ),
    ],
)
def test_a_window_begins_and_ends_as_the_calendar_there_says(
    period: Period, zone: str, now: str, start: str, end: str
) -> None:
    assert window(period, zone, us(now)) == (us(start), us(end))


def test_a_day_whose_midnight_is_skipped_begins_with_its_first_moment() -> None:
    starts_us, _ = window("day", "Asia/Beirut", us("2024-03-31T12:00:00+00:00"))

    first = datetime.fromtimestamp(starts_us / 1_000_000, ZoneInfo("Asia/Beirut"))
    assert (first.day, first.hour) == (31, 1)
    before = first - timedelta(0) + timedelta(seconds=-1)
    assert before.astimezone(UTC).astimezone(ZoneInfo("Asia/Beirut")).day in {30, 31}


def test_all_time_is_one_window() -> None:
    assert window("total", "Europe/Berlin", us("2026-11-22T12:00:00+00:00")) == (0, 0)


def test_a_zone_nobody_knows_is_named() -> None:
    with pytest.raises(ValueError, match="Mars/Olympus"):
        window("day", "Mars/Olympus", 0)


@given(
    period=st.sampled_from(["day", "week", "month"]),
    zone=st.sampled_from(ZONES),
    now_us=st.integers(10**15, 10**15 + YEARS_US),
)
def test_each_moment_lies_in_its_window_and_the_next_one_follows(
    period: Period, zone: str, now_us: int
) -> None:
    starts_us, ends_us = window(period, zone, now_us)

    assert starts_us <= now_us < ends_us
    assert window(period, zone, starts_us)[0] == starts_us
    assert window(period, zone, ends_us - 1)[0] == starts_us
    assert window(period, zone, ends_us)[0] == ends_us
