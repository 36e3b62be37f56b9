from __future__ import annotations

from typing import Any

from rich.console import Console

from gateway import routes_table
from gateway.routes_table import Report, Way


def way(**said: Any) -> Way:
    usual: dict[str, Any] = {
        "route": "smart",
        "strategy": "weighted",
        "deployment": "openai/gpt",
        "role": "deployment",
        "weight": 3,
        "state": "closed",
        "failure_ratio": 0.125,
        "latency_ms": 210.4,
        "cooldown_s": 0,
        "in_flight": 2,
    }
    return Way(**{**usual, **said})


def drawn(*ways: Way) -> str:
    console = Console(width=160)
    with console.capture() as shown:
        console.print(routes_table.build(Report(slot=1, routes=list(ways))))
    return shown.get()


def test_a_line_says_how_a_deployment_does() -> None:
    line = drawn(way()).splitlines()[-1]

    for said in ("smart", "openai/gpt", "weighted, weight 3", " ok ", "12.5%", "210 ms", "2"):
        assert said in line


def test_one_that_is_left_alone_says_for_how_long() -> None:
    shown = drawn(way(cooldown_s=7.5), way(state="half_open"), way(state="open"))

    assert "cooling" in shown
    assert "7.5 s" in shown
    assert "trying again" in shown
    assert "failing" in shown
    assert "closed" not in shown + drawn(way())


def test_the_route_is_named_once_and_what_comes_later_says_when() -> None:
    shown = drawn(way(), way(role="fallback"), way(role="context_window"))

    assert shown.count("smart") == 1
    assert "when the others fail" in shown
    assert "for the context window" in shown


def test_a_variant_says_its_name_and_share() -> None:
    shown = drawn(way(role="variant", variant="cold", deployment=""), way(role="variant", variant="[b]"))

    assert "as the route" in shown
    assert "variant cold, weight 3" in shown
    assert "variant [b], weight 3" in shown


def test_a_name_is_no_markup() -> None:
    assert "[red]x[/red]" in drawn(way(deployment="[red]x[/red]"))


def test_nothing_to_show_is_said() -> None:
    assert "nothing was asked for yet" in drawn()
