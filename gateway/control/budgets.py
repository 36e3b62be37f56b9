"""Everything that can be done with budgets of the control records: checked here, with a line in the audit log."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from gateway.budgets.records import Budget, budget_of
from gateway.clock import Clock
from gateway.control.audit import log
from gateway.control.budget_accounts import NOTHING, standings, sums
from gateway.control.budget_words import (
    BudgetAnswer,
    BudgetList,
    BudgetPatch,
    NewBudget,
    budget_answer,
    said,
)
from gateway.control.database import Database, Session
from gateway.control.keys import Admin, check_text
from gateway.control.records import Act
from gateway.control.records_thread import Records
from gateway.control.turning import ALL, Turning
from gateway.errors import BadRequest, Forbidden, GatewayError
from gateway.faults import budget_faults
from gateway.settings import Budget as Settings

MOST_BUDGETS = 10_000
"""All of them together fit into one message to the workers."""

_rules = msgspec.json.Decoder(Budget)


class UnknownBudget(GatewayError):
    """No budget of this id, or none that may be seen by who asks."""

    status = 404
    code = "budget_not_found"
    type = "invalid_request_error"


class BudgetConfigured(GatewayError):
    """It stands in the configuration file, and is changed there."""

    status = 409
    code = "budget_configured"
    type = "invalid_request_error"


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
        self._configured = configured
        self._told = told
        self._clock = clock

    async def create(self, wanted: NewBudget, admin: Admin) -> BudgetAnswer:
        """Make a budget; it counts from now on."""
        if admin.within and wanted.project != admin.within:
            raise Forbidden(f"this key administrates the project {admin.within!r} alone", param="project")
        _check(wanted.name, wanted)
        now_us = self._clock.now_us()
        budget = budget_of(f"bud_{now_us // 1000:012x}{secrets.token_hex(4)}", wanted.name, wanted)
        act = Act(actor=admin.name, at_us=now_us, within=admin.within)
        await self._records.query(lambda database: _create(database, budget, act))
        await self._told()
        return budget_answer(budget, now_us, configured=False)

    async def change(self, budget_id: str, patch: BudgetPatch, admin: Admin) -> BudgetAnswer:
        """Write what shall be different. What was spent stays; another window begins with nothing spent."""
        self._check_ours(budget_id)
        given = {
            field: value
            for field in BudgetPatch.__struct_fields__
            if (value := getattr(patch, field)) is not msgspec.UNSET
        }
        name = given.pop("name", None)

        def decide(before: Budget) -> Budget:
            wanted = msgspec.structs.replace(said(before), **given)
            _check(name or before.name, wanted)
            return budget_of(before.id, name or before.name, wanted)

        act = Act(actor=admin.name, at_us=self._clock.now_us(), within=admin.within)
        await self._changed(budget_id, lambda database: _change(database, budget_id, decide, act))
        return await self.get(budget_id, admin)

    async def delete(self, budget_id: str, admin: Admin) -> BudgetAnswer:
        """End a budget; its accounts stay, for whoever wants to look at them."""
        self._check_ours(budget_id)
        act = Act(actor=admin.name, at_us=self._clock.now_us(), within=admin.within)
        before = await self._changed(budget_id, lambda database: _delete(database, budget_id, act))
        return budget_answer(before, act.at_us, configured=False)

    async def get(self, budget_id: str, admin: Admin) -> BudgetAnswer:
        """Return a budget and how its accounts stand."""
        now_us, known = self._clock.now_us(), self._configured.get(budget_id)

        def look(database: Database) -> BudgetAnswer | None:
            with database.read() as session:
                found = known or _find(session, budget_id, admin.within)
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
            raise _unknown(budget_id)
        return answer

    async def list(self, admin: Admin, which: Turning = ALL) -> BudgetList:
        """Return the budgets that may be seen by who asks, each with the sums of its accounts."""
        there, now_us = self._records.there, self._clock.now_us()
        found = await self._records.query(read) if there else ()
        everything = (*self._configured.values(), *reversed(found))
        budgets, more = which.page([one for one in everything if admin.within in ("", one.project)])
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

    async def _changed(self, budget_id: str, work: Callable[[Database], Budget | None]) -> Budget:
        found = await self._records.query(work) if self._records.there else None
        if found is None:
            raise _unknown(budget_id)
        await self._told()
        return found

    def _check_ours(self, budget_id: str) -> None:
        if budget_id in self._configured:
            raise BudgetConfigured(
                f"the budget {budget_id!r} stands in the configuration file: change it there"
            )


def read(database: Database) -> tuple[Budget, ...]:
    """Return all budgets of the control records, by age. Raises ControlAway."""
    with database.read() as session:
        return tuple(
            _rules.decode(rules) for (rules,) in session.run("select rules from budgets order by id")
        )


def _create(database: Database, budget: Budget, act: Act) -> None:
    with database.write() as session:
        ((count,),) = session.run("select count(*) from budgets")
        if count >= MOST_BUDGETS:
            raise BadRequest(f"there are {MOST_BUDGETS} budgets already: use patterns", code="too_many")
        revision = log(session, act, "budget.create", budget.id, budget.project, _flat(budget))
        session.run(
            "insert into budgets (id, revision, project, rules, created_us) values (?, ?, ?, ?, ?)",
            *(budget.id, revision, budget.project, msgspec.json.encode(budget).decode(), act.at_us),
        )


def _change(
    database: Database, budget_id: str, decide: Callable[[Budget], Budget], act: Act
) -> Budget | None:
    with database.write() as session:
        before = _find(session, budget_id, act.within)
        if before is None:
            return None
        after = decide(before)
        old, new = _flat(before), _flat(after)
        told = {name: [old[name], new[name]] for name in old if old[name] != new[name]}
        if told:
            revision = log(session, act, "budget.change", budget_id, before.project, told)
            session.run(
                "update budgets set revision = ?, rules = ? where id = ?",
                *(revision, msgspec.json.encode(after).decode(), budget_id),
            )
        return after


def _delete(database: Database, budget_id: str, act: Act) -> Budget | None:
    with database.write() as session:
        before = _find(session, budget_id, act.within)
        if before is not None:
            log(session, act, "budget.delete", budget_id, before.project, _flat(before))
            session.run("delete from budgets where id = ?", budget_id)
        return before


def _find(session: Session, budget_id: str, within: str) -> Budget | None:
    rows = session.run("select rules from budgets where id = ? and ? in ('', project)", budget_id, within)
    return _rules.decode(rows[0][0]) if rows else None


def _flat(budget: Budget) -> dict[str, object]:
    told = msgspec.structs.asdict(budget)
    del told["id"]
    return told


def _check(name: str, wanted: Settings) -> None:
    """Raise BadRequest for what makes no sense."""
    for field, text in (("name", name), ("match", wanted.match), ("project", wanted.project)):
        check_text(field, text)
    for field, what, remedy in budget_faults(wanted):
        raise BadRequest(f"{field}: {what}. {remedy}", code="invalid_value", param=field)


def _unknown(budget_id: str) -> UnknownBudget:
    return UnknownBudget(f"there is no budget {budget_id!r} that you may see", param="id")
