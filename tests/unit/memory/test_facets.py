from __future__ import annotations

import pytest

from memory.facets import facets_of, keeps, names, numbers
from memory.polarity import is_negative


def test_numbers_are_read_in_any_digits():
    assert numbers("On 2026-11-22 at 10:30 I paid 1,5 for ٣ of ５") == {
        "2026-11-22",
        "10:30",
        "1.5",
        "3",
        "5",
    }


def test_names_are_capitals_inside_a_sentence():
    assert names("My sister Mia met Dr. Ana-Lu at ACME. Then she left.") == {"mia", "dr", "ana lu", "acme"}
    assert names("Berlin is big") == set()
    assert names("Mia's dog") == set()
    assert names("the iPhone") == {"iphone"}


@pytest.mark.parametrize("text", ["I do not smoke", "I don't", "Ich rauche nicht", "我不喜欢茶", "никогда"])
def test_denials_are_noticed(text):
    assert is_negative(text)


@pytest.mark.parametrize("text", ["I smoke", "a knot", "Notebook", "Ich rauche"])
def test_other_words_are_no_denials(text):
    assert not is_negative(text)


def test_what_replaces_a_text_keeps_its_numbers_and_names():
    assert keeps("User has a dog Rex, 3", ["Rex"], "User's brown dog Rex is 3 and small")
    assert not keeps("User has a dog Rex, 3", ["Rex"], "User has a dog Rex")
    assert not keeps("User has a dog Rex, 3", ["Rex"], "User has a dog, 3")
    assert not keeps("user has a dog rex", ["Rex"], "user has a dog rexona")


def test_facets_agree_for_paraphrases_alone():
    assert facets_of("User owns 2 cats") == facets_of("User has 2 cats")
    assert facets_of("User owns 2 cats") != facets_of("User owns 3 cats")
    assert facets_of("met her", ["Mia"]) != facets_of("met her", ["Ana"])
    assert facets_of("likes it") != facets_of("likes it", negative=True)
