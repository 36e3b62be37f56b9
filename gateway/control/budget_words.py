"""What goes over the admin API about budgets, in and out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.budgets.records import Budget, dollars
from gateway.budgets.windows import window
from gateway.control.budget_accounts import NOTHING, Standing, Sums
from gateway.control.words import Name, moment
from gateway.settings import Budget as Settings
from gateway.settings import Per, Period, WhenAway


class NewBudget(Settings, frozen=True, kw_only=True):
    """A budget that shall be made, in the words of the configuration file."""

    name: Name


class BudgetPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be different about a budget; what is left out stays. Whom it is for stays: that is another budget."""

    name: Name | UnsetType = UNSET
    window: Period | UnsetType = UNSET
    zone: str | UnsetType = UNSET
    soft_usd: str | UnsetType = UNSET
    hard_usd: str | UnsetType = UNSET
    max_output_reserve: int | UnsetType = UNSET
    when_away: WhenAway | UnsetType = UNSET
    webhook: str | UnsetType = UNSET


class AccountAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How one key, user, team or project stands in the present window."""

    project: str
    """Of users and teams."""
    subject: str
    spent_nano_usd: int
    bounded_nano_usd: int
    """The part of it that no provider told: calls that count as dear as they could be."""
    reserved_nano_usd: int
    """Put aside for calls that are under way."""
    ends_at: datetime | None


class BudgetAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A budget. Amounts are dollars, as text."""

    id: str
    name: str
    per: Per
    match: str
    project: str
    window: Period
    zone: str
    soft_usd: str
    hard_usd: str
    max_output_reserve: int
    when_away: WhenAway
    webhook: str
    configured: bool
    """It stands in the configuration file, and is changed there."""
    spent_nano_usd: int
    """In the present window, by all for whom it is; so the next two."""
    bounded_nano_usd: int
    reserved_nano_usd: int
    ends_at: datetime | None
    """When this window does; null: never."""
    accounts: tuple[AccountAnswer, ...] = ()
    """Those that were used in the present window; not in lists."""


class BudgetList(msgspec.Struct, frozen=True):
    """Budgets: first those of the configuration file, then the newest."""

    budgets: list[BudgetAnswer]
    next_before: str | None = None
    """For `before`, if there are more."""


def budget_answer(
    budget: Budget,
    now_us: int,
    *,
    configured: bool,
    sums: Sums = NOTHING,
    standings: tuple[Standing, ...] = (),
) -> BudgetAnswer:
    """Return a budget as the API tells it."""
    ends_us = window(budget.window, budget.zone, now_us)[1]
    return BudgetAnswer(
        id=budget.id,
        name=budget.name,
        configured=configured,
        spent_nano_usd=sums.spent,
        bounded_nano_usd=sums.bounded,
        reserved_nano_usd=sums.reserved,
        ends_at=moment(ends_us) if ends_us else None,
        accounts=tuple(_account(one) for one in standings),
        **_told(budget),
    )


def said(budget: Budget) -> Settings:
    """Return a budget as somebody would write it down."""
    return Settings(**_told(budget))


def _told(budget: Budget) -> dict[str, Any]:
    return {
        "per": budget.per,
        "match": budget.match,
        "project": budget.project,
        "window": budget.window,
        "zone": budget.zone,
        "soft_usd": dollars(budget.soft_nano_usd),
        "hard_usd": dollars(budget.hard_nano_usd),
        "max_output_reserve": budget.max_output_reserve,
        "when_away": budget.when_away,
        "webhook": budget.webhook,
    }


def _account(standing: Standing) -> AccountAnswer:
    key, account = standing
    return AccountAnswer(
        project=key.project,
        subject=key.subject,
        spent_nano_usd=account.spent,
        bounded_nano_usd=account.bounded,
        reserved_nano_usd=account.reserved,
        ends_at=moment(account.ends_us) if account.ends_us else None,
    )
