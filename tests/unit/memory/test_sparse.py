from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.sparse import essence, terms, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My dogs are called Rex", ["dog", "call", "rex"]),
        ("running, stopped; it's the cities' buses", ["run", "stop", "city", "bus"]),
        ("class of analysis, a bus", ["class", "analysis", "bus"]),
        ("Ärger mit Größe", ["ärger", "mit", "grösse"]),
        ("set max_retries to 5", ["set", "max_retries", "max", "retry", "5"]),
        ("我喜欢绿茶", ["我喜", "喜欢", "欢绿", "绿茶"]),
        ("猫", ["猫"]),
        ("東京タワー2024年", ["東京", "京タ", "タワ", "ワー", "2024", "年"]),
        ("한국어", ["한국", "국어"]),
        ("ﬁne", ["fin"]),
        ("", []),
        ("?!…", []),
    ],
)
def test_terms_follow_the_script(text, expected):
    assert list(words(text)) == [word.casefold() for word in expected]


@pytest.mark.parametrize(
    ("one", "other"),
    [("I love hiking", "we hiked"), ("two dogs", "a dog"), ("GREEN Tea", "green tea"), ("绿茶很好", "绿茶")],
)
def test_what_means_the_same_shares_terms(one, other):
    assert terms(one).keys() & terms(other).keys()


def test_stop_words_alone_are_no_terms():
    assert terms("what is it that you have, and why?") == {}


def test_terms_are_32_bit_numbers_with_their_counts():
    found = terms("tea, tea and more Tea")
    assert list(found.values()) == [3]
    assert all(0 <= term < 1 << 32 for term in found)


def test_an_essence_has_no_case_punctuation_or_spacing():
    assert essence("I live in  Lisbon.") == essence("i LIVE in: lisbon!")
    assert essence("I live in Lisbon") != essence("I lived in Lisbon")


@given(st.text())
def test_any_text_has_terms_and_an_essence(text):
    assert all(count > 0 for count in terms(text).values())
    assert essence(essence(text)) == essence(text)
