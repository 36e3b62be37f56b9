"""Which limits hold for which calls, and who shares counters."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.limits.rules import Applied, LimitRule, Names, RuleBook, configured
from gateway.settings import Limit

PLAIN = Names("p", "ci", "ada", "red", "openai/gpt-5", "")


def found(limit: Limit, **names: str) -> Applied | None:
    return RuleBook(configured({"l": limit})).find(PLAIN._replace(**names))


def subject(limit: Limit, **names: str) -> str:
    applied = found(limit, **names)
    assert applied is not None
    return applied.parts[0].subject


def test_a_limit_holds_for_what_all_its_patterns_fit() -> None:
    limit = Limit(rpm=1, keys=("ci", "x-*"), users=("a*",), models=("openai/*",), teams=("red",))

    assert found(limit)
    for name, other in {"key": "cd", "user": "bob", "model": "anthropic/c", "team": "blue"}.items():
        assert found(limit, **{name: other}) is None
    assert found(Limit(rpm=1, routes=("smart",))) is None
    assert found(Limit(rpm=1, routes=("smart",)), route="smart")
    assert found(Limit(rpm=1, project="q")) is None


def test_each_of_those_it_is_per_has_counters_of_its_own() -> None:
    by_user, shared = Limit(rpm=1, per=("user",)), Limit(rpm=1, users=("*",))

    assert subject(by_user, user="bob") != subject(by_user)
    assert subject(by_user, key="other", model="other") == subject(by_user)
    assert subject(shared, user="bob", project="q") == subject(shared)
    both = Limit(rpm=1, per=("user", "model"))
    assert len({subject(both), subject(both, user="bob"), subject(both, model="m")}) == 3


def test_users_and_teams_of_two_projects_are_not_the_same() -> None:
    for by in ("user", "team"):
        limit = msgspec.convert({"rpm": 1, "per": [by]}, Limit)
        assert subject(limit, project="q") != subject(limit)
    assert subject(Limit(rpm=1, per=("model",)), project="q") == subject(Limit(rpm=1, per=("model",)))


def test_names_cannot_be_put_together_into_those_of_others() -> None:
    limit = Limit(rpm=1, per=("key", "user"))

    assert subject(limit, key="a", user="bc") != subject(limit, key="ab", user="c")
    assert len(subject(limit, user="x" * 255, key="\x00" * 255)) < 60


def test_calls_that_name_no_user_are_counted_together_and_those_without_a_team_not_at_all() -> None:
    assert found(Limit(rpm=1, per=("user",)), user="")
    assert found(Limit(rpm=1, per=("team",)), team="") is None
    assert found(Limit(rpm=1, per=("route",))) is None


def test_issued_rules_join_those_of_the_settings() -> None:
    book = RuleBook(configured({"l": Limit(rpm=9, tpm=70)}))
    issued = LimitRule("lim_1", "issued", Limit(tpm=50, when_away="refuse", per=("user",)))
    before, by_user = book.find(PLAIN), book.by_user
    book.take((issued,))
    after = book.find(PLAIN)

    assert before is not None
    assert after is not None
    assert ([rule.id for rule in before.rules], before.tpm, before.refuse_away) == (["config:l"], 70, None)
    assert ([rule.id for rule in after.rules], after.tpm, after.refuse_away) == (
        ["config:l", "lim_1"],
        50,
        issued,
    )
    assert (by_user, book.by_user) == (False, True)
    book.take(())
    assert book.find(PLAIN) == before


def test_a_book_remembers_only_so_many(monkeypatch: Any) -> None:
    monkeypatch.setattr("gateway.limits.rules._MOST_KNOWN", 3)
    book = RuleBook(configured({"l": Limit(rpm=1, per=("user",))}))
    for number in range(10):
        assert book.find(PLAIN._replace(user=str(number)))

    assert len(book._found) <= 3
    assert RuleBook().empty
