from __future__ import annotations

import pytest

from memory.jobs import JobTurn
from memory.slots import MOST_CHARACTERS, slots_of


def turn(text: str, *, role: str = "user") -> JobTurn:
    return JobTurn(
        memory_id="m",
        call_id="call",
        message_index=3,
        event_id="",
        role=role,
        text=text,
        occurred_at_us=7,
    )


def slots(text: str) -> list[tuple[str, str, bool]]:
    return [(one.predicate, one.object, one.negative) for one in slots_of(turn(text), "t")]


@pytest.mark.parametrize(
    ("text", "predicate", "thing"),
    [
        ("Hi, my name is Ana Maria.", "name", "Ana Maria"),
        ("call me Sam", "name", "Sam"),
        ("Ich heiße Jürgen", "name", "Jürgen"),
        ("Je m'appelle Zoé", "name", "Zoé"),
        ("Me llamo Ana", "name", "Ana"),
        ("Mi chiamo Luca", "name", "Luca"),
        ("Меня зовут Иван", "name", "Иван"),
        ("我叫王伟", "name", "王伟"),
        ("私の名前は田中です", "name", "田中"),
        ("제 이름은 민수입니다", "name", "민수"),
        ("اسمي أحمد", "name", "أحمد"),
        ("I live in New York.", "lives_in", "New York"),
        ("I live in St. Louis.", "lives_in", "St. Louis"),
        ("Ich wohne in Köln", "lives_in", "Köln"),
        ("J’habite à Lyon", "lives_in", "Lyon"),
        ("Vivo en Sevilla", "lives_in", "Sevilla"),
        ("Abito a Torino", "lives_in", "Torino"),
        ("Moro em Lisboa", "lives_in", "Lisboa"),
        ("Я живу в Москве", "lives_in", "Москве"),
        ("我住在北京", "lives_in", "北京"),
        ("東京に住んでいます", "lives_in", "東京"),
        ("저는 서울에 살아요", "lives_in", "서울"),
        ("أنا أعيش في القاهرة", "lives_in", "القاهرة"),
        ("I work at Toyota", "works_at", "Toyota"),
        ("Ich arbeite bei Siemens", "works_at", "Siemens"),
        ("I'm severely allergic to peanuts", "allergic_to", "peanuts"),
        ("Ich bin gegen Nüsse allergisch", "allergic_to", "Nüsse"),
        ("我对花生过敏", "allergic_to", "花生"),
        ("ピーナッツアレルギーがあります", "allergic_to", "ピーナッツ"),
        ("لدي حساسية من الفول", "allergic_to", "الفول"),
        ("My birthday is May 3", "birthday", "May 3"),
        ("my time zone is Europe/Berlin", "timezone", "Europe/Berlin"),
        ("my native language is Dutch", "native_language", "Dutch"),
        ("I am vegetarian", "diet", "vegetarian"),
        ("I really love green tea", "likes", "green tea"),
    ],
)
def test_what_is_said_in_so_many_words_is_found(text: str, predicate: str, thing: str) -> None:
    assert slots(text) == [(predicate, thing, False)]


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("I don't like coffee", "coffee"),
        ("I hate Mondays", "Mondays"),
        ("Ich mag keinen Kaffee", "Kaffee"),
        ("Ich mag Tomaten nicht", "Tomaten"),
        ("Je n'aime pas le café", "café"),
        ("No me gusta el pescado", "pescado"),
        ("Não gosto de peixe", "peixe"),
        ("Я не люблю рыбу", "рыбу"),
    ],
)
def test_a_dislike_is_a_denied_liking(text: str, thing: str) -> None:
    assert slots(text) == [("likes", thing, True)]


@pytest.mark.parametrize(
    "text",
    [
        "Do I live in Paris?",
        "If I live in Paris, I am happy",
        "She said I live in Paris",
        "I used to live in Paris",
        "I don't live in Paris",
        "I no longer live in Paris",
        "I would live in Paris",
        "I live in fear",
        '"I live in Rome"',
        "> I live in Rome",
        "The character says: I live in Mordor",
        "Call me Monday",
        "I like to swim",
        "I love you",
        "I love the way you talk",
        "People think I am allergic to work",
        "Translate: 'I live in Rome'",
        "Suppose my name is Bob",
        "我不住在北京",
        "如果我住在北京",
    ],
)
def test_what_may_mean_something_else_is_left_alone(text: str) -> None:
    assert slots(text) == []


def test_each_clause_of_a_turn_counts_with_its_exact_words() -> None:
    found = slots_of(turn("Hello! I live in Lisbon, but I work at Acme. I don't like tea."), "thread")

    assert [(one.text, one.evidence[0].quote) for one in found] == [
        ("I live in Lisbon", "I live in Lisbon"),
        ("I work at Acme", "I work at Acme"),
        ("I don't like tea", "I don't like tea"),
    ]
    assert {(one.evidence[0].call_id, one.evidence[0].message_index) for one in found} == {("call", 3)}
    assert {one.evidence[0].thread_id for one in found} == {"thread"}
    assert {(one.subject, one.trust, one.op, one.occurred_at_us) for one in found} == {
        ("user", "user", "ADD", 7)
    }


def test_neither_documents_nor_other_speakers_are_read() -> None:
    assert slots_of(turn("I live in Lisbon. " + "x" * MOST_CHARACTERS), "") == []
    assert slots_of(turn("I live in Lisbon", role="assistant"), "") == []
