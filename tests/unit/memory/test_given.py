from __future__ import annotations

from typing import Any

import pytest

from memory.errors import BadMemory
from memory.given import Statement, given, moment_of

AT_US = 1_683_554_160_000_000  # 2023-05-08 13:56 UTC


@pytest.mark.parametrize(
    "value",
    [
        1_683_554_160,
        1_683_554_160.0,
        1_683_554_160_000,
        "2023-05-08T13:56:00Z",
        "2023-05-08T13:56",
        "2023-05-08T15:56:00+02:00",
    ],
)
def test_a_time_is_seconds_milliseconds_or_written(value):
    assert moment_of(value) == AT_US


@pytest.mark.parametrize("value", ["last week", "", True, -1, None, [], float("inf"), 10**30])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(BadMemory):
        moment_of(value)


def test_a_message_says_who_said_it_and_when():
    message = {"role": "assistant", "name": " Ann ", "content": "Hello", "created_at": "2023-05-08T13:56Z"}
    assert given([message]) == [Statement("Hello", "assistant", "Ann", AT_US, "episode")]


def test_its_own_time_goes_before_that_of_all_and_of_the_metadata():
    messages: list[dict[str, Any]] = [{"content": "a", "timestamp": 1}, {"content": "b"}]
    found = given(messages, timestamp=2, metadata={"timestamp": 3})
    assert [one.occurred_at_us for one in found] == [1_000_000, 2_000_000]
    assert given("c", metadata={"created_at": 3})[0].occurred_at_us == 3_000_000


def test_a_time_among_the_callers_own_fields_that_cannot_be_read_is_none():
    assert given("a", metadata={"timestamp": "soon"})[0].occurred_at_us == 0
    assert given([{"content": "a", "created_at": None, "name": 5}]) == [Statement("a", kind="episode")]


def test_a_plain_text_is_a_fact_and_a_message_an_episode():
    assert given("I like tea")[0].kind == "fact"
    assert given({"content": "I like tea"})[0].kind == "episode"


def test_what_nobody_said_is_left_out():
    messages = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "Hi"},
        {"content": " "},
    ]
    assert [one.text for one in given(messages)] == ["Hi"]
    with pytest.raises(BadMemory):
        given([{"role": "system", "content": "Be brief"}])
