"""`/api/limits`."""

from __future__ import annotations

from gateway.control.asking import PAGED, Asked, Routes, body, turning
from gateway.control.limit_rules import LimitAnswer, LimitList, LimitPatch, LimitRules, NewLimit
from gateway.control.openapi import Operation


async def _create(limits: LimitRules, asked: Asked) -> object:
    return await limits.create(body(asked, NewLimit), asked.admin)


async def _list(limits: LimitRules, asked: Asked) -> object:
    return await limits.list(asked.admin, turning(asked))


async def _get(limits: LimitRules, asked: Asked) -> object:
    return await limits.get(asked.id, asked.admin)


async def _change(limits: LimitRules, asked: Asked) -> object:
    return await limits.change(asked.id, body(asked, LimitPatch), asked.admin)


async def _delete(limits: LimitRules, asked: Asked) -> object:
    return await limits.delete(asked.id, asked.admin)


ROUTES: Routes = {
    Operation("POST", "/api/limits", "Make a limit.", NewLimit, LimitAnswer, 201): _create,
    Operation(
        "GET",
        "/api/limits",
        "List limits: first those of the configuration file, then the newest.",
        None,
        LimitList,
        parameters=PAGED,
    ): _list,
    Operation("GET", "/api/limits/{id}", "Show a limit.", None, LimitAnswer): _get,
    Operation("PATCH", "/api/limits/{id}", "Change a limit.", LimitPatch, LimitAnswer): _change,
    Operation("DELETE", "/api/limits/{id}", "End a limit.", None, LimitAnswer): _delete,
}
