from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.upkeep.decay import LEAST, MOST, weight

YEAR_US = 365 * 86_400_000_000
NOW = 60 * YEAR_US


def aged(kind: str, years: float, uses: int = 0, used_years: float | None = None) -> float:
    used_us = 0 if used_years is None else int(NOW - used_years * YEAR_US)
    return weight(kind, occurred_us=int(NOW - years * YEAR_US), uses=uses, used_us=used_us, now_us=NOW)


def test_what_somebody_is_or_likes_does_not_fade():
    assert aged("fact", 40) == aged("preference", 0) == 1


def test_what_was_said_in_passing_fades_but_never_below_the_least():
    assert aged("episode", 0) == 1
    assert aged("episode", 1) == pytest.approx(0.65)
    assert LEAST <= aged("episode", 50) < 0.31


def test_what_is_of_use_is_as_fresh_as_its_last_use():
    assert aged("episode", 5, uses=1, used_years=0) > 1 > aged("episode", 5)


@given(
    kind=st.sampled_from(["fact", "episode", "event", "plan", "procedure"]),
    occurred_us=st.integers(0, 2 * NOW),
    uses=st.integers(0, 10**6),
    used_us=st.integers(0, 2 * NOW),
)
def test_the_factor_is_always_within_its_bounds(kind, occurred_us, uses, used_us):
    assert LEAST <= weight(kind, occurred_us=occurred_us, uses=uses, used_us=used_us, now_us=NOW) <= MOST
