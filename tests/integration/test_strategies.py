"""Whom a route asks, seen from outside: by each strategy, after a refusal, and as a variant says."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest

from tests.fakes.callers import call
from tests.fakes.provider import Provider, Received, Script, chat, refusal
from tests.fakes.tidegate import Tidegate, eventually

PAUSE_S = 1.0
OVERSLEPT_S = 0.1
"""What a busy machine may add to any pause."""
FILTERED = refusal(400, "The response was filtered", code="content_filter")


def http_date(at: datetime) -> str:
    return format_datetime(at, usegmt=True)


def rfc_3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


NOW = datetime.now(UTC).replace(microsecond=0)
DATE = ("date", http_date(NOW))
LATER = NOW + timedelta(seconds=PAUSE_S)
FORMS = {
    "ms": (("retry-after-ms", "1000"), ("retry-after", "7")),
    "seconds": (("retry-after", "1"),),
    "date": (DATE, ("retry-after", http_date(LATER))),
    "requests": (("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1s")),
    "tokens": (
        ("x-ratelimit-remaining-requests", "17"),
        ("x-ratelimit-reset-requests", "8ms"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "0m1.000s"),
    ),
    "millis": (("x-ratelimit-reset-tokens", "1000ms"),),
    "bare": (("x-ratelimit-reset-requests", "1.0"),),
    "claude": (
        DATE,
        ("anthropic-ratelimit-input-tokens-remaining", "0"),
        ("anthropic-ratelimit-input-tokens-reset", rfc_3339(LATER)),
    ),
}
"""In each of them a provider asks for a pause of a second."""


class Place:
    """A provider that remembers whom it was asked for, and answers as the model's name says."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.provider = Provider(self._script)

    def models(self, event: str) -> list[str]:
        return [model for model, who in self.asked if who == event]

    def _script(self, request: Received) -> Script:
        if request.method != "POST":
            return refusal(404)
        body = request.json()
        model, who = body["model"], body["messages"][0]["content"]
        seen = model in self.models(who)
        self.asked.append((model, who))
        kind, _, more = model.partition("-")
        if kind == "limited" and not seen:
            return refusal(429, "slow down", headers=FORMS[more])
        if kind == "sick":
            return refusal(int(more), "no such key")
        if kind == "strict":
            return FILTERED
        slow = kind in ("slow", "busy")
        return msgspec.structs.replace(chat(model), delay_s=0.15 if slow else 0)


def route(*models: str, weights: tuple[float, ...] = (), **said: Any) -> dict[str, Any]:
    weights = weights or (1,) * len(models)
    deployments = [
        {"model": f"p/{model}", "weight": weight} for model, weight in zip(models, weights, strict=True)
    ]
    return {"deployments": deployments, **said}


ROUTES = {
    "ordered": route("a", "b"),
    "weighted": route("a", "b", "never", weights=(3, 1, 0), strategy="weighted"),
    "quick": route("slow", "swift", strategy="least_latency"),
    "busy": route("busy-a", "busy-b", strategy="least_busy"),
    "cheap": route("dear", "a", strategy="cheapest"),
    "sticky": route("a", "b", "c", strategy="sticky"),
    "sick-401": route("sick-401", "a"),
    "sick-402": route("sick-402", "a"),
    "sick-403": route("sick-403", "a"),
    "strict": route("strict", content_filter_fallback="p/mild", fallbacks=["p/a"]),
    "tried": route(
        "a",
        variants={
            "cold": {"parameters": {"temperature": 0}},
            "other": {"model": "p/b"},
            "never": {"model": "p/never", "weight": 0},
        },
    ),
}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    place = Place()
    with place.provider.in_thread():
        yield place


