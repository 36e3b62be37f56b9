"""Which guardrails hold for whom."""

from __future__ import annotations

from gateway.guardrails.rules import Rules
from gateway.settings import Guardrail


def names(rules: Rules, project: str = "p", key: str = "k", route: str = "m") -> list[str]:
    return [guard.settings.name for guard in rules.of(project, key, route)]


def test_they_hold_for_the_keys_projects_and_routes_that_are_named_in_their_order() -> None:
    rules = Rules(
        (
            Guardrail(name="all", check="secrets"),
            Guardrail(name="key", check="pii", keys=("k*",)),
            Guardrail(name="route", check="pii", routes=("smart", "openai/*")),
            Guardrail(name="both", check="words", words=("x",), projects=("p",), keys=("other",)),
        ),
        {},
    )
    assert names(rules) == ["all", "key"]
    assert names(rules, key="other", route="openai/gpt-5") == ["all", "route", "both"]
    assert names(rules, project="q", key="other") == ["all"]
    assert rules.of("p", "k", "m") is rules.of("p", "k", "m")
    assert rules.any


def test_who_names_none_has_none() -> None:
    rules = Rules((), {})
    assert (rules.any, rules.of("p", "k", "m")) == (False, ())


def test_whoever_asks_for_how_many_names_there_is_a_bound() -> None:
    rules = Rules((Guardrail(name="all", check="secrets"),), {})
    for number in range(5000):
        rules.of("p", "k", str(number))
    assert len(rules._known) <= 4096
