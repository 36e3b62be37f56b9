from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from memory.temporal import Time, Window, time_of

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday
NOW_US = round(NOW.timestamp() * 1e6)
EPOCH = date(1970, 1, 1)


def days(question: str) -> list[tuple[str, str]]:
    """Return the first and the last day of each window."""
    return [
        (_day(window.start_us).isoformat(), (_day(window.end_us) - timedelta(days=1)).isoformat())
        for window in time_of(question, NOW_US).windows
    ]


def _day(at_us: int) -> date:
    return EPOCH + timedelta(microseconds=at_us)


@pytest.mark.parametrize(
    ("question", "first", "last"),
    [
        ("What did I do on 7 May 2023?", "2023-05-07", "2023-05-07"),
        ("What did I do in May 2023?", "2023-05-01", "2023-05-31"),
        ("What happened in 2022?", "2022-01-01", "2022-12-31"),
        ("What did I say yesterday?", "2026-11-17", "2026-11-17"),
        ("Where was I last week?", "2026-11-09", "2026-11-15"),
        ("What did we plan last weekend?", "2026-11-14", "2026-11-15"),
        ("Where did I go last summer?", "2026-06-01", "2026-08-31"),
        ("Where did I go in summer 2021?", "2021-06-01", "2021-08-31"),
        ("What did I read last winter?", "2025-12-01", "2026-02-28"),
        ("What have I been up to lately?", "2026-10-19", "2026-11-18"),
        ("我上个月去了哪里？", "2026-10-01", "2026-10-31"),
        ("我昨天说了什么？", "2026-11-17", "2026-11-17"),
        ("2023年5月に何をした？", "2023-05-01", "2023-05-31"),
        ("先週どこに行った？", "2026-11-09", "2026-11-15"),
        ("ماذا فعلت اليوم؟", "2026-11-18", "2026-11-18"),
        ("Was habe ich letzte Woche gesagt?", "2026-11-09", "2026-11-15"),
        ("Was war im Mai 2023?", "2023-05-01", "2023-05-31"),
        ("Qu'ai-je fait le mois dernier ?", "2026-10-01", "2026-10-31"),
        ("¿Qué hice el año pasado?", "2025-01-01", "2025-12-31"),
        ("What did I do three days ago?", "2026-11-15", "2026-11-15"),
    ],
)
def test_a_time_in_words_is_a_window(question, first, last):
    assert (first, last) in days(question)
    assert time_of(question, NOW_US).intent in ("as_of", "none")


@pytest.mark.parametrize(
    "question",
    [
        "How is my dog called?",
        "What may I eat?",
        "Did they march there?",
        "Wer ist hier der Chef?",
        "May I have my list?",
        "我的狗叫什么？",
        "",
    ],
)
def test_where_no_time_is_named_none_is_found(question):
    assert time_of(question, NOW_US) == Time()


def test_a_month_without_a_year_may_be_that_of_any_recent_one():
    assert days("What did I do in July?")[:2] == [("2026-07-01", "2026-07-31"), ("2025-07-01", "2025-07-31")]


def test_before_and_after_open_the_window():
    (before,) = time_of("Where did I live before 2020?", NOW_US).windows
    assert (before.start_us, _day(before.end_us)) == (0, date(2020, 1, 1))
    (after,) = time_of("Where did I live after 2020?", NOW_US).windows
    assert _day(after.start_us) == date(2021, 1, 1)
    assert after.end_us > NOW_US
    (since,) = time_of("What did I write since May 2023?", NOW_US).windows
    assert _day(since.start_us) == date(2023, 5, 1)


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("Where did I use to live?", "none"),
        ("Where do I live now?", "current"),
        ("Where I used to live?", "past"),
        ("Wo habe ich früher gewohnt?", "past"),
        ("我以前住在哪里？", "past"),
        ("昔どこに住んでいた？", "past"),
        ("¿Dónde vivía anteriormente?", "past"),
        ("Où habitais-je autrefois ?", "past"),
        ("Where do I plan to move?", "future"),
        ("What is on tomorrow?", "future"),
        ("Wo wohne ich jetzt?", "current"),
        ("我现在住在哪里？", "current"),
        ("Where did I live in 2019?", "as_of"),
        ("How is my dog called?", "none"),
    ],
)
def test_what_a_question_looks_at(question, intent):
    found = time_of(question, NOW_US)
    assert found.intent == intent
    assert found.looks_back == (intent in ("past", "as_of"))


def test_nearness_is_whole_inside_and_fades_outside():
    time = Time("as_of", (Window(1000, 2000),))
    assert time.nearness(1500) == 1
    assert time.nearness(2000) == pytest.approx(1)
    assert time.nearness(2000 + 7 * 86_400_000_000) == pytest.approx(0.37, abs=0.01)
    assert time.nearness(999) == pytest.approx(0.5)
    assert Time().nearness(5) == 0


def test_a_date_that_does_not_exist_is_none():
    assert time_of("What was on 2023-02-31?", NOW_US).windows == ()
