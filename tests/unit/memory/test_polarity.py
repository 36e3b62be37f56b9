from __future__ import annotations

import pytest

from memory.polarity import clauses, is_negative


@pytest.mark.parametrize(
    "text",
    [
        "I don’t eat meat", "I never fly", "I no longer smoke", "Ich esse kein Fleisch", "Je ne fume pas", "No fumo",
        "Non fumo", "Não fumo", "Я не курю", "我不抽烟", "タバコは吸いません", "담배를 안 피워요", "أنا لا أدخن", "I hate fish",
        "我没有孩子", "魚が嫌いです",
    ],
)  # fmt: skip
def test_denials_are_heard_in_every_language(text: str) -> None:
    assert is_negative(text)


@pytest.mark.parametrize(
    "text",
    ["I eat meat", "Ich esse Fleisch", "Je fume", "Fumo", "Я курю", "我抽烟", "不过我喜欢茶", "タバコを吸います", "أنا أدخن", "Norway is north"],
)  # fmt: skip
def test_what_is_affirmed_is_not_denied(text: str) -> None:
    assert not is_negative(text)


def test_clauses_end_at_marks_and_conjunctions() -> None:
    text = "I live in Paris, not Berlin, and I work at Acme. 我住北京，但我喜欢上海。"
    found = [text[start:end] for start, end in clauses(text)]

    assert found == ["I live in Paris", "not Berlin", "I work at Acme", "我住北京", "我喜欢上海"]


def test_an_abbreviation_ends_no_clause() -> None:
    text = "I live in St. Louis"
    assert [text[start:end] for start, end in clauses(text)] == [text]
