"""Denied words and patterns."""

from __future__ import annotations

import pytest

from gateway.guardrails.denied import MOST_HELD, DeniedPatterns, DeniedWords, Several

WORDS = DeniedWords(("foo", "bad word", "bad", "\u8c22\u8c22", "C++"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a FOO.", ["FOO"]),
        ("food for fools", []),
        ("a bad\nword", ["bad\nword"]),
        ("bad words", ["bad"]),
        ("\u597d\u8c22\u8c22\u5427", ["\u8c22\u8c22"]),
        ("c++11", ["c++"]),
        ("\u0130 foo", ["foo"]),
    ],
)
def test_a_word_counts_whatever_its_case_but_not_inside_another(text: str, said: list[str]) -> None:
    assert [text[match.start : match.end] for match in WORDS.find(text)] == said


def test_patterns_count_characters_and_not_bytes() -> None:
    (match,) = DeniedPatterns((r"(?i)proj-\d{3,}",)).find("\u00e9\u00e9 PROJ-1234")
    assert (match.start, match.end) == (3, 12)


def test_a_pattern_that_would_explode_elsewhere_takes_no_time() -> None:
    assert DeniedPatterns((r"(a+)+$",)).find("a" * 100_000 + "b") == []


def test_as_much_is_held_as_what_is_looked_for_is_long() -> None:
    both = Several(WORDS, DeniedPatterns(("x+",)))
    text = "y" * 1000
    assert len(text) - WORDS.open_from(text) == len("bad word") + 1
    assert len(text) - both.open_from(text) == MOST_HELD
    assert DeniedWords(()).open_from(text) == DeniedPatterns(()).open_from(text) == len(text)
    assert DeniedWords(()).find(text) == []
