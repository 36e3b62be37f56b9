from __future__ import annotations

from collections import Counter, defaultdict
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused, Unreachable, UpstreamFailed, UpstreamTimeout
from gateway.providers.sandbox import Sandbox
from gateway.routing.course import Course, Try, all_of
from gateway.routing.deployments import Deployment, Plan
from gateway.routing.health import Health
from gateway.settings import Breaker, Retries, Timeouts

SECOND = 1_000_000_000


def at(name: str) -> Deployment:
    return Deployment(id=name, provider=Sandbox(), model=name)


def plan(*names: str, attempts: int = 3, **said: Any) -> Plan:
    said.setdefault("retries", Retries(attempts=attempts, backoff_ms=(100, 1000)))
    return Plan(deployments=tuple(at(name) for name in names), timeouts=Timeouts(), **said)


def health() -> defaultdict[str, Health]:
    return defaultdict(lambda: Health(Breaker(min_calls=1000)))


def course(
    of: Plan, known: dict[str, Health] | None = None, *, deadline_s: float = 600, seed: int = 1
) -> Course:
    return Course(
        of, known if known is not None else health(), dice=Random(seed), deadline_ns=int(deadline_s * SECOND)
    )


def refused(status: int, *, after_s: float | None = None, body: bytes = b"{}") -> Refused:
    error = Refused("no", status=status, headers=[], body=body, retryable=True)
    error.retry_after_s = after_s
    return error


def name(step: Try | None) -> str:
    assert step is not None
    return step.deployment.id


def test_a_server_error_is_tried_again_with_growing_random_pauses() -> None:
    longest = [0.0, 0.0]
    for seed in range(200):
        way = course(plan("a"), seed=seed)
        way.first(0)
        for turn in range(2):
            step = way.after(refused(500), at("a"), 0)
            assert name(step) == "a"
            assert step is not None
            longest[turn] = max(longest[turn], step.wait_s)
        assert way.after(refused(500), at("a"), 0) is None

    assert 0.09 < longest[0] <= 0.1
    assert 0.18 < longest[1] <= 0.2


def test_a_used_up_limit_is_tried_elsewhere_at_once() -> None:
    way = course(plan("a", "b"))
    way.first(0)

    step = way.after(refused(429, after_s=20), at("a"), 0)

    assert (name(step), step and step.wait_s) == ("b", 0)


@pytest.mark.parametrize("seed", range(20))
def test_a_pause_the_provider_asks_for_is_kept_to_within_a_tenth(seed: int) -> None:
    known = health()
    way = course(plan("a"), known, seed=seed)
    way.first(0)
    known["a"].began(0)
    known["a"].failed(0, cooldown_s=2)

    step = way.after(refused(429, after_s=2), at("a"), 0)

    assert step is not None
    assert 2 <= step.wait_s <= 2.2


@pytest.mark.parametrize(("after_s", "deadline_s"), [(61, 600), (5, 4)])
def test_a_pause_that_is_too_long_is_not_waited_for(after_s: float, deadline_s: float) -> None:
    known = health()
    way = course(plan("a"), known, deadline_s=deadline_s)
    way.first(0)
    known["a"].began(0)
    known["a"].failed(0, cooldown_s=after_s)

    assert way.after(refused(429, after_s=after_s), at("a"), 0) is None


def test_a_sick_key_is_not_asked_again() -> None:
    way = course(plan("a", "b"))
    way.first(0)

    assert name(way.after(refused(401), at("a"), 0)) == "b"
    assert way.after(refused(401), at("b"), 0) is None


def test_a_bad_request_is_nobodys_fault_but_the_clients() -> None:
    way = course(plan("a", "b"))
    way.first(0)

    error = Refused("no", status=400, headers=[], body=b"{}", retryable=False)
    assert way.after(error, at("a"), 0) is None


def test_fallbacks_come_after_all_deployments() -> None:
    way = course(plan("a", "b", attempts=1, fallbacks=(at("c"), at("d"))))
    steps = [name(way.first(0))]
    while step := way.after(Unreachable("gone"), at(steps[-1]), 0):
        steps.append(step.deployment.id)

    assert steps == ["a", "b", "c", "d"]


