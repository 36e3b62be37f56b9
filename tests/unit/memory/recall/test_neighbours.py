from __future__ import annotations

import pytest

from memory.recall.neighbours import asks, shared

NONE: frozenset[str] = frozenset()


def test_the_turn_after_gets_more_than_the_turn_before():
    evidence = {"before": 0.0, "hit": 1.0, "after": 0.0}
    found = shared(evidence, NONE, {"hit": [(-1, "before"), (1, "after")]})
    assert found["after"] > found["before"] > 0
    assert found["hit"] == 1.0


def test_both_directions_count_once_however_often_they_are_named():
    evidence = {"a": 1.0, "b": 0.5}
    once = shared(evidence, NONE, {"a": [(1, "b")]})
    assert once == shared(evidence, NONE, {"a": [(1, "b")], "b": [(-1, "a")]})


def test_an_answer_gets_more_of_the_question_before_it():
    evidence = {"q": 1.0, "a": 0.0}
    plain = shared(evidence, NONE, {"q": [(1, "a")]})
    assert shared(evidence, frozenset("q"), {"q": [(1, "a")]})["a"] > plain["a"]


def test_who_is_no_candidate_neither_gives_nor_takes():
    assert shared({"a": 1.0}, NONE, {"a": [(1, "gone")], "gone": [(-1, "a")]}) == {"a": 1.0}


@pytest.mark.parametrize("text", ["Really?", "你好吗？", "كيف حالك؟", 'She said "when?"'])
def test_a_question_is_known_in_any_script(text):
    assert asks(text)
    assert not asks(text + " I see.")
