"""Identifiers."""

from __future__ import annotations

import time
import uuid

from gateway.ids import uuid7


def test_an_identifier_is_a_uuid_of_version_7() -> None:
    made = [uuid.UUID(uuid7()) for _ in range(3000)]

    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}


def test_no_two_are_alike_over_several_helpings_of_randomness() -> None:
    assert len({uuid7() for _ in range(5000)}) == 5000


def test_it_says_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(uuid7())
    after = time.time_ns() // 1_000_000

    assert before <= made.int >> 80 <= after


def test_later_ones_sort_behind_earlier_ones() -> None:
    first = uuid7()
    begun = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == begun:
        pass

    assert first < uuid7()
