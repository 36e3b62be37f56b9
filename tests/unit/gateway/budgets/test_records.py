"""Amounts are written in dollars and counted in nano-dollars, without a loss either way."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budgets.records import Budget, Closing, Place, Reservation, budget_of, by_id, configured, dollars
from gateway.settings import Budget as Settings


@pytest.mark.parametrize(
    ("text", "nano_usd"),
    [("0", 0), ("0.000000001", 1), ("2.50", 2_500_000_000), ("123456789.987654321", 123456789987654321)],
)
def test_dollars_become_nano_dollars(text: str, nano_usd: int) -> None:
    assert budget_of("b", "b", Settings(hard_usd=text)).hard_nano_usd == nano_usd


@given(st.integers(0, 10**18))
def test_an_amount_that_is_written_is_read_as_it_was(nano_usd: int) -> None:
    assert budget_of("b", "b", Settings(soft_usd=dollars(nano_usd))).soft_nano_usd == nano_usd


def test_no_amount_is_none() -> None:
    assert budget_of("b", "b", Settings()).hard_nano_usd is None
    assert dollars(None) == ""


def test_budgets_of_the_file_go_by_their_names() -> None:
    (budget,) = configured({"each": Settings(per="user", hard_usd="1")})

    assert by_id([budget]) == {
        "each": Budget(id="each", name="each", per="user", hard_nano_usd=1_000_000_000)
    }


def test_messages_survive_the_line() -> None:
    for said in (
        Reservation("r", "w", (Place("b", "p", "s"),), 5),
        Closing("r", None),
        Closing("r", 3, (Place("b", "", "s"),)),
    ):
        packed = msgspec.msgpack.decode(msgspec.msgpack.encode(said))
        assert msgspec.convert(packed, type(said)) == said
