"""The SQL of filters: made of our own texts, and nothing that anybody sent."""

from __future__ import annotations

import pytest

from telemetry.questions.filters import FILTERS, in_calls, in_rollup, rollup_has
from telemetry.questions.scope import DAY_US, Range, Scope

EVIL = "' OR 1=1 --"
WHO = Scope("p1", "prod")


def test_what_somebody_sent_is_a_parameter_and_never_text() -> None:
    filters = dict.fromkeys(FILTERS, EVIL) | {f"property:{EVIL}": EVIL}
    filters |= {name: 1 for name, told in FILTERS.items() if told.parameter != "String"}  # type: ignore[misc]
    where = in_calls(WHO, Range(), filters)
    assert EVIL not in where.text
    assert {name for name, value in where.parameters.items() if value == EVIL} >= {"f_tag", "f_model"}


@pytest.mark.parametrize("name", ["project", "environment"])
def test_a_filter_never_takes_the_place_of_the_scope(name: str) -> None:
    for where in (in_calls(WHO, Range(), {name: "other"}), in_rollup(WHO, Range(0, DAY_US), {name: "other"})):
        assert where.parameters[name] == getattr(WHO, name)
        assert "project = {project:String}" in where.text
        assert "environment = {environment:String}" in where.text


def test_the_index_that_finds_fewest_is_asked() -> None:
    filters = {"user_id": "u", "tag": "t", "property:a": "b"}
    assert in_calls(WHO, Range(), filters).parameters["index_key"] == "property:a"
    assert in_calls(WHO, Range(), {**filters, "event_id": "e"}).parameters["index_key"] == "event_id"
    assert "span_index" not in in_calls(WHO, Range(), {"status": "ok"}).text


def test_the_rollup_is_enough_for_what_it_has() -> None:
    assert rollup_has({"user_id": "u", "key_id": "k", "provider": "p", "kind": "llm"})
    assert not rollup_has({"user_id": "u", "model": "m"})
    assert not rollup_has({"property:user_id": "u"})


def test_whole_days_are_told_from_moments() -> None:
    assert Range(0, DAY_US).whole_days
    assert not Range(1, DAY_US).whole_days
    assert Range(0, 2 * DAY_US).days == ("1970-01-01", "1970-01-02")
