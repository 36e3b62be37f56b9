"""Words: how a question is read, and how what was found is shown."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.answers import Refusal
from telemetry.questions.search import MOST_WORDS, pattern, readable, words_of


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Harbour", ["harbour"]),
        ("  the-tide, THE Tide ", ["the", "tide"]),
        ("snake_case", ["snake", "case"]),
        ("Straße 5", ["straße", "5"]),
        ("'; DROP TABLE spans --", ["drop", "table", "spans"]),
    ],
)
def test_a_question_is_its_words_each_once(question: str, words: list[str]) -> None:
    assert words_of(question) == words


@pytest.mark.parametrize("question", ["", " - ", "_", "a" * 65, " ".join(map(str, range(MOST_WORDS + 1)))])
def test_nothing_and_too_much_are_refused(question: str) -> None:
    with pytest.raises(Refusal) as refused:
        words_of(question)
    assert (refused.value.status, refused.value.param) == (400, "q")


def test_a_pattern_knows_how_json_may_write_a_letter() -> None:
    assert "(?:ü|\\\\u00fc|Ü|\\\\u00dc)" in pattern("ü")
    assert pattern("tide").startswith("(?i)")


@given(st.text())
def test_a_piece_of_json_is_shown_as_it_was_said(text: str) -> None:
    text = text.encode(errors="replace").decode()
    inside = msgspec.json.encode(text).decode()[1:-1]
    flat = "".join(" " if letter in "\n\r\t\b\f" else letter for letter in text)
    assert readable(inside) == flat


def test_half_an_emoji_is_no_error() -> None:
    assert readable("\\ud83d\\udc4b \\ud83d") == "👋 \ufffd"
