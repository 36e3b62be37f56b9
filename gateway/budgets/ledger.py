"""The arithmetic of accounts: what is reserved and what is spent. Pure; a store loads and saves what it works on.

Of every account spent and reserved together never pass the hard threshold, as long as no attempt costs more than was
reserved for it. An account is never corrected when the ledger of calls is rated anew: it says what was known then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from gateway.budgets.records import Budget, Closing, Place, Refusal, Reservation, Threshold, Verdict
from gateway.budgets.windows import window


class AccountKey(NamedTuple):
    """One window of one place."""

    budget: str
    project: str
    subject: str
    starts_us: int


class Account(msgspec.Struct):
    """What is known of it. All in nano-dollars."""

    ends_us: int
    spent: int = 0
    bounded: int = 0
    """The part of `spent` that nobody told us of: attempts count as dear as they could be."""
    reserved: int = 0


class Held(msgspec.Struct):
    """A part of an account that one attempt reserved."""

    holder: str
    nano_usd: int
    state: Literal["open", "expired", "closed"]
    """`expired`: spent, until its cost is told; `closed`: stays only to be told twice."""
    at_us: int


class Notice(NamedTuple):
    """An account that has reached a threshold."""

    account: AccountKey
    threshold: Threshold
    spent: int


class Ledger:
    """Works on the accounts it is given, and on those it has to make."""

    def __init__(
        self,
        budgets: Mapping[str, Budget],
        accounts: dict[AccountKey, Account],
        held: dict[str, dict[AccountKey, Held]],
        now_us: int,
    ) -> None:
        self.accounts = accounts
        self.held = held
        """By the reservation's id."""
        self.over: set[str] = set()
        """Ids of reservations that nobody will speak of again."""
        self.notices: list[Notice] = []
        self._budgets = budgets
        self._now_us = now_us

    def reserve(self, wanted: Reservation) -> Verdict:
        """Put the amount aside in all its accounts, or in none if one has not enough left."""
        if self.held.get(wanted.id):
            return Verdict()  # its worker did not wait for the answer, and has said so already
        keys = keys_of(self._budgets, wanted.places, self._now_us)
        for key in keys:
            budget, account = self._budgets[key.budget], self._account(key)
            if budget.hard_nano_usd is None:
                continue
            left = budget.hard_nano_usd - account.spent - account.reserved
            if wanted.nano_usd > left:
                self.notices.append(Notice(key, "hard", account.spent))
                return Verdict(Refusal(budget.name, account.ends_us, max(0, left)))
        for key in keys:
            self.accounts[key].reserved += wanted.nano_usd
        self.held[wanted.id] = {
            key: Held(wanted.holder, wanted.nano_usd, "open", self._now_us) for key in keys
        }
        return Verdict(None, tuple(self._budgets[key.budget].name for key in keys if self._is_near(key)))

    def close(self, closing: Closing) -> None:
        """Count what it cost in place of what was reserved."""
        mine = self.held.setdefault(closing.id, {})
        if not mine:
            self._count(closing)
        for key, held in mine.items():
            self._close(key, held, closing.nano_usd)
        if not closing.places:
            self.over.add(closing.id)

    def expire(self, ids: Iterable[str]) -> None:
        """Spend what these reservations hold: their workers are gone."""
        for name in ids:
            for key, held in self.held[name].items():
                if held.state == "open":
                    held.state = "expired"
                    self.accounts[key].reserved -= held.nano_usd
                    self._spend(key, held.nano_usd, told=False)

    def _close(self, key: AccountKey, held: Held, cost: int | None) -> None:
        account = self.accounts[key]
        if held.state == "closed":
            return
        if held.state == "expired":
            account.spent -= held.nano_usd
            account.bounded -= held.nano_usd
        else:
            account.reserved -= held.nano_usd
        held.state = "closed"
        self._spend(key, held.nano_usd if cost is None else cost, told=cost is not None)

    def _count(self, closing: Closing) -> None:
        """Count what was never reserved, and remember that."""
        for key in keys_of(self._budgets, closing.places, self._now_us):
            self._account(key)
            self.held[closing.id][key] = Held("", 0, "closed", self._now_us)
            self._spend(key, closing.nano_usd or 0, told=True)

    def _spend(self, key: AccountKey, nano_usd: int, *, told: bool) -> None:
        account = self.accounts[key]
        account.spent += nano_usd
        account.bounded += 0 if told else nano_usd
        if nano_usd and self._is_near(key):
            self.notices.append(Notice(key, "soft", account.spent))

    def _is_near(self, key: AccountKey) -> bool:
        budget = self._budgets.get(key.budget)
        if budget is None or budget.soft_nano_usd is None:
            return False
        return self.accounts[key].spent >= budget.soft_nano_usd

    def _account(self, key: AccountKey) -> Account:
        account = self.accounts.get(key)
        if account is None:
            budget = self._budgets[key.budget]
            account = Account(window(budget.window, budget.zone, self._now_us)[1])
            self.accounts[key] = account
        return account


def keys_of(budgets: Mapping[str, Budget], places: Iterable[Place], now_us: int) -> list[AccountKey]:
    """Return the accounts that these places have now; of a budget that was deleted a moment ago, none."""
    return [
        AccountKey(place.budget, place.project, place.subject, window(budget.window, budget.zone, now_us)[0])
        for place in places
        if (budget := budgets.get(place.budget)) is not None
    ]
