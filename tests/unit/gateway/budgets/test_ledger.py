"""The arithmetic of accounts: whatever happens in whatever order, nothing is spent twice and nothing beyond the amount."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.budgets.ledger import Account, AccountKey, Ledger
from gateway.budgets.records import Budget, Closing, Place, Reservation, by_id

HARD, SOFT = 1000, 600
TIGHT = Budget(id="tight", name="tight", per="key", window="total", hard_nano_usd=HARD, soft_nano_usd=SOFT)
WIDE = Budget(id="wide", name="wide", per="project", window="total", hard_nano_usd=3 * HARD)
SOFTLY = Budget(id="softly", name="softly", per="user", window="total", soft_nano_usd=SOFT)
NOW_US = 1_790_000_000_000_000
A, B = Place("tight", "", "a"), Place("wide", "", "p")


def ledger(*budgets: Budget) -> Ledger:
    return Ledger(by_id(budgets or (TIGHT, WIDE, SOFTLY)), {}, {}, NOW_US)


def wanted(name: str, nano_usd: int, *places: Place) -> Reservation:
    return Reservation(name, "w1", places or (A, B), nano_usd)


def sums(one: Ledger, budget: str = "tight") -> tuple[int, int, int]:
    """Spent, the part of it nobody told, and reserved."""
    found = [account for key, account in one.accounts.items() if key.budget == budget]
    return (
        sum(account.spent for account in found),
        sum(account.bounded for account in found),
        sum(account.reserved for account in found),
    )


def test_a_reservation_holds_its_amount_until_its_cost_is_told() -> None:
    one = ledger()
    assert one.reserve(wanted("r1", 400)).refusal is None
    assert sums(one) == (0, 0, 400)

    one.close(Closing("r1", 123))

    assert sums(one) == sums(one, "wide") == (123, 0, 0)
    assert one.over == {"r1"}


def test_what_would_pass_the_amount_is_refused_and_puts_nothing_aside_anywhere() -> None:
    one = ledger()
    one.reserve(wanted("r1", 700))

    refusal = one.reserve(wanted("r2", 301)).refusal

    assert refusal is not None
    assert (refusal.name, refusal.left_nano_usd, refusal.ends_us) == ("tight", 300, 0)
    assert sums(one) == sums(one, "wide") == (0, 0, 700)
    assert [(notice.account.budget, notice.threshold) for notice in one.notices] == [("tight", "hard")]
    assert one.reserve(wanted("r3", 300)).refusal is None


def test_what_nobody_tells_is_spent_as_it_was_reserved() -> None:
    one = ledger()
    one.reserve(wanted("r1", 400))

    one.close(Closing("r1", None))

    assert sums(one) == (400, 400, 0)


def test_what_expired_is_spent_until_its_cost_is_told_after_all() -> None:
    one = ledger()
    one.reserve(wanted("r1", 400))
    one.expire(["r1"])
    assert sums(one) == (400, 400, 0)

    one.close(Closing("r1", 150))

    assert sums(one) == (150, 0, 0)


def test_what_is_told_twice_counts_once() -> None:
    one = ledger()
    one.reserve(wanted("r1", 400))
    for _ in range(2):
        one.close(Closing("r1", 150))
    for _ in range(2):
        one.close(Closing("r2", 20, (A, B)))

    assert sums(one) == (170, 0, 0)
    assert one.over == {"r1"}, "of r2 it must be known that it was counted"


def test_a_reservation_that_comes_after_its_end_puts_nothing_aside() -> None:
    one = ledger()
    one.close(Closing("r1", 0, (A, B)))

    one.reserve(wanted("r1", 400))

    assert sums(one) == (0, 0, 0)


def test_the_soft_amount_warns_once_it_is_spent_and_refuses_nothing() -> None:
    one = ledger()
    ada = Place("softly", "p", "ada")
    assert one.reserve(wanted("r1", 10 * HARD, ada)).warnings == ()
    one.close(Closing("r1", SOFT))

    assert one.reserve(wanted("r2", 10 * HARD, ada)).warnings == ("softly",)
    assert [(notice.threshold, notice.spent) for notice in one.notices] == [("soft", SOFT)]


def test_a_budget_that_was_deleted_meanwhile_hinders_nothing() -> None:
    one = ledger(WIDE)

    assert one.reserve(wanted("r1", 2 * HARD)).refusal is None
    one.close(Closing("r1", 5))
    assert sums(one, "wide") == (5, 0, 0)


class Sequences(RuleBasedStateMachine):
    """Workers that reserve, close (also twice), die and come back, against what should be left."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = ledger()
        self.open: dict[str, int] = {}
        self.expired: dict[str, int] = {}
        self.ended: dict[str, Closing] = {}
        self.cost: dict[str, int] = {}
        self.count = 0

    @rule(nano_usd=st.integers(1, 700))
    def reserve(self, nano_usd: int) -> None:
        self.count += 1
        held = sum(self.open.values()) + sum(self.cost.values())
        verdict = self.ledger.reserve(wanted(f"r{self.count}", nano_usd))
        assert (verdict.refusal is None) == (held + nano_usd <= HARD)
        if verdict.refusal is None:
            self.open[f"r{self.count}"] = nano_usd

    @precondition(lambda self: self.open or self.expired)
    @rule(data=st.data(), told=st.booleans())
    def close(self, data: Any, *, told: bool) -> None:
        held = {**self.open, **self.expired}
        name = data.draw(st.sampled_from(sorted(held)))
        cost = data.draw(st.integers(0, held[name])) if told else None
        self.ended[name] = Closing(name, cost)
        self.ledger.close(self.ended[name])
        self.cost[name] = held[name] if cost is None else cost
        self.open.pop(name, None)
        self.expired.pop(name, None)

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def close_again(self, data: Any) -> None:
        self.ledger.close(self.ended[data.draw(st.sampled_from(sorted(self.ended)))])

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def expire(self, data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.open)))
        self.ledger.expire([name])
        self.cost[name] = self.expired[name] = self.open.pop(name)

    @invariant()
    def the_account_says_what_was_told(self) -> None:
        spent, bounded, reserved = sums(self.ledger)
        assert spent == sum(self.cost.values())
        assert reserved == sum(self.open.values())
        assert 0 <= bounded <= spent
        assert spent + reserved <= HARD
        assert sums(self.ledger, "wide") == (spent, bounded, reserved)


Sequences.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestSequences = Sequences.TestCase


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 900)), max_size=12))
def test_costs_beyond_what_was_reserved_are_counted_all_the_same(attempts: Iterable[tuple[int, int]]) -> None:
    one = ledger()
    spent = 0
    for number, (nano_usd, cost) in enumerate(attempts):
        if one.reserve(wanted(f"r{number}", nano_usd)).refusal is None:
            one.close(Closing(f"r{number}", cost))
            spent += cost
    assert sums(one) == (spent, 0, 0)


def test_accounts_of_two_keys_know_nothing_of_each_other() -> None:
    one = ledger()
    one.reserve(wanted("r1", 1000, A))

    assert one.reserve(wanted("r2", 1000, Place("tight", "", "b"))).refusal is None
    assert one.accounts[AccountKey("tight", "", "b", 0)] == Account(0, 0, 0, 1000)
