"""Patterns of people's own."""

from __future__ import annotations

import pytest

from gateway.patterns import BadPattern, compiled


def test_a_pattern_is_one_of_re2() -> None:
    found = compiled(r"(?i)proj-\d+").search("a PROJ-12")
    assert found is not None
    assert found.span() == (2, 9)


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "((a{1000}){1000})"])
def test_what_takes_more_than_linear_time_or_much_memory_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern, match=r"\w"):
        compiled(pattern)
