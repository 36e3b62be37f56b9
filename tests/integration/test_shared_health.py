"""What one worker learns of a deployment all of them know, as soon as there is a hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.callers import call
from tests.fakes.late_hub import SIGN
from tests.fakes.provider import Provider, Received, Script, chat, refusal
from tests.fakes.tidegate import Tidegate, eventually

CLOSED = refusal(429, "come back tomorrow", headers=(("retry-after", "50"),))
MODELS = ("before", "after")


def script(request: Received) -> Script:
    model = request.json()["model"] if request.method == "POST" else ""
    return CLOSED if model in MODELS else chat("fine")


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(script).in_thread() as started:
        yield started


def asked(provider: Provider, model: str) -> int:
    return sum(request.json()["model"] == model for request in provider.requests if request.method == "POST")


def cooldowns(house: Tidegate, model: str) -> dict[int, float]:
    """Ask until both workers answered; return for how long each leaves the model alone."""
    found: dict[int, float] = {}

    def look() -> bool:
        report = house.get("/api/routes").json()
        (way,) = [one for one in report["routes"] if one["deployment"] == f"p/{model}"]
        found[report["slot"]] = way["cooldown_s"]
        return len(found) == 2

    eventually(look, what="both workers to answer")
    return found


def hub_sink(house: Tidegate) -> Any:
    ready = house.get("/health/ready").json()
    return next(sink for sink in ready["sinks"] if sink["name"] == "hub")


def test_without_a_hub_at_the_start_calls_go_on_and_with_it_health_is_shared(
    tmp_path: Path, provider: Provider
) -> None:
    config = {
        "providers": {"p": {"base_url": provider.base_url, "api_key": "x"}},
        "routes": {
            model: {"deployments": [{"model": f"p/{model}"}, {"model": "p/fine"}]} for model in MODELS
        },
        "server": {"workers": 2, "drain_s": 1},
    }
    ours = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with Tidegate(tmp_path, config, module="tests.fakes.late_hub", env=ours) as house:
        assert call(house, "before", event="first").answered
        knowing = cooldowns(house, "before")
        assert sorted(seconds > 0 for seconds in knowing.values()) == [False, True]
        assert not hub_sink(house)["ok"]
        assert house.get("/health/ready").status == 200

        (house.data / SIGN).touch()
        eventually(
            lambda: all(cooldowns(house, "before").values()), what="both to know what one had found out"
        )
        for number in range(12):
            assert call(house, "before", event=f"before-{number}").answered
        assert asked(provider, "before") == 1

        assert call(house, "after", event="second").answered
        eventually(lambda: all(cooldowns(house, "after").values()), what="both to know of the second")
        assert asked(provider, "after") == 1
        assert hub_sink(house)["ok"]

        house.kill("hub")
        assert call(house, "after", event="third").answered
        house.kill("worker")
        eventually(
            lambda: all(cooldowns(house, "after").values()),
            what="a new worker to learn it from a new hub, and that from the old worker",
        )
        assert asked(provider, "after") == 1
