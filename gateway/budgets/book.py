"""Which budgets a call counts in, as a worker knows them."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from gateway.budgets.records import Budget, Place
from gateway.principal import Principal

_KEPT = 4096


class Applied(NamedTuple):
    """The budgets of a call, and whose accounts of them it uses."""

    budgets: tuple[Budget, ...]
    places: tuple[Place, ...]
    hard: bool
    """At least one refuses what it has no room for."""


NOTHING = Applied((), (), hard=False)


class BudgetBook:
    """The budgets of the configuration file, and those of the control records as last heard."""

    def __init__(self, configured: Iterable[Budget]) -> None:
        self._configured = tuple(configured)
        self._budgets = self._configured
        self._found: dict[tuple[str, str, str, str], Applied] = {}
        self.empty = not self._budgets
        """There is no budget at all."""

    def take(self, budgets: Iterable[Budget]) -> None:
        """Know these of the control records from now on."""
        self._budgets = (*self._configured, *budgets)
        self._found.clear()
        self.empty = not self._budgets

    def of(self, principal: Principal, user: str) -> Applied:
        """Return what applies to a call of this key for this user."""
        who = (principal.key_id, principal.project, principal.team, user)
        found = self._found.get(who)
        if found is None:
            if len(self._found) >= _KEPT:
                self._found.clear()
            found = self._found[who] = self._look_up(*who)
        return found

    def _look_up(self, key: str, project: str, team: str, user: str) -> Applied:
        subjects = {"key": key, "user": user, "team": team, "project": project}
        budgets = tuple(
            budget
            for budget in self._budgets
            if budget.project in ("", project)
            and (subject := subjects[budget.per])
            and fnmatchcase(subject, budget.match)
        )
        if not budgets:
            return NOTHING
        places = tuple(
            Place(budget.id, project if budget.per in {"user", "team"} else "", subjects[budget.per])
            for budget in budgets
        )
        return Applied(budgets, places, any(budget.hard_nano_usd is not None for budget in budgets))
