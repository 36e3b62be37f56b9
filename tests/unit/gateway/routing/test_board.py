from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from gateway.errors import Refused, Unreachable, UpstreamFailed
from gateway.providers.sandbox import Sandbox
from gateway.routing.board import MOST, TELL, Board, News, Unwell, Ward, report, unwell
from gateway.routing.deployments import Deployment, Plan
from gateway.settings import Breaker, Route, RouteDeployment, RouteVariant, Timeouts

BREAKER = Breaker(min_calls=2, open_s=15)
S = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def now_us(self) -> int:
        return int(self.seconds * 1e6)

    def monotonic_ns(self) -> int:
        return int(self.seconds * S)


class Told(list[tuple[str, Any]]):
    def __call__(self, topic: str, what: object) -> None:
        self.append((topic, msgspec.msgpack.decode(msgspec.msgpack.encode(what))))


def at(name: str, *, borrowed: bool = False) -> Deployment:
    return Deployment(id=name, provider=Sandbox(), model=name, borrowed=borrowed)


def refused(status: int, after_s: float | None = None) -> Refused:
    error = Refused("no", status=status, headers=[], body=b"{}", retryable=status != 400)
    error.retry_after_s = after_s
    return error


def fail(board: Board, clock: Clock, error: UpstreamFailed, *, borrowed: bool = False) -> None:
    way = at("a", borrowed=borrowed)
    board.of(way, BREAKER).began(clock.monotonic_ns())
    board.failed(way, BREAKER, error, clock.monotonic_ns())


def test_a_limit_is_told_once_until_it_grows() -> None:
    clock, told = Clock(), Told()
    board = Board(clock, told)
    for _ in range(3):
        fail(board, clock, refused(429, after_s=20))

    assert told == [(TELL, ["a", 0.0, 20.0])]

    fail(board, clock, refused(429, after_s=60))

    assert told[-1][1][2] == pytest.approx(60)


def test_a_breaker_that_opens_is_told() -> None:
    clock, told = Clock(), Told()
    board = Board(clock, told)
    fail(board, clock, Unreachable("nobody"))
    assert not told

    fail(board, clock, Unreachable("nobody"))

    assert told == [(TELL, ["a", 15.0, 0.0])]


def test_what_the_clients_own_key_got_concerns_nobody_else() -> None:
    clock, told = Clock(), Told()
    board = Board(clock, told)
    for _ in range(5):
        fail(board, clock, refused(401), borrowed=True)

    assert not told
    assert board["a"].available(clock.monotonic_ns())
    assert board["a"].in_flight == 0


def test_a_sick_key_of_our_own_is_left_alone_as_long_as_an_open_breaker() -> None:
    clock = Clock()
    board = Board(clock, Told())
    fail(board, clock, refused(403))

    assert not board["a"].available(clock.monotonic_ns() + int(14.9 * S))
    assert board["a"].available(clock.monotonic_ns() + 15 * S)


def test_a_bad_request_says_nothing_of_the_deployment() -> None:
    clock = Clock()
    board = Board(clock, Told())
    for _ in range(5):
        fail(board, clock, refused(400))

    assert board["a"].failure_ratio == 0
    assert board["a"].in_flight == 0


def test_the_hub_tells_every_worker_what_one_found_out() -> None:
    clock, published = Clock(), Told()
    ward = Ward(clock, published)
    told = Told()
    fail(Board(clock, told), clock, refused(429, after_s=20))

    asyncio.run(ward.take(told[0][1]))
    clock.seconds += 5  # a worker that connects later is sent the same message
    other = Board(clock, Told())
    other.hear(published[-1][1])

    assert not other["a"].available(clock.monotonic_ns() + int(14.9 * S))
    assert other["a"].available(clock.monotonic_ns() + int(15.1 * S))


