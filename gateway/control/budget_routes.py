"""`/api/budgets`."""

from __future__ import annotations

import msgspec

from gateway.control.asking import PAGED, Asked, Routes, body, turning
from gateway.control.budget_words import BudgetAnswer, BudgetList, BudgetPatch, NewBudget
from gateway.control.budgets import Budgets
from gateway.control.openapi import Operation
from gateway.roles import opens


async def _create(budgets: Budgets, asked: Asked) -> object:
    return await budgets.create(body(asked, NewBudget), asked.admin)


async def _list(budgets: Budgets, asked: Asked) -> object:
    found = await budgets.list(asked.admin, turning(asked))
    return msgspec.structs.replace(found, budgets=[_shown(one, asked) for one in found.budgets])


async def _get(budgets: Budgets, asked: Asked) -> object:
    return _shown(await budgets.get(asked.id, asked.admin), asked)


def _shown(budget: BudgetAnswer, asked: Asked) -> BudgetAnswer:
    """Return it without its webhook, which may hold a secret, for who may not change it."""
    may = asked.principal is None or opens(asked.principal.scopes, "admin")
    return budget if may else msgspec.structs.replace(budget, webhook="")


async def _change(budgets: Budgets, asked: Asked) -> object:
    return await budgets.change(asked.id, body(asked, BudgetPatch), asked.admin)


async def _delete(budgets: Budgets, asked: Asked) -> object:
    return await budgets.delete(asked.id, asked.admin)


ROUTES: Routes = {
    Operation("POST", "/api/budgets", "Make a budget.", NewBudget, BudgetAnswer, 201): _create,
    Operation(
        "GET",
        "/api/budgets",
        "List budgets and what is spent: first those of the configuration file, then the newest.",
        None,
        BudgetList,
        parameters=PAGED,
    ): _list,
    Operation("GET", "/api/budgets/{id}", "Show a budget and what is spent.", None, BudgetAnswer): _get,
    Operation("PATCH", "/api/budgets/{id}", "Change a budget.", BudgetPatch, BudgetAnswer): _change,
    Operation("DELETE", "/api/budgets/{id}", "End a budget.", None, BudgetAnswer): _delete,
}
