"""How often somebody may guess."""

from __future__ import annotations

import pytest

from gateway.control.throttle import Throttle, TooOften
from tests.fakes.keys import SECOND, HandClock


def test_so_many_failures_are_too_many_until_the_oldest_is_forgotten() -> None:
    clock = HandClock()
    throttle = Throttle(clock, most=3, window_s=60)
    for _ in range(3):
        throttle.check("ada")
        throttle.failed("ada")
        clock.us += 10 * SECOND

    with pytest.raises(TooOften) as told:
        throttle.check("ada")
    assert told.value.retry_after_s == 30
    throttle.check("bea")
    clock.us += 30 * SECOND
    throttle.check("ada")


def test_who_knew_it_after_all_is_forgiven() -> None:
    throttle = Throttle(HandClock(), most=1, window_s=60)
    throttle.failed("ada")
    throttle.forgive("ada")

    throttle.check("ada")
    throttle.forgive("nobody")


def test_it_remembers_so_many_names_at_most() -> None:
    throttle = Throttle(HandClock(), most=1, window_s=60, names=2)
    for name in ("a", "b", "c"):
        throttle.failed(name)

    throttle.check("a")
    for name in ("b", "c"):
        with pytest.raises(TooOften):
            throttle.check(name)


def test_knowing_one_password_does_not_forgive_guesses_at_others() -> None:
    throttle = Throttle(HandClock(), most=3, window_s=60)
    for _ in range(3):
        throttle.failed("an address")
    throttle.take_back("an address")
    throttle.check("an address")
    throttle.failed("an address")
    with pytest.raises(TooOften):
        throttle.check("an address")
    throttle.take_back("nobody")
