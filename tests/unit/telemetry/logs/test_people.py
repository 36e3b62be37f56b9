"""The periods of budgets."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.logs.people import DURATIONS, period_of


@pytest.mark.parametrize(
    ("duration", "first", "last"),
    [
        ("daily", date(2026, 12, 31), date(2026, 12, 31)),
        ("weekly", date(2026, 12, 28), date(2027, 1, 3)),
        ("monthly", date(2026, 12, 1), date(2026, 12, 31)),
        ("yearly", date(2026, 1, 1), date(2026, 12, 31)),
    ],
)
def test_a_period_is_one_of_the_calendar(duration: str, first: date, last: date) -> None:
    assert period_of(duration, date(2026, 12, 31)) == (first, last)


@given(st.sampled_from(DURATIONS), st.dates(date(2000, 1, 1), date(2099, 1, 1)))
def test_every_day_lies_in_its_period_and_all_its_days_have_the_same(duration: str, day: date) -> None:
    first, last = period_of(duration, day)
    assert first <= day <= last
    assert period_of(duration, first) == period_of(duration, last) == (first, last)
