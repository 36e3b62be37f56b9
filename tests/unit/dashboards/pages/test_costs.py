from __future__ import annotations

from datetime import UTC, datetime

import pytest
from starlette.requests import Request

from dashboards.components.address import Address
from dashboards.pages.costs import period
from telemetry.answers import Refusal

NOW = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)


def days(query: str) -> tuple[str, str]:
    scope = {"type": "http", "path": "/costs", "query_string": query.encode(), "headers": [], "server": ("h", 1)}  # fmt: skip
    return period(Address(Request(scope)), round(NOW.timestamp() * 1e6)).days


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ("2026-11-01", "2026-11-30")),
        ("month=2024-02", ("2024-02-01", "2024-02-29")),
        ("from=2026-10-30", ("2026-10-30", "2026-11-21")),
        ("to=2026-10-30", ("2026-10-01", "2026-10-30")),
        ("from=2026-10-30&to=2026-11-02", ("2026-10-30", "2026-11-02")),
    ],
)
def test_a_month_or_days_are_summed_up(query, expected):
    assert days(query) == expected


@pytest.mark.parametrize("query", ["month=x", "from=2026-12-24", "from=2026-02-02&to=2026-02-01"])
def test_what_is_no_time_is_refused(query):
    with pytest.raises(Refusal):
        days(query)
