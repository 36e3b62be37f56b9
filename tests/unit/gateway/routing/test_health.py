from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.health import Health
from gateway.settings import Breaker

SECOND = 1_000_000_000
BREAKER = Breaker(window_s=30, failure_ratio=0.5, min_calls=4, open_s=15)


def call(health: Health, now_s: float, *, well: bool, cooldown_s: float = 0) -> None:
    now_ns = int(now_s * SECOND)
    health.began(now_ns)
    if well:
        health.succeeded(now_ns, 1000)
    else:
        health.failed(now_ns, cooldown_s=cooldown_s)


def broken(now_s: float = 100) -> Health:
    health = Health(BREAKER)
    for _ in range(4):
        call(health, now_s, well=False)
    return health


def end(health: Health, how: str, now_s: float) -> None:
    match how:
        case "well":
            health.succeeded(at(now_s), 10)
        case "ill":
            health.failed(at(now_s))
        case _:
            health.ended()


def at(seconds: float) -> int:
    return int(seconds * SECOND)


def test_a_deployment_that_fails_often_enough_is_left_alone() -> None:
    health = Health(BREAKER)
    for well in (True, True, False):
        call(health, 100, well=well)
    assert health.available(at(100))

    call(health, 101, well=False)

    assert health.state(at(101)) == "open"
    assert not health.available(at(115.9))


def test_few_calls_say_nothing() -> None:
    health = Health(BREAKER)
    for _ in range(3):
        call(health, 100, well=False)

    assert health.state(at(100)) == "closed"


def test_failures_that_left_the_window_are_forgotten() -> None:
    health = Health(BREAKER)
    for _ in range(3):
        call(health, 100, well=False)
    call(health, 131, well=False)

    assert health.state(at(131)) == "closed"
    assert health.failure_ratio == 1.0


def test_after_a_while_one_call_may_try_and_only_one() -> None:
    health = broken(100)
    assert health.state(at(115)) == "half_open"

    health.began(at(115))

    assert not health.available(at(115))


def test_a_probe_that_succeeds_closes_the_breaker() -> None:
    health = broken(100)
    call(health, 116, well=True)

    assert health.state(at(116)) == "closed"
    assert health.failure_ratio == 0


def test_a_probe_that_fails_opens_it_again() -> None:
    health = broken(100)
    call(health, 116, well=False)

    assert health.state(at(130.9)) == "open"
    assert health.state(at(131)) == "half_open"


def test_a_probe_that_says_nothing_lets_the_next_one_try() -> None:
    health = broken(100)
    health.began(at(116))
    health.ended()

    assert health.state(at(116)) == "half_open"


def test_a_provider_is_left_alone_as_long_as_it_asks() -> None:
    health = Health(BREAKER)
    call(health, 100, well=False, cooldown_s=7)

    assert not health.available(at(106.9))
    assert health.available(at(107))


def test_a_call_that_began_earlier_ends_neither_a_pause_nor_an_open_breaker() -> None:
    health = Health(BREAKER)
    health.began(at(99))
    health.began(at(99))
    call(health, 100, well=False, cooldown_s=7)
    health.succeeded(at(101), 1000)
    assert not health.available(at(106.9))

    for _ in range(4):
        call(health, 108, well=False)
    health.succeeded(at(109), 1000)

    assert health.state(at(110)) == "open"


def test_what_another_worker_found_out_counts_here() -> None:
    health = Health(BREAKER)
    health.told(open_until_ns=at(50), cooling_until_ns=at(40))

    assert health.state(at(49)) == "open"
    assert health.state(at(51)) == "half_open"


def test_latency_follows_the_newest_calls() -> None:
    health = Health(BREAKER)
    health.began(0)
    health.succeeded(0, 1000)
    assert health.latency_us == 1000
    for _ in range(50):
        health.began(0)
        health.succeeded(0, 100)

    assert health.latency_us == pytest.approx(100, rel=0.01)


@given(st.lists(st.tuples(st.floats(0, 9), st.sampled_from(["well", "ill", "ended", "begun"])), max_size=80))
def test_an_open_breaker_lets_nobody_pass_before_its_time_and_then_one_at_a_time(
    steps: list[tuple[float, str]],
) -> None:
    health, now_s, under_way = Health(BREAKER), 0.0, 0
    for pause_s, how in steps:
        now_s += pause_s
        state, free = health.state(at(now_s)), health.available(at(now_s))
        assert free == (state != "open")
        if state == "open" and under_way == 0:
            assert at(now_s) < health.open_until_ns
        if free:
            health.began(at(now_s))
            under_way += 1
            if state == "half_open":
                assert not health.available(at(now_s)), "the probe is on its way"
        if under_way and how != "begun":
            under_way -= 1
            end(health, how, now_s)
        if health.open_until_ns > at(now_s):
            assert not health.available(at(now_s))


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["well", "ill", "ended"])), max_size=80))
def test_calls_under_way_are_counted_whatever_happens(steps: list[tuple[float, str]]) -> None:
    health, now_s = Health(BREAKER), 0.0
    for pause_s, how in steps:
        now_s += pause_s
        health.began(at(now_s))
        assert health.in_flight == 1
        end(health, how, now_s)

    assert health.in_flight == 0
    assert 0 <= health.failure_ratio <= 1
    assert health.available(at(now_s + 15))


@given(st.lists(st.tuples(st.floats(0, 12), st.booleans()), min_size=1, max_size=80))
def test_the_share_that_failed_is_that_of_the_seconds_in_the_window(steps: list[tuple[float, bool]]) -> None:
    health, now_s, calls = Health(Breaker(min_calls=1000, window_s=30)), 0.0, list[tuple[int, bool]]()
    for pause_s, well in steps:
        now_s += pause_s
        call(health, now_s, well=well)
        calls.append((at(now_s) // 10**9, well))

        lately = [well for second, well in calls if second > calls[-1][0] - 30]
        assert health.failure_ratio == lately.count(False) / len(lately)