@pytest.fixture(scope="module")
def gateway(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    config = {
        "providers": {"p": {"base_url": place.provider.base_url, "api_key": "x"}},
        "routes": ROUTES,
        "breaker": {"min_calls": 1000},
        "server": {"drain_s": 1},
        "prices": {f"p/{model}": {"input": rate, "output": rate} for model, rate in PRICES.items()},
    }
    with Tidegate(tmp_path_factory.mktemp("strategies"), config) as house:
        yield house


PRICES = {"dear": "10", "a": "1"}


def ask(gateway: Tidegate, model: str, event: str, headers: Mapping[str, str] | None = None) -> str:
    """Return which model answered."""
    heard = call(gateway, model, event=event, headers=headers)
    assert heard.answered, heard
    said: str = heard.json()["choices"][0]["message"]["content"]
    return said


def asked_of(gateway: Tidegate, model: str, count: int, **headers: str) -> Counter[str]:
    """Ask so many times; return how often whom."""
    said = {f"x-tidegate-{name}-id": value for name, value in headers.items()}
    return Counter(ask(gateway, model, f"{model}-{number}-{sorted(said)}", said) for number in range(count))


# strategies


def test_in_order_the_first_is_asked(gateway: Tidegate) -> None:
    assert asked_of(gateway, "ordered", 10) == {"a": 10}


def test_by_weight_all_are_asked_as_often_as_it_says(gateway: Tidegate) -> None:
    found = asked_of(gateway, "weighted", 200)

    assert set(found) == {"a", "b"}
    assert 113 <= found["a"] <= 187  # six standard deviations from 150


def test_the_quicker_one_is_asked_once_it_is_known(gateway: Tidegate) -> None:
    eventually(
        lambda: {asked_of(gateway, "quick", 1).popitem()[0] for _ in range(4)} == {"swift"},
        what="both latencies to be known",
    )

    assert (
        asked_of(gateway, "quick", 40)["swift"] >= 30
    )  # chance looks now and then whether the other is still slow


def test_the_one_with_fewer_calls_under_way_is_asked(gateway: Tidegate, place: Place) -> None:
    for turn in range(4):
        first = threading.Thread(target=ask, args=(gateway, "busy", f"first-{turn}"))
        first.start()
        eventually(lambda turn=turn: place.models(f"first-{turn}"), what="the first to be under way")  # type: ignore[misc]
        (taken,) = place.models(f"first-{turn}")
        second = ask(gateway, "busy", f"second-{turn}")
        first.join()
        assert {taken, second} == {"busy-a", "busy-b"}


def test_the_cheaper_one_is_asked_once_prices_are_known(gateway: Tidegate) -> None:
    eventually(lambda: asked_of(gateway, "cheap", 6) == {"a": 6}, what="the prices to be known")


@pytest.mark.parametrize("who", ["thread", "user"])
def test_a_thread_or_else_a_user_stays_where_it_is(gateway: Tidegate, who: str) -> None:
    homes = [asked_of(gateway, "sticky", 4, **{who: f"{who} {number}"}) for number in range(30)]

    assert all(len(home) == 1 for home in homes)
    assert set().union(*homes) == {"a", "b", "c"}


def test_of_thread_and_user_the_thread_counts(gateway: Tidegate) -> None:
    for number in range(8):
        (home,) = asked_of(gateway, "sticky", 1, thread=f"t {number}")
        assert set(asked_of(gateway, "sticky", 2, thread=f"t {number}", user="ada")) == {home}


def test_nobody_sticks_to_nothing(gateway: Tidegate) -> None:
    assert set(asked_of(gateway, "sticky", 40)) == {"a", "b", "c"}


# variants


def test_a_user_without_a_thread_stays_with_a_variant_and_the_record_has_what_it_was(
    gateway: Tidegate,
) -> None:
    seen: dict[str, str] = {}
    for number in range(16):
        headers = {"x-tidegate-user-id": f"user {number}"}
        drawn = {
            call(gateway, "tried", event=f"tried-{number}", headers=headers).headers["x-tidegate-variant"]
            for _ in range(3)
        }
        assert len(drawn) == 1
        seen[drawn.pop()] = f"tried-{number}"

    assert set(seen) == {"cold", "other"}
    for variant, event in seen.items():
        row = gateway.await_calls(3, event_id=event)[0]
        found = gateway.get(f"/api/calls/{row['call_id']}").json()
        assert found["variant"] == variant
        assert found["parameters"] == ({"temperature": 0} if variant == "cold" else {})


def test_the_report_has_the_variants(gateway: Tidegate) -> None:
    report = gateway.get("/api/routes").json()["routes"]

    shown = [(way["variant"], way["deployment"], way["weight"]) for way in report if way["role"] == "variant"]
    assert sorted(shown) == [("cold", "", 1), ("never", "p/never", 0), ("other", "p/b", 1)]


# refusals


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_sick_key_makes_way_and_is_left_alone(gateway: Tidegate, place: Place, status: int) -> None:
    assert ask(gateway, f"sick-{status}", f"sick-{status}") == "a"
    assert asked_of(gateway, f"sick-{status}", 4) == {"a": 4}
    assert [model for model, _ in place.asked].count(f"sick-{status}") == 1


def test_a_prompt_that_a_filter_refuses_goes_where_it_passes(gateway: Tidegate, place: Place) -> None:
    assert ask(gateway, "strict", "strict") == "mild"
    assert place.models("strict") == ["strict", "mild"]


def test_a_pause_is_kept_to_within_a_tenth_in_each_form_it_is_asked_for(gateway: Tidegate) -> None:
    with ThreadPoolExecutor(len(FORMS)) as pool:
        began = time.monotonic()
        said = list(pool.map(lambda form: ask(gateway, f"p/limited-{form}", form), FORMS))
        assert time.monotonic() - began < 60

    assert said == [f"limited-{form}" for form in FORMS]
    for form in FORMS:
        (row,) = gateway.await_calls(1, event_id=form)
        first, second = row["attempts"]
        pause_s = (second["started_us"] - first["ended_us"]) / 1e6
        assert PAUSE_S <= pause_s <= PAUSE_S * 1.1 + OVERSLEPT_S, form
