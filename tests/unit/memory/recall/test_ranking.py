from __future__ import annotations

from memory.recall.ranking import rank
from tests.fakes.candidates import GATE, NOBODY, candidate, numbers, order, question, ranked


def test_what_answers_comes_before_what_does_not():
    rex, tea, boat = candidate("my dog is called Rex"), candidate("I drink tea"), candidate("a blue boat")
    assert order(question("how is my dog called?"), tea, rex, boat)[0] == rex.id


def test_a_rare_word_weighs_more_than_a_common_one():
    common = [candidate(f"green thing number {number}") for number in range(20)]
    rare = candidate("purple thing")
    assert order(question("green purple", embedded=False), *common, rare)[0] == rare.id


def test_without_vectors_words_decide():
    tea, boat = candidate("tea", embedded=False), candidate("a blue boat", embedded=False)
    scored = ranked(question("tea", embedded=False), boat, tea)
    assert [(one.candidate.id, one.passes) for one in scored] == [("tea", True), ("a blue boat", False)]


def test_without_candidates_there_is_no_order():
    assert rank(question("tea"), [], numbers(), GATE, NOBODY) == []


def test_of_equals_the_newer_comes_first():
    old = candidate("my dog is called Rex", name="old", at_us=1)
    new = candidate("my dog is called Rex", name="new", at_us=2)
    assert order(question("dog"), old, new) == ["new", "old"]


def test_the_answer_to_a_matching_question_comes_first_although_it_shares_no_word():
    asked, answer = candidate("Where did you grow up, then?", name="q"), candidate("In Turin.", name="a")
    other = candidate("a blue boat", name="o", at_us=2)
    nearby = {"q": [(1, "a")], "a": [(-1, "q")]}
    assert order(question("Where did she grow up?"), other, asked, answer, nearby=nearby)[:2] == ["q", "a"]
    assert order(question("Where did she grow up?"), other, asked, answer) == ["q", "o", "a"]


def test_neighbours_pass_with_the_one_they_stand_beside():
    asked, answer = candidate("Where did you grow up?", name="q"), candidate("In Turin.", name="a")
    far = candidate("a blue boat", name="far")
    scored = ranked(question("grow up where"), asked, answer, far, nearby={"q": [(1, "a")]})
    assert {one.candidate.id for one in scored if one.passes} == {"q", "a"}
