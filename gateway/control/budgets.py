"""Everything that can be done with budgets of the control records: checked here, with a line in the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from gateway.budgets.records import Budget, budget_of
from gateway.clock import Clock
from gateway.control.budget_accounts import NOTHING, standings, sums
from gateway.control.budget_words import (
    BudgetAnswer,
    BudgetList,
    BudgetPatch,
    NewBudget,
    budget_answer,
    said,
)
from gateway.control.database import Database
from gateway.control.keys import Admin, check_text
from gateway.control.records_thread import Records
from gateway.control.rule_records import RuleRecords, RuleTable
from gateway.control.turning import ALL, Turning
from gateway.control.words import given
from gateway.errors import BadRequest
from gateway.faults import budget_faults
from gateway.settings import Budget as Settings

MOST_BUDGETS = 10_000
"""All of them together fit into one message to the workers."""


def _flat(budget: Budget) -> dict[str, object]:
    told = msgspec.structs.asdict(budget)
    del told["id"]
    return told


TABLE = RuleTable(Budget, "budget", "rules", most=MOST_BUDGETS, flat=_flat)


class Budgets:
    """`told` is awaited after each change: then every worker has heard, or will as soon as it can."""

    def __init__(
        self,
        records: Records,
        configured: Mapping[str, Budget],
        told: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._records = records
        self._rules = RuleRecords(TABLE, records, configured, told, clock)
        self._configured = configured
        self._clock = clock

    async def create(self, wanted: NewBudget, admin: Admin) -> BudgetAnswer:
        """Make a budget; it counts from now on."""
        admin.check_project(wanted.project)
        _check(wanted.name, wanted)
        budget = budget_of(self._rules.new_id(), wanted.name, wanted)
        await self._rules.create(budget, admin)
        return budget_answer(budget, self._clock.now_us(), configured=False)

    async def change(self, budget_id: str, patch: BudgetPatch, admin: Admin) -> BudgetAnswer:
        """Write what shall be different. What was spent stays; another window begins with nothing spent."""
        fields = given(patch)
        name = fields.pop("name", None)

        def decide(before: Budget) -> Budget:
            wanted = msgspec.structs.replace(said(before), **fields)
            _check(name or before.name, wanted)
            return budget_of(before.id, name or before.name, wanted)

        await self._rules.change(budget_id, decide, admin)
        return await self.get(budget_id, admin)

    async def delete(self, budget_id: str, admin: Admin) -> BudgetAnswer:
        """End a budget; its accounts stay, for whoever wants to look at them."""
        before = await self._rules.delete(budget_id, admin)
        return budget_answer(before, self._clock.now_us(), configured=False)

    async def get(self, budget_id: str, admin: Admin) -> BudgetAnswer:
        """Return a budget and how its accounts stand."""
        now_us, known = self._clock.now_us(), self._configured.get(budget_id)

        def look(database: Database) -> BudgetAnswer | None:
            with database.read() as session:
                found = known or TABLE.find(session, budget_id, admin.within)
            if found is None or admin.within not in ("", found.project):
                return None
            accounts = tuple(standings(database, (found,), now_us))
            counted = sums(database, (found,), now_us).get(found.id, NOTHING)
            return budget_answer(
                found, now_us, configured=known is not None, sums=counted, standings=accounts
            )

        answer = await self._records.query(look) if self._records.there else None
        if answer is None and known is not None and admin.within in ("", known.project):
            answer = budget_answer(known, now_us, configured=True)
        if answer is None:
            raise self._rules.unknown(budget_id)
        return answer

    async def list(self, admin: Admin, which: Turning = ALL) -> BudgetList:
        """Return the budgets that may be seen by who asks, each with the sums of its accounts."""
        there, now_us = self._records.there, self._clock.now_us()
        budgets, more = which.page(
            [one for one in await self._rules.all() if admin.within in ("", one.project)]
        )
        counted = await self._records.query(lambda database: sums(database, budgets, now_us)) if there else {}
        return BudgetList(
            [
                budget_answer(
                    one, now_us, configured=one.id in self._configured, sums=counted.get(one.id, NOTHING)
                )
                for one in budgets
            ],
            more,
        )


def _check(name: str, wanted: Settings) -> None:
    """Raise BadRequest for what makes no sense."""
    for field, text in (("name", name), ("match", wanted.match), ("project", wanted.project)):
        check_text(field, text)
    for field, what, remedy in budget_faults(wanted):
        raise BadRequest(f"{field}: {what}. {remedy}", code="invalid_value", param=field)
