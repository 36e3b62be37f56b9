"""Pages of a list: each thing once, in order, whatever their length."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from gateway.control.turning import ALL, Turning
from gateway.errors import BadRequest


class One(NamedTuple):
    id: str


EVERYTHING = [One(f"n{number}") for number in range(7)]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_pages_hold_everything_once_and_in_order(limit: int) -> None:
    seen: list[One] = []
    before: str | None = ""
    while before is not None:
        page, before = Turning(before, limit).page(EVERYTHING)
        assert 1 <= len(page) <= limit
        seen += page

    assert seen == EVERYTHING


def test_without_a_limit_there_is_one_page() -> None:
    assert ALL.page(EVERYTHING) == (EVERYTHING, None)
    assert ALL.page([]) == ([], None)


def test_who_asks_after_something_that_is_gone_is_told_so() -> None:
    with pytest.raises(BadRequest, match="begin with the first page"):
        Turning("n9", 2).page(EVERYTHING)
