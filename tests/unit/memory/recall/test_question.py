from __future__ import annotations

import pytest

from memory.recall.question import asked, names_in
from memory.sparse import terms

PEOPLE = ["Ann Lee", "Will", "小明"]


@pytest.mark.parametrize(
    ("text", "said", "about"),
    [
        ("Where did Ann Lee grow up?", "Where did I grow up?", {"Ann Lee"}),
        ("What is Ann's dog called?", "What is my dog called?", {"Ann Lee"}),
        ("Did Ann meet Will?", "Did I meet I?", {"Ann Lee", "Will"}),
        ("Who will come to Annecy?", "Who will come to Annecy?", set()),
        ("小明喜欢什么？", "喜欢什么？", {"小明"}),
    ],
)
def test_who_is_asked_about_says_it_in_the_first_person(text, said, about):
    found = asked(text, PEOPLE)
    assert (found.text, found.speakers) == (said, about)
    assert found.terms == terms(said)


def test_where_nobody_has_a_name_the_question_stays():
    assert asked("Where did Ann grow up?", []).text == "Where did Ann grow up?"


def test_runs_of_words_may_be_names():
    found = names_in("Does the Red Fox know 王小明?")
    assert {"fox", "red fox", "the red fox", "小明", "王小明"} <= set(found)


def test_a_long_question_has_only_so_many():
    assert len(names_in("word " * 5000)) < 10
    assert len(names_in(" ".join(map(str, range(5000))))) == 300
