"""Settings of guardrails, cache and sealing that cannot be meant."""

from __future__ import annotations

import pytest

from gateway.guard_faults import guard_faults
from gateway.settings import Cache, CacheRule, Encryption, Guardrail, Settings

GOOD = (
    Guardrail(name="a", check="secrets", action="redact"),
    Guardrail(name="b", check="pii", kinds=("email",), keys=("k-*",)),
    Guardrail(name="c", check="words", patterns=(r"(?i)proj-\d+",)),
    Guardrail(name="d", check="prompt_tokens", when=("request",), max_tokens=10),
    Guardrail(name="e", check="tools", when=("request",), tools=("x",), action="flag"),
    Guardrail(name="f", check="http", url="https://host/check", headers={"authorization": "Bearer x"}),
)


def test_what_is_right_has_no_fault() -> None:
    settings = Settings(
        guardrails=GOOD, cache=Cache(rules=(CacheRule(),)), encryption=Encryption(projects=("p",))
    )
    assert list(guard_faults(settings)) == []


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        (Guardrail(name=" ", check="pii"), "name"),
        (Guardrail(name="x", check="pii", words=("w",)), "words"),
        (Guardrail(name="x", check="secrets", url="http://h"), "url"),
        (Guardrail(name="x", check="pii", when=()), "when"),
        (Guardrail(name="x", check="tools"), ""),
        (Guardrail(name="x", check="tools", when=("answer",)), "when"),
        (Guardrail(name="x", check="tools", when=("request",), action="redact"), "action"),
        (Guardrail(name="x", check="words"), "words"),
        (Guardrail(name="x", check="words", patterns=("(?=a)",)), "patterns"),
        (Guardrail(name="x", check="words", patterns=("a{1000}{1000}{1000}",)), "patterns"),
        (Guardrail(name="x", check="prompt_tokens", when=("request",)), "max_tokens"),
        (Guardrail(name="x", check="http", url="ftp://h"), "url"),
        (Guardrail(name="x", check="http", url="http://h", timeout_s=0), "timeout_s"),
        (Guardrail(name="x", check="http", url="http://h", headers={"a": "b\n"}), "headers"),
        (Guardrail(name="x", check="pii", routes=("",)), "routes"),
    ],
)
def test_a_fault_is_named_where_it_stands(wrong: Guardrail, place: str) -> None:
    found = [where for where, _, _ in guard_faults(Settings(guardrails=(wrong,)))]
    assert found == ([("guardrails", "0", place, *found[0][3:])] if place else [])


def test_two_guardrails_may_not_share_a_name() -> None:
    (found,) = guard_faults(Settings(guardrails=(GOOD[0], GOOD[0])))
    assert found[0] == ("guardrails", "1", "name")


def test_sizes_times_and_patterns_are_looked_at() -> None:
    cache = Cache(max_mb=0, max_answer_kb=0, rules=(CacheRule(ttl_s=0, keys=("",)),))
    found = guard_faults(Settings(cache=cache, encryption=Encryption(projects=(" ",))))
    assert [where for where, _, _ in found] == [
        ("cache", "max_mb"),
        ("cache", "max_answer_kb"),
        ("cache", "rules", "0", "ttl_s"),
        ("cache", "rules", "0", "keys"),
        ("encryption", "projects", "0"),
    ]
