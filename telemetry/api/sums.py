"""Routes for sums and percentiles: costs, lists of users and the like, errors, latency, steps, comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from telemetry.answers import Group, Refusal
from telemetry.api.asking import AnyId, Asked, Cursor, Limit, Scoped, Strict, Text
from telemetry.api.errors import ERRORS
from telemetry.api.narrowing import Narrowed, allowed
from telemetry.api.ranges import Month, Week, moment
from telemetry.figures import Comparison, Costs, Errors, Latencies, Steps
from telemetry.questions import Range
from telemetry.questions.costs import CostOrder
from telemetry.questions.filters import FILTERS, PROPERTY, Filters
from telemetry.questions.grouping import GROUPS, check

router = APIRouter(responses=ERRORS, dependencies=[Strict])

_COMPARABLE = [name for name, told in FILTERS.items() if told.value is str]

Side = tuple[Filters, Range]


def groups(
    group_by: Annotated[
        str, Query(max_length=4096, description=f"Any of {', '.join(GROUPS)}, with commas between them.")
    ] = "",
) -> list[str]:
    """Return what to group by; raise Refusal for what nothing can be grouped by."""
    by = list(filter(None, (name.strip() for name in group_by.split(","))))
    check(by)
    return by


By = Annotated[list[str], Depends(groups)]
Order = Annotated[
    CostOrder,
    Query(
        description="By what is grouped by, or by a sum, the greatest first. `last`: by the last call; that is"
        " read from the calls themselves."
    ),
]


@router.get("/api/costs", tags=["costs"])
def costs(
    who: Scoped,
    ask: Asked,
    filters: Narrowed,
    within: Month,
    by: By,
    *,
    sort: Order = "group",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Costs:
    """Sum calls up by any grouping, this month's unless asked otherwise.

    Whole days grouped and narrowed by user, key, model, provider, environment, project and kind come from sums that
    are kept by day; anything else is read from the calls. Grouped by `tag`, a call stands in every line of its tags.
    """
    return ask.costs(who, filters, within, by, order=sort, limit=limit, cursor=cursor)


def _list_of(name: str, told: str) -> Callable[..., Costs]:
    def sums(
        who: Scoped,
        ask: Asked,
        filters: Narrowed,
        within: Month,
        *,
        sort: Order = "cost",
        limit: Limit = 50,
        cursor: Cursor = "",
    ) -> Costs:
        return ask.costs(who, filters, within, (name,), order=sort, limit=limit, cursor=cursor)

    sums.__doc__ = told
    sums.__name__ = f"{name}s"
    return sums


for _name in ("user", "key", "model", "provider"):
    _told = (
        f"List {_name}s with their sums, this month's unless asked otherwise; calls without one share a line."
    )
    router.get(f"/api/{_name}s", tags=[f"{_name}s"])(_list_of(_name, _told))


@router.get("/api/threads", tags=["threads"])
def threads(
    who: Scoped,
    ask: Asked,
    filters: Narrowed,
    within: Week,
    *,
    id_: AnyId = "",
    sort: Order = "last",
    limit: Limit = 200,
    cursor: Cursor = "",
) -> Group | Costs:
    """List threads with their sums, the last seven days' unless asked otherwise; or all calls of the one with this id."""
    if id_:
        return ask.group(who, "thread_id", id_, limit=limit, cursor=cursor)
    return ask.costs(who, filters, within, ("thread",), order=sort, limit=limit, cursor=cursor)


@router.get("/api/errors", tags=["errors"])
def errors(
    who: Scoped, ask: Asked, filters: Narrowed, within: Week, *, limit: Limit = 50, cursor: Cursor = ""
) -> Errors:
    """List kinds of errors by type, provider and model, the last seven days' unless asked otherwise."""
    return ask.errors(who, filters, within, limit=limit, cursor=cursor)


@router.get("/api/latency", tags=["latency"])
def latency(
    who: Scoped,
    ask: Asked,
    filters: Narrowed,
    within: Week,
    by: By,
    *,
    limit: Limit = 200,
    cursor: Cursor = "",
) -> Latencies:
    """Tell how long answers took, in percentiles, the last seven days' unless asked otherwise.

    Of calls with status `ok`, unless narrowed by `status`.
    """
    return ask.latencies(who, filters, within, by, limit=limit, cursor=cursor)


@router.get("/api/steps", tags=["steps"])
def steps(
    who: Scoped, ask: Asked, filters: Narrowed, within: Week, *, limit: Limit = 100, cursor: Cursor = ""
) -> Steps:
    """Sum up every step of pipelines, with the numbers it reports of itself, the last seven days' unless asked otherwise."""
    return ask.steps(who, filters, within, limit=limit, cursor=cursor)


def sides(
    who: Scoped,
    filters: Narrowed,
    within: Week,
    *,
    by: Annotated[
        str,
        Query(
            max_length=4096,
            description=f"What the sides differ in: `time`, {PROPERTY}<name>, or any of {', '.join(_COMPARABLE)}.",
        ),
    ],
    a: Annotated[str, Query(max_length=4096, description="Its value on one side.")] = "",
    b: Annotated[str, Query(max_length=4096, description="Its value on the other.")] = "",
    a_from: Annotated[str, Query(description="With `by=time`: a day or a moment.")] = "",
    a_to: Annotated[str, Query(description="The last day, or the moment up to which.")] = "",
    b_from: Text = "",
    b_to: Text = "",
) -> tuple[str, Side, Side]:
    """Return what they differ in, and both; raise Refusal where they are not two."""
    if by == "time":
        return by, ({}, _between("a", a_from, a_to)), ({}, _between("b", b_from, b_to))
    if by not in _COMPARABLE and not (by.startswith(PROPERTY) and by != PROPERTY):
        told = f"by={by!r}: time, {PROPERTY}<name>, or any of {', '.join(_COMPARABLE)}"
        raise Refusal(400, "bad_by", told, param="by")
    if by in filters:
        raise Refusal(400, "bad_by", f"{by} is what the sides differ in: leave out {by}=", param=by)
    for name, value in (("a", a), ("b", b)):
        if not value:
            raise Refusal(400, "bad_side", f"{name}: say which {by} this side is", param=name)
        allowed(who, by, value, param=name)
    return by, ({by: a}, within), ({by: b}, within)


@router.get("/api/compare", tags=["compare"])
def compare(
    who: Scoped,
    ask: Asked,
    filters: Narrowed,
    both: Annotated[tuple[str, Side, Side], Depends(sides)],
) -> Comparison:
    """Put two environments, routes, models, variants or times side by side, the last seven days' unless asked otherwise."""
    by, a, b = both
    return ask.compare(who, by, a, b, filters)


def _between(side: str, first: str, last: str) -> Range:
    for name, value in ((f"{side}_from", first), (f"{side}_to", last)):
        if not value:
            raise Refusal(400, "bad_side", f"by=time needs {name}: a day or a moment", param=name)
    found = Range(moment(f"{side}_from", first), moment(f"{side}_to", last, last=True))
    if found.from_us >= found.to_us:
        told = f"{side}_from {first} is after {side}_to {last}: swap them"
        raise Refusal(400, "bad_range", told, param=f"{side}_from")
    return found
