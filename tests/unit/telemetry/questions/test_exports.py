"""How hours are put together to pages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telemetry.questions.exports import PAGE, packed
from telemetry.questions.scope import HOUR_US
from telemetry.store.base import Row

HOURS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 50), st.integers(1, PAGE * 2)),
    unique_by=lambda hour: hour[:2],
).map(sorted)


@given(HOURS)
def test_every_hour_is_in_one_page_that_is_not_too_long(hours: list[tuple[str, int, int]]) -> None:
    rows: list[Row] = [
        {"project": project, "environment": "e", "hour_us": hour * HOUR_US, "calls": calls}
        for project, hour, calls in hours
    ]
    pages = list(packed(rows))
    for page in pages:
        inside = [
            row["calls"]
            for row in rows
            if row["project"] == page.project and page.from_us <= row["hour_us"] < page.to_us
        ]
        assert sum(inside) == page.calls
        assert page.calls <= PAGE or len(inside) == 1
    assert sum(page.calls for page in pages) == sum(row["calls"] for row in rows)


def test_a_quiet_month_is_one_page() -> None:
    rows: list[Row] = [
        {"project": "p", "environment": "e", "hour_us": hour * HOUR_US, "calls": 5} for hour in range(720)
    ]
    assert len(list(packed(rows))) == 1