def test_a_prompt_that_is_too_long_goes_where_there_is_room_once() -> None:
    way = course(plan("a", "b", context_window_fallback=at("large"), content_filter_fallback=at("mild")))
    way.first(0)
    too_long = refused(400, body=b'{"error":{"code":"context_length_exceeded"}}')

    assert name(way.after(too_long, at("a"), 0)) == "large"
    assert way.after(too_long, at("large"), 0) is None
    assert name(way.after(refused(400, body=b'{"error":{"code":"content_filter"}}'), at("a"), 0)) == "mild"


def test_one_that_is_left_alone_is_passed_over() -> None:
    known = health()
    known["a"].told(open_until_ns=10 * SECOND, cooling_until_ns=0)

    assert name(course(plan("a", "b"), known).first(0)) == "b"


def test_when_all_are_left_alone_the_least_bad_is_asked() -> None:
    known = health()
    for failing, calls in (("a", 4), ("b", 1)):
        for i in range(5):
            known[failing].began(0)
            if i < calls:
                known[failing].failed(0)
            else:
                known[failing].succeeded(0, 1)
        known[failing].told(open_until_ns=10 * SECOND, cooling_until_ns=0)

    assert name(course(plan("a", "b"), known).first(0)) == "b"


errors = st.sampled_from(
    [
        refused(500),
        refused(429, after_s=1),
        refused(429),
        refused(401),
        Unreachable("gone"),
        UpstreamTimeout("late", code="upstream_timeout_connect"),
        refused(400, body=b"context_length_exceeded"),
    ]
)


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 2),
    st.lists(errors, min_size=40, max_size=40),
    st.integers(0, 10**6),
)
def test_no_more_attempts_than_allowed_and_never_after_the_deadline(
    attempts: int, count: int, fallbacks: int, failures: list[UpstreamFailed], seed: int
) -> None:
    known = health()
    of = plan(
        *(f"d{i}" for i in range(count)),
        attempts=attempts,
        fallbacks=tuple(at(f"f{i}") for i in range(fallbacks)),
        context_window_fallback=at("large"),
    )
    deadline_s = 30.0
    way = course(of, known, deadline_s=deadline_s, seed=seed)
    tried: Counter[str] = Counter()
    now_ns = 0
    step: Try | None = way.first(now_ns)
    for error in failures:
        if step is None:
            break
        now_ns += int(step.wait_s * SECOND)
        assert now_ns < deadline_s * SECOND
        failed = step.deployment
        tried[failed.id] += 1
        known[failed.id].began(now_ns)
        known[failed.id].failed(now_ns, cooldown_s=error.retry_after_s or 0)
        step = way.after(error, failed, now_ns)

    assert step is None
    assert max(tried.values()) <= attempts
    assert set(tried) <= {known_way.id for known_way in all_of(of)}


def test_one_that_asked_for_a_pause_is_worse_than_one_that_failed() -> None:
    known = health()
    for name_, cooldown_s in (("a", 30.0), ("b", 0.0)):
        known[name_].began(0)
        known[name_].failed(0, cooldown_s=cooldown_s)
    known["b"].open_until_ns = 30 * SECOND

    assert name(course(plan("a", "b"), known).first(0)) == "b"


def test_a_first_step_that_was_made_without_a_word_counts() -> None:
    way = course(plan("a", "b", attempts=1))
    way.went(at("a"))

    assert name(way.after(refused(500), at("a"), 0)) == "b"
    assert way.after(refused(500), at("b"), 0) is None


def test_after_the_deadline_nothing_is_tried() -> None:
    way = course(plan("a", "b"), deadline_s=5)
    way.first(0)

    assert way.after(refused(429), at("a"), 5 * SECOND) is None


def test_a_key_that_was_sick_before_does_not_make_a_later_call_wait() -> None:
    known = health()
    known["a"].began(0)
    known["a"].failed(0, for_good=True)
    way = course(plan("a"), known)
    assert name(way.first(0)) == "a"
    known["a"].began(0)
    known["a"].failed(0)

    step = way.after(refused(429), at("a"), 0)

    assert step is not None
    assert step.wait_s <= 0.1
