from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.grounding import (
    addresses,
    is_said,
    language_of,
    locate,
    names,
    numbers,
    script_of,
    share_said,
    stems_of,
)


@pytest.mark.parametrize(
    ("quote", "source", "found"),
    [
        ("I can't stand it", "Well, I can’t  stand\nit.", "I can’t  stand\nit"),
        ("café", "the cafe\u0301 here", "cafe\u0301"),
        ("ＡＢＣ", "take ABC now", "ABC"),
        ("서울", unicodedata.normalize("NFD", "저는 서울에"), unicodedata.normalize("NFD", "서울")),
        ("ﬁsh", "I eat fish", "fish"),
    ],
)
def test_a_quote_is_found_in_the_sources_own_characters(quote: str, source: str, found: str) -> None:
    span = locate(quote, source)

    assert span is not None
    assert source[slice(*span)] == found


@pytest.mark.parametrize("quote", ["", " ", "i live in paris", "live  in Rome", "Paris I live"])
def test_what_was_not_said_is_not_found(quote: str) -> None:
    assert locate(quote, "I live in Paris") is None


@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=40))
def test_every_part_of_a_text_is_found_in_it(before: str, quote: str, after: str) -> None:
    source = unicodedata.normalize("NFC", f"{before} {quote} {after}")
    part = unicodedata.normalize("NFC", quote).strip()
    if part and unicodedata.normalize("NFKC", part).strip() and not unicodedata.combining(part[0]):
        span = locate(part, source)
        assert span is None or 0 <= span[0] < span[1] <= len(source)


def test_numbers_are_equal_however_they_are_written() -> None:
    assert numbers("4,500 euros, ٣ apples, 3.11, room 007") == {"4500", "3", "3.11", "7"}


def test_addresses_are_told() -> None:
    found = addresses("Mail A.B@x.org or see https://x.org/a, not y")
    assert {"a.b@x.org", "https://x.org/a"} <= found
    assert not any("y" in one for one in found)


def test_names_are_what_a_capital_begins_inside_a_text() -> None:
    assert names("User's sister Anna met Bob") == ["anna", "bob"]


def test_words_count_as_said_in_any_form() -> None:
    stems = stems_of(["I have two dogs and went hiking"])

    assert is_said("dog", "", stems)
    assert not is_said("cat", "", stems)
    assert share_said("User has dogs and a cat", stems) == 0.5
    assert share_said("User", stems) == 1.0


@pytest.mark.parametrize(
    ("text", "script"),
    [("hello", "Latin"), ("привет", "Cyrillic"), ("你好", "Han"), ("東京に住む", "Kana"), ("서울", "Hangul"), ("أهلا", "Arabic"), ("12!", "")],
)  # fmt: skip
def test_the_script_of_a_text_is_that_of_its_letters(text: str, script: str) -> None:
    assert script_of(text) == script


def test_a_language_is_told_by_its_small_words_or_not_at_all() -> None:
    assert language_of("the user is a nurse and has two cats") == "en"
    assert language_of("der Nutzer ist Arzt und hat zwei Katzen") == "de"
    assert language_of("Toyota") == ""
