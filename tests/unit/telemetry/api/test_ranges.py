"""Days and moments as people write them."""

from __future__ import annotations

import pytest

from telemetry.answers import Refusal
from telemetry.api.ranges import moment

MIDNIGHT = 1_795_219_200_000_000  # 2026-11-21T00:00:00Z
DAY_US = 86_400_000_000


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2026-11-21", MIDNIGHT),
        ("2026-11-21T00:00:00Z", MIDNIGHT),
        ("2026-11-21T01:00:00+01:00", MIDNIGHT),
        ("2026-11-21T00:00:00.000001", MIDNIGHT + 1),
        ("2026-11-21 12:00", MIDNIGHT + DAY_US // 2),
    ],
)
def test_a_day_begins_at_midnight_and_a_moment_is_exact(text: str, us: int) -> None:
    assert moment("from", text) == us


def test_the_last_day_goes_to_its_end() -> None:
    assert moment("to", "2026-11-21", last=True) == MIDNIGHT + DAY_US
    assert moment("to", "2026-11-21T00:00:00Z", last=True) == MIDNIGHT


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01", "0001-01-01", "9999-12-31T00:00:00Z", "1763683200"]
)
def test_anything_else_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        moment("a_from", text)
    assert (refused.value.code, refused.value.param) == ("bad_date", "a_from")