def test_the_hub_forgets_who_is_well_again() -> None:
    clock, published = Clock(), Told()
    ward = Ward(clock, published)
    asyncio.run(ward.take(["a", 3.0, 0.0]))
    clock.seconds += 4

    asyncio.run(ward.take(["b", 0.0, 9.0]))

    assert msgspec.convert(published[-1][1], News).unwell == (Unwell("b", 0.0, 9.0),)


def test_news_do_not_travel_in_circles() -> None:
    clock, told = Clock(), Told()
    board = Board(clock, told)
    board.hear({"at_us": clock.now_us(), "unwell": [["a", 0.0, 30.0]]})

    fail(board, clock, refused(429, after_s=10))

    assert not told


def test_a_hub_that_comes_is_told_again_of_all_that_are_to_be_left_alone() -> None:
    clock, told = Clock(), Told()
    board = Board(clock, told)
    board.of(at("well"), BREAKER)
    board.hear({"at_us": clock.now_us(), "unwell": [["short", 0.0, 3.0], ["open", 30.0, 0.0]]})
    fail(board, clock, refused(429, after_s=20))
    told.clear()
    clock.seconds += 5

    board.tell_again()

    assert told == [(TELL, ["open", 25.0, 0.0]), (TELL, ["a", 0.0, 15.0])]


def test_old_news_are_no_news() -> None:
    clock = Clock()
    board = Board(clock, Told())
    board.hear({"at_us": clock.now_us() - 5_000_000, "unwell": [["a", 4.0, 0.0], ["b", 0.0, 6.0]]})

    assert set(board) == {"b"}
    assert not board["b"].available(clock.monotonic_ns())
    assert board["b"].available(clock.monotonic_ns() + S)


def test_names_that_clients_invent_do_not_fill_the_memory() -> None:
    board = Board(Clock(), Told())
    busy = board.of(at("busy"), BREAKER)
    busy.began(0)
    for number in range(MOST * 2):
        board.of(at(f"p/{number}"), BREAKER)

    assert len(board) <= MOST
    assert board["busy"] is busy


def test_everything_a_plan_may_come_to_is_covered() -> None:
    board = Board(Clock(), Told())
    board.cover(
        Plan(
            deployments=(at("a"),),
            fallbacks=(at("b"),),
            context_window_fallback=at("c"),
            timeouts=Timeouts(),
        )
    )

    assert set(board) == {"a", "b", "c"}


def test_the_report_has_the_routes_first_and_then_what_was_asked_for_without_one() -> None:
    clock = Clock()
    board = Board(clock, Told())
    board.of(at("p/free"), BREAKER)
    health = board.of(at("p/x"), BREAKER)
    health.began(0)
    health.failed(clock.monotonic_ns(), cooldown_s=7)
    routes = {
        "smart": Route(
            deployments=(RouteDeployment(model="p/x", weight=3),),
            strategy="weighted",
            fallbacks=("p/y",),
            context_window_fallback="p/long",
            content_filter_fallback="p/mild",
            variants={"cold": RouteVariant(parameters={"temperature": 0}), "new": RouteVariant(model="p/x")},
        )
    }

    lines = report(routes, board, clock.monotonic_ns())

    assert [(line.route, line.deployment, line.role, line.variant) for line in lines] == [
        ("smart", "p/x", "deployment", ""),
        ("smart", "", "variant", "cold"),
        ("smart", "p/x", "variant", "new"),
        ("smart", "p/y", "fallback", ""),
        ("smart", "p/long", "context_window", ""),
        ("smart", "p/mild", "content_filter", ""),
        ("", "p/free", "deployment", ""),
    ]
    assert (lines[1].strategy, lines[1].state) == ("weighted", "closed")
    assert lines[2].cooldown_s == 7.0
    assert (lines[0].weight, lines[0].failure_ratio, lines[0].cooldown_s) == (3, 1.0, 7.0)
    assert unwell(routes, board, clock.monotonic_ns()) == {"p/x": "cooling"}
    assert unwell(routes, board, clock.monotonic_ns() + 8 * S) == {}
