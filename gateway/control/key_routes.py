"""`/api/keys`, `/api/projects` and `/api/audit`."""

from __future__ import annotations

from gateway.control.asking import LIMIT, LIMIT_PARAMETER, MOST, Asked, Routes, body, number
from gateway.control.keys import Keys
from gateway.control.openapi import Operation, Parameter
from gateway.control.records import Narrowing
from gateway.control.words import (
    AuditPage,
    IssuedKey,
    KeyAnswer,
    KeyPage,
    KeyPatch,
    NewKey,
    ProjectList,
    Rotation,
)


async def _create(keys: Keys, asked: Asked) -> object:
    return await keys.create(body(asked, NewKey), asked.admin)


async def _list(keys: Keys, asked: Asked) -> object:
    which = {
        name: asked.query.get(name, "") for name in ("project", "environment", "owner", "team", "before")
    }
    return await keys.page(Narrowing(**which, limit=number(asked, "limit", LIMIT, MOST)), asked.admin)


async def _get(keys: Keys, asked: Asked) -> object:
    return await keys.get(asked.id, asked.admin)


async def _change(keys: Keys, asked: Asked) -> object:
    return await keys.change(asked.id, body(asked, KeyPatch), asked.admin)


async def _rotate(keys: Keys, asked: Asked) -> object:
    return await keys.rotate(asked.id, body(asked, Rotation), asked.admin)


async def _revoke(keys: Keys, asked: Asked) -> object:
    return await keys.revoke(asked.id, asked.admin)


async def _projects(keys: Keys, asked: Asked) -> object:
    return await keys.projects(asked.admin)


async def _audit(keys: Keys, asked: Asked) -> object:
    before = number(asked, "before", 0, 1 << 62)
    return await keys.audit(asked.admin, before=before, limit=number(asked, "limit", LIMIT, MOST))


ROUTES: Routes = {
    Operation(
        "POST", "/api/keys", "Make a key; its secret is told this once.", NewKey, IssuedKey, 201
    ): _create,
    Operation(
        "GET",
        "/api/keys",
        "List keys, newest first.",
        None,
        KeyPage,
        parameters=(
            Parameter("project", "Only of this project."),
            Parameter("environment", "Only of this environment."),
            Parameter("owner", "Only of this owner."),
            Parameter("team", "Only of this team."),
            Parameter("before", "Only older ones than this id: `next_before` of the page before."),
            LIMIT_PARAMETER,
        ),
    ): _list,
    Operation("GET", "/api/keys/{id}", "Show a key.", None, KeyAnswer): _get,
    Operation("PATCH", "/api/keys/{id}", "Change what a key may do.", KeyPatch, KeyAnswer): _change,
    Operation(
        "POST",
        "/api/keys/{id}/rotate",
        "Give a key another secret; the former one counts for a while.",
        Rotation,
        IssuedKey,
    ): _rotate,
    Operation("POST", "/api/keys/{id}/revoke", "End a key, for good.", None, KeyAnswer): _revoke,
    Operation(
        "GET", "/api/projects", "List the projects that were given a key.", None, ProjectList
    ): _projects,
    Operation(
        "GET",
        "/api/audit",
        "Show who changed what, newest first.",
        None,
        AuditPage,
        parameters=(
            Parameter("before", "Only older ones than this revision: `next_before`.", most=1 << 62),
            LIMIT_PARAMETER,
        ),
    ): _audit,
}
