"""Who asks, and whom: what every route of the query API depends on."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Annotated

import msgspec
from fastapi import Depends, Header, Query, Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute

from telemetry.answers import Refusal
from telemetry.questions import Questions, Scope
from telemetry.questions.filters import PROPERTY
from telemetry.store.base import Store

MAX_LIMIT = 1000


def scope(x_tidegate_principal: Annotated[str, Header(include_in_schema=False)] = "") -> Scope:
    """Read who is asking; raise Refusal if nobody said so."""
    try:
        return msgspec.json.decode(x_tidegate_principal, type=Scope)
    except msgspec.MsgspecError as error:
        raise Refusal(401, "no_principal", "ask through the gateway's public port, with a key") from error


Scoped = Annotated[Scope, Depends(scope)]


def questions(request: Request, _who: Scoped) -> Questions:
    """Return the open ledger; raise Refusal while there is none."""
    return open_questions(request.app.state.store)


def open_questions(store: Callable[[], Store | None]) -> Questions:
    """Return the open ledger; raise Refusal while there is none."""
    opened = store()
    if opened is None:
        raise Refusal(503, "store_opening", "the ledger is being opened: ask again in a moment")
    return Questions(opened)


def nothing_unknown(request: Request, _who: Scoped) -> None:
    """Raise Refusal for a parameter that the route does not have: a filter misspelt would be no filter."""
    route: APIRoute = request.scope["route"]
    known = [
        one.alias for one in get_flat_params(route.dependant) if isinstance(one.field_info, params.Query)
    ]
    properties = any(name.startswith(PROPERTY) for name in known)
    for name in request.query_params:
        if name in known or (properties and name.startswith(PROPERTY) and name != PROPERTY):
            continue
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known) or 'none'}"
        raise Refusal(400, "unknown_parameter", f"{name!r} is not a parameter here: {meant}", param=name)


Asked = Annotated[Questions, Depends(questions)]
Strict = Depends(nothing_unknown)
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows per page.")]
Cursor = Annotated[str, Query(max_length=65_536, description="`next_cursor` of the page before.")]
Id = Annotated[str, Query(alias="id", max_length=4096, description="Any id, also one with slashes.")]
AnyId = Annotated[str, Query(alias="id", max_length=4096, description="One of them, whatever its id.")]
Text = Annotated[str, Query(max_length=4096)]
