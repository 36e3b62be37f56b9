from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.when import names_a_date, spans_of, words_of
from tests.fakes.memory_reading import SUNDAY_US


def spans(text: str) -> list[str]:
    return [f"{one.start}/{one.end}" for one in spans_of(text, SUNDAY_US)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("yesterday", "2026-11-21/2026-11-22"),
        ("last month", "2026-10-01/2026-11-01"),
        ("next week", "2026-11-23/2026-11-30"),
        ("last year", "2025-01-01/2026-01-01"),
        ("three weeks ago", "2026-11-01/2026-11-02"),
        ("in 2 days", "2026-11-24/2026-11-25"),
        ("on May 3", "2026-05-03/2026-05-04"),
        ("May 3rd, 2019", "2019-05-03/2019-05-04"),
        ("3. Mai 2020", "2020-05-03/2020-05-04"),
        ("le 3 mai 2020", "2020-05-03/2020-05-04"),
        ("3 de mayo de 2020", "2020-05-03/2020-05-04"),
        ("3 мая 2020", "2020-05-03/2020-05-04"),
        ("2019", "2019-01-01/2020-01-01"),
        ("2026-05-03", "2026-05-03/2026-05-04"),
        ("on Friday", "2026-11-27/2026-11-28"),
        ("5月3日", "2026-05-03/2026-05-04"),
        ("2020年5月", "2020-05-01/2020-06-01"),
        ("去年", "2025-01-01/2026-01-01"),
        ("五年前", "2021-01-01/2022-01-01"),
        ("昨日", "2026-11-21/2026-11-22"),
        ("어제", "2026-11-21/2026-11-22"),
        ("أمس", "2026-11-21/2026-11-22"),
        ("vor zwei Jahren", "2024-01-01/2025-01-01"),
        ("вчера", "2026-11-21/2026-11-22"),
        ("через три дня", "2026-11-25/2026-11-26"),
        ("la semaine dernière", "2026-11-09/2026-11-16"),
    ],
)
def test_the_words_for_a_time_mean_days(text: str, first: str) -> None:
    assert spans(text)[0] == first


def test_each_reading_of_an_ambiguous_date_counts() -> None:
    assert {"2025-04-03/2025-04-04", "2025-03-04/2025-03-05"} <= set(spans("3/4/2025"))
    assert {"2026-11-27/2026-11-28", "2026-11-20/2026-11-21"} <= set(spans("Friday"))


@pytest.mark.parametrize("text", ["", "hello", "31 February", "2026-02-30", "the day after", "99 thousand"])
def test_what_is_no_date_means_none(text: str) -> None:
    assert spans(text) == []


@given(st.text(max_size=60), st.integers(min_value=0, max_value=4_000_000_000_000_000))
def test_nothing_that_is_said_breaks_it(text: str, said_us: int) -> None:
    for span in spans_of(f"{text} 12 months ago, in 999 years", said_us):
        assert span.start < span.end


def test_a_date_may_be_written_in_any_way() -> None:
    (span, *_) = spans_of("yesterday", SUNDAY_US)

    assert {"2026", "11", "21", "november", "saturday", "samstag", "土曜日"} <= words_of(span)
    assert "22" not in words_of(span)
    assert names_a_date("march")
    assert not names_a_date("marc")
