from __future__ import annotations

from collections import Counter, defaultdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.providers.sandbox import Sandbox
from gateway.routing.deployments import Deployment, Variant
from gateway.routing.health import Health
from gateway.routing.strategy import draw, order
from gateway.settings import Breaker, Strategy

ALL: tuple[Strategy, ...] = ("ordered", "weighted", "least_latency", "least_busy", "cheapest", "sticky")


def at(name: str, *, weight: float = 1, price: int | None = None) -> Deployment:
    return Deployment(id=name, provider=Sandbox(), model=name, weight=weight, price_nano_usd=price)


def healthy() -> defaultdict[str, Health]:
    return defaultdict(lambda: Health(Breaker()))


@given(st.sampled_from(ALL), st.lists(st.floats(0, 100), min_size=1, max_size=6), st.integers(), st.text())
def test_every_deployment_is_in_the_order_once(
    strategy: Strategy, weights: list[float], seed: int, thread: str
) -> None:
    ways = [at(str(i), weight=weight) for i, weight in enumerate(weights)]

    found = order(strategy, ways, healthy(), dice=Random(seed), stick_to=thread)

    assert sorted(way.id for way in found) == sorted(way.id for way in ways)


@pytest.mark.parametrize("strategy", ["weighted", "sticky"])
def test_weights_are_respected(strategy: Strategy) -> None:
    ways = [at("a", weight=6), at("b", weight=3), at("c", weight=1), at("never", weight=0)]
    dice, calls = Random(7), 6000

    drawn = Counter(
        order(strategy, ways, healthy(), dice=dice, stick_to=f"thread {i}")[0].id for i in range(calls)
    )

    expected = {"a": 0.6 * calls, "b": 0.3 * calls, "c": 0.1 * calls}
    chi_square = sum((drawn[name] - wanted) ** 2 / wanted for name, wanted in expected.items())
    assert chi_square < 13.8, drawn  # p = 0.001 at two degrees of freedom
    assert drawn["never"] == 0


def test_a_thread_stays_where_it_is_and_moves_only_if_its_place_goes() -> None:
    ways = [at(name) for name in "abcd"]
    for i in range(200):
        first = order("sticky", ways, healthy(), dice=Random(i), stick_to=f"t{i}")[0]
        assert order("sticky", ways, healthy(), dice=Random(), stick_to=f"t{i}")[0] == first
        fewer = [way for way in ways if way.id != ("a" if first.id != "a" else "b")]
        assert order("sticky", fewer, healthy(), dice=Random(), stick_to=f"t{i}")[0] == first


def test_the_cheapest_comes_first_and_an_unknown_price_last() -> None:
    ways = [at("unknown"), at("dear", price=9), at("cheap", price=1), at("free", price=0)]

    assert [way.id for way in order("cheapest", ways, healthy(), dice=Random(1))] == [
        "free",
        "cheap",
        "dear",
        "unknown",
    ]


def test_the_one_with_the_fewest_calls_under_way_comes_first() -> None:
    health = healthy()
    for name, calls in (("a", 3), ("b", 1), ("c", 2)):
        for _ in range(calls):
            health[name].began(0)

    assert order("least_busy", [at(n) for n in "abc"], health, dice=Random(1))[0].id == "b"


def test_the_quicker_of_two_is_asked_and_nobody_starves() -> None:
    health = healthy()
    for name, latency_us in (("quick", 1_000), ("slow", 9_000), ("slower", 20_000)):
        health[name].began(0)
        health[name].succeeded(0, latency_us)
    ways, dice = [at("slower"), at("slow"), at("quick")], Random(3)

    drawn = Counter(order("least_latency", ways, health, dice=dice)[0].id for _ in range(3000))

    assert drawn["quick"] > 1800
    assert drawn["slow"] > 800
    assert 0 < drawn["slower"] < 100
    assert order("least_latency", [*ways, at("new")], health, dice=Random(5))[
        0
    ].id  # of which nothing is known


@settings(max_examples=30)
@given(st.sampled_from(ALL), st.integers(2, 5), st.integers())
def test_nobody_starves_unless_it_was_said_so(strategy: Strategy, count: int, seed: int) -> None:
    ways, health, dice = [at(str(i)) for i in range(count)], healthy(), Random(seed)
    for i, way in enumerate(ways):
        health[way.id].began(0)
        health[way.id].succeeded(0, 1000 * (i + 1))

    first = {order(strategy, ways, health, dice=dice, stick_to=f"t{i}")[0].id for i in range(3000)}

    assert first == ({"0"} if strategy == "ordered" else {way.id for way in ways})


def test_one_that_was_slow_once_is_found_to_be_quick_again() -> None:
    health, ways, dice = healthy(), [at("once slow"), at("steady")], Random(5)
    took_us = {"once slow": 10_000, "steady": 20_000}
    health["once slow"].began(0)
    health["once slow"].succeeded(0, 5_000_000)
    asked = []
    for _ in range(4000):
        way = order("least_latency", ways, health, dice=dice)[0]
        health[way.id].began(0)
        health[way.id].succeeded(0, took_us[way.id])
        asked.append(way.id)

    assert asked[-500:].count("once slow") > 450


def variant(name: str, weight: float = 1) -> Variant:
    return Variant(name=name, weight=weight, deployment=None, parameters={}, memory="")


def test_a_thread_always_gets_the_same_variant_and_threads_are_split_by_weight() -> None:
    variants = [variant("control", 9), variant("new", 1), variant("never", 0)]

    drawn = [draw("smart", variants, dice=Random(0), stick_to=f"t-{i}").name for i in range(4000)]
    again = [draw("smart", variants, dice=Random(1), stick_to=f"t-{i}").name for i in range(4000)]

    assert drawn == again
    assert drawn.count("never") == 0
    assert 300 < drawn.count("new") < 500


def test_calls_of_nobody_are_split_by_weight_and_routes_are_split_each_for_itself() -> None:
    variants = [variant("a"), variant("b")]
    dice = Random(7)

    nobody = [draw("smart", variants, dice=dice).name for _ in range(2000)]
    one = [draw("smart", variants, dice=dice, stick_to=f"t-{i}").name for i in range(2000)]
    other = [draw("clever", variants, dice=dice, stick_to=f"t-{i}").name for i in range(2000)]

    assert 900 < nobody.count("a") < 1100
    assert 900 < sum(mine == yours for mine, yours in zip(one, other, strict=True)) < 1100
