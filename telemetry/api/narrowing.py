"""The filters as parameters of a route: one for each entry of `FILTERS`, and one for every property."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from telemetry.answers import Refusal
from telemetry.api.asking import Scoped
from telemetry.questions import Scope
from telemetry.questions.filters import FILTERS, PROPERTY, Filters

_LONGEST = 4096


def _narrowing(request: Request, who: Scope, **given: Any) -> Filters:  # noqa: ANN401  # as FILTERS says
    for name in ("project", "environment"):
        allowed(who, name, given[name], param=name)
    filters = {
        name: given[name] for name in FILTERS if given[name] not in ("", 0, None) or given[name] is False
    }
    for name, value in request.query_params.items():
        if name.startswith(PROPERTY) and value:
            if len(name) + len(value) > _LONGEST:
                raise Refusal(400, "bad_parameter", f"{name[:50]}...: too long", param=name[:50])
            filters[name] = value
    return filters


def allowed(who: Scope, name: str, value: str, *, param: str) -> None:
    """Raise Refusal where somebody asks for the calls of a project or an environment that is not theirs."""
    own = {"project": who.project, "environment": who.environment}.get(name)
    if value and own not in (None, value) and not who.open:
        raise Refusal(
            403,
            f"not_your_{name}",
            f"this key sees the calls of {name} {own!r} only: leave it out, or ask with another key",
            param=param,
        )


def _parameters() -> Iterator[inspect.Parameter]:
    def one(name: str, annotation: object, **default: object) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, **default)

    yield one("request", Request)
    yield one("who", Scoped)
    for name, told in FILTERS.items():
        if told.value is int:
            yield one(name, Annotated[int, Query(ge=0, lt=2**63, description=told.told)], default=0)
        elif told.parameter == "UInt8":
            yield one(name, Annotated[told.value, Query(description=told.told)], default=None)
        else:
            longest = _LONGEST if told.value is str else None
            described = Query(max_length=longest, description=told.told)
            yield one(name, Annotated[told.value, described], default="")
    named = "A property of the call by its name, as in `property:feature=search`; several must all fit."
    yield one("property_", Annotated[str, Query(alias=f"{PROPERTY}<name>", description=named)], default="")


_narrowing.__signature__ = inspect.Signature(list(_parameters()))  # type: ignore[attr-defined]

Narrowed = Annotated[Filters, Depends(_narrowing)]
