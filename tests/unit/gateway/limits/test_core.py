"""The arithmetic of limits, for any sequence of calls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.base import WINDOW_S, Demand, Part, Verdict
from gateway.limits.core import SECOND, Counters, Minute

FOR_EVER = 10**15
LATER = st.one_of(st.integers(0, 3 * SECOND), st.integers(0, 70 * SECOND))


def decide(counters: Counters, now_us: int, part: Part, call: int, tokens: int = 0) -> Verdict:
    return counters.reserve(Demand(str(call), tokens, (part,)), now_us, FOR_EVER)


def most_in_a_window(taken: list[tuple[int, int]]) -> int:
    """Return the most that was taken in any sixty seconds in a row; moments are whole seconds."""
    return max(
        (sum(amount for at, amount in taken if end - WINDOW_S < at <= end) for end, _ in taken), default=0
    )


@given(st.lists(st.tuples(LATER, st.integers(1, 3)), max_size=80), st.integers(1, 8))
def test_no_minute_exceeds_its_requests(steps: list[tuple[int, int]], rpm: int) -> None:
    counters, now_us, taken = Counters(), 0, list[tuple[int, int]]()
    for later, times in steps:
        now_us += later
        for _ in range(times):
            if not decide(counters, now_us, Part("a", rpm=rpm), len(taken)).kind:
                taken.append((now_us // SECOND, 1))

    assert most_in_a_window(taken) <= rpm


@given(st.lists(st.tuples(LATER, st.integers(0, 120)), max_size=60))
def test_no_minute_exceeds_its_tokens_and_none_is_refused_that_has_room(
    steps: list[tuple[int, int]],
) -> None:
    counters, now_us, taken = Counters(), 0, list[tuple[int, int]]()
    for later, tokens in steps:
        now_us += later
        second = now_us // SECOND
        used = sum(amount for at, amount in taken if at > second - WINDOW_S)
        verdict = decide(counters, now_us, Part("a", tpm=100), len(taken), tokens)

        assert (verdict.kind == 0) == (used + tokens <= 100)
        if not verdict.kind:
            taken.append((second, tokens))
    assert most_in_a_window(taken) <= 100


@given(st.lists(st.tuples(LATER, st.integers(0, 100), st.integers(0, 300), st.booleans()), max_size=60))
def test_settling_never_makes_less_than_nothing(steps: list[tuple[int, int, int, bool]]) -> None:
    counters, now_us = Counters(), 0
    part = Part("a", rpm=50, tpm=200, concurrency=5)
    under_way: list[tuple[Demand, int]] = []
    for number, (later, reserved, took, settles) in enumerate(steps):
        now_us += later
        demand = Demand(str(number), reserved, (part,))
        verdict = counters.reserve(demand, now_us, 30 * SECOND)
        assert 0 <= verdict.left[0] <= 50
        assert 0 <= verdict.left[1] <= 200
        if not verdict.kind:
            under_way.append((demand, verdict.second))
        if settles and under_way:
            settled, second = under_way.pop()
            counters.settle(settled, second, took)
            counters.settle(settled, second, 0)  # twice, as if a message was repeated


@given(st.lists(st.integers(0, 5 * SECOND), max_size=80), st.integers(1, 120), st.integers(1, 5))
def test_a_smooth_rate_never_gives_more_than_its_burst_and_what_time_brings(
    steps: list[int], rpm: int, burst: int
) -> None:
    counters, now_us, taken = Counters(), 0, list[int]()
    for later in steps:
        now_us += later
        if not decide(counters, now_us, Part("a", rpm=rpm, burst=burst), len(taken)).kind:
            taken.append(now_us)

    for first, began in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - began) * rpm / (60 * SECOND)


@given(st.lists(LATER, min_size=1, max_size=30), st.integers(1, 4))
def test_whoever_waits_as_told_is_let_in(steps: list[int], rpm: int) -> None:
    counters, now_us = Counters(), 0
    for number, later in enumerate(steps):
        now_us += later
        verdict = decide(counters, now_us, Part("a", rpm=rpm), number)
        if verdict.kind:
            now_us += verdict.wait_us
            assert not decide(counters, now_us, Part("a", rpm=rpm), -number).kind


def test_what_nobody_asks_for_any_more_is_forgotten() -> None:
    counters = Counters()
    for number in range(50):
        decide(counters, 0, Part(f"user {number}", rpm=5), number)
    decide(counters, 0, Part("busy", concurrency=5), 99)
    decide(counters, 61 * SECOND, Part("a", rpm=5), 100)

    assert len(counters) == 2


def test_a_minute_forgets_its_oldest_second_first() -> None:
    minute = Minute()
    minute.at(100)
    minute.add(100, 7)
    minute.at(130)
    minute.add(130, 5)

    assert (minute.at(159), minute.at(160), minute.at(190)) == (12, 5, 0)


def test_places_that_were_renewed_end_after_those_that_were_not() -> None:
    counters = Counters()
    part = Part("a", concurrency=2)
    for call in ("one", "two"):
        counters.reserve(Demand(call, 0, (part,)), 0, 30 * SECOND)
    counters.renew([("one", ("a",)), ("forgotten", ("b",))], 20 * SECOND, 30 * SECOND)

    assert not counters.reserve(Demand("three", 0, (part,)), 30 * SECOND, 30 * SECOND).kind
    assert counters.reserve(Demand("four", 0, (part,)), 49 * SECOND, 30 * SECOND).kind
    assert counters.reserve(Demand("five", 0, (Part("b", concurrency=1),)), 49 * SECOND, SECOND).kind
