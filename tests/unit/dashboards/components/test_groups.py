from __future__ import annotations

import pytest

from dashboards.components.groups import calls_of, days_back, ends, stretch
from telemetry.answers import Refusal
from telemetry.questions import Range

DAY_US = 86_400_000_000
YEAR = Range(0, 365 * DAY_US)


@pytest.mark.parametrize(
    ("name", "value", "days"),
    [
        ("day", "1970-01-02", (1, 2)),
        ("week", "1970-01-05", (4, 11)),
        ("month", "1970-02", (31, 59)),
        ("month", "1970-12", (334, 365)),
        ("month", "1972-02", (761, 790)),
    ],
)
def test_a_day_a_week_and_a_month_have_their_days(name, value, days):
    assert stretch(name, value) == Range(days[0] * DAY_US, days[1] * DAY_US)


@pytest.mark.parametrize("value", ["1970", "1970-13", "soon", "<script>"])
def test_what_is_no_month_is_refused(value):
    with pytest.raises(Refusal):
        stretch("month", value)


def test_a_line_leads_to_its_calls_within_its_days():
    within = Range(40 * DAY_US, YEAR.to_us)
    assert calls_of({"month": "1970-02", "user": "u&1", "model": "m"}, within, key="k") == (
        "/calls?key=k&user=u%261&billed=m&from=1970-02-10T00%3A00Z&to=1970-03-01T00%3A00Z"
    )


def test_a_line_that_no_filter_finds_leads_nowhere():
    assert calls_of({"user": ""}, YEAR) == ""
    assert calls_of({"hour": "x"}, YEAR) == ""


def test_an_open_end_is_left_out_and_a_moment_stays_exact():
    assert ends(Range()) == {"from": "", "to": ""}
    assert ends(Range(1_500_000, YEAR.to_us))["from"] == "1970-01-01T00:00:01.500000Z"


def test_the_last_days_end_with_today():
    assert days_back(7, 10 * DAY_US + 5) == Range(4 * DAY_US, 11 * DAY_US)
