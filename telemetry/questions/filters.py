"""What lists and sums can be narrowed by, and the SQL that does it.

A query's text is made of what stands here and nowhere else; what somebody asks for goes in as parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from telemetry.questions.scope import Range, Scope
from telemetry.questions.texts import text_of
from telemetry.store.base import Parameter

Filters = Mapping[str, str | int | bool]
"""By the names of `FILTERS`, or `property:<name>`; only what was asked for."""

PROPERTY = "property:"
_TEXT_MAX = 4096


class Filter(msgspec.Struct, frozen=True):
    """One thing to narrow by."""

    told: str
    condition: str = ""
    """In SQL, of a column of `spans`; empty: it equals the column of this name."""
    parameter: Literal["String", "Int64", "UInt8"] = "String"
    value: Any = str
    """What the API takes."""
    rollup: bool = False
    """Whether `usage_daily` has the column as well."""


FILTERS: dict[str, Filter] = {
    "event_id": Filter("Event the call belongs to."),
    "trace_id": Filter("Trace the call belongs to."),
    "thread_id": Filter("Thread the call belongs to."),
    "tag": Filter("One of the call's tags.", "has(spans.tags, {f_tag:String})"),
    "user_id": Filter("User on whose behalf it was made.", rollup=True),
    "agent_id": Filter("Agent that made it."),
    "key_id": Filter("Key it was made with.", rollup=True),
    "project": Filter("Project; any but the key's own is refused.", rollup=True),
    "environment": Filter("Environment; any but the key's own is refused.", rollup=True),
    "kind": Filter("`llm`, `embedding`, `log` ...", rollup=True),
    "surface": Filter("Wire format of the client: `openai.chat`, `anthropic.messages` ..."),
    "model": Filter(
        "Model, as asked for or as served.", "(spans.model = {f_model:String} OR spans.served_model = {f_model:String})"
    ),
    "billed_model": Filter(
        "Model as sums name it: as served, or as asked for if none was.",
        "if(spans.served_model = '', spans.model, spans.served_model) = {f_billed_model:String}",
    ),
    "served_model": Filter("Model that the last attempt asked the provider for."),
    "provider": Filter("Provider that answered.", rollup=True),
    "deployment": Filter("Deployment that answered."),
    "route": Filter("Route that was taken."),
    "variant": Filter("Variant of an experiment."),
    "step": Filter("Step of a pipeline, as `x-tidegate-step` named it."),
    "status": Filter(
        "How it ended.", value=Literal["", "ok", "error", "cancelled", "interrupted"]
    ),
    "error_type": Filter("Type of the error: `rate_limited`, `timeout` ..."),
    "finish_reason": Filter("Why the model stopped."),
    "cost_reason": Filter("Why nobody knows the cost: `unknown_model`, `no_usage` ..."),
    "stream": Filter(
        "Whether the answer was streamed.", "spans.stream = {f_stream:UInt8}", "UInt8", bool | None
    ),
    "priced": Filter(
        "Whether the cost is known.",
        "isNotNull(spans.cost_nano_usd) = {f_priced:UInt8}",
        "UInt8",
        bool | None,
    ),
    "min_cost_nano_usd": Filter(
        "Cost at least this many billionths of a US dollar.",
        "spans.cost_nano_usd >= {f_min_cost_nano_usd:Int64}",
        "Int64",
        int,
    ),
    "min_latency_us": Filter(
        "Took at least this many microseconds, from request to end of answer.",
        "spans.total_us >= {f_min_latency_us:Int64}",
        "Int64",
        int,
    ),
}  # fmt: skip

_FOUND_BY_INDEX = ("event_id", "trace_id", "thread_id", "tag", "user_id")
"""What `span_index` finds, that which finds fewest first; properties come after threads."""

_INDEXED = """{scope} AND {range}
  AND span_index.key = {{index_key:String}} AND span_index.value = {{index_value:String}}"""


class Where(msgspec.Struct, frozen=True):
    """The condition of a query, and values for the parameters it names."""

    source: str
    """What to select from; under the table's own name, whatever it is."""
    text: str
    parameters: dict[str, Parameter]


def in_calls(scope: Scope, within: Range, filters: Filters, *, corrected: bool = False) -> Where:
    """Return the condition on `spans`; `corrected`: with the costs that became known later."""
    parts = [scope.condition("spans"), Range.condition("spans")]
    parameters: dict[str, Parameter] = {**scope.parameters(), **within.parameters()}
    for number, (name, value) in enumerate(filters.items()):
        if name.startswith(PROPERTY):
            parts.append(f"spans.properties[{{f_name_{number}:String}}] = {{f_value_{number}:String}}")
            parameters |= {
                f"f_name_{number}": name.removeprefix(PROPERTY),
                f"f_value_{number}": str(value),
            }
            continue
        one = FILTERS[name]
        parts.append(one.condition or f"spans.{name} = {{f_{name}:String}}")
        parameters[f"f_{name}"] = int(value) if one.parameter != "String" else str(value)
    for name in _best_index(filters):
        parts += _from_index(scope)
        parameters |= {"index_key": name, "index_value": str(filters[name])}
    return Where(text_of("calls_corrected") if corrected else "spans", " AND ".join(parts), parameters)


def in_index(scope: Scope, within: Range, filters: Filters) -> Where | None:
    """Return the condition on `span_index`, if it alone can say which calls these are."""
    names = list(_best_index(filters))
    if len(filters) != 1 or not names:
        return None
    named: dict[str, Parameter] = {"index_key": names[0], "index_value": str(filters[names[0]])}
    text = _INDEXED.format(scope=scope.condition("span_index"), range=Range.condition("span_index"))
    return Where("span_index", text, {**scope.parameters(), **within.parameters(), **named})


def in_rollup(scope: Scope, within: Range, filters: Filters) -> Where:
    """Return the condition on `usage_daily`, for filters that `rollup_has` all."""
    first, last = within.days
    parts = [
        scope.condition("usage_daily"),
        "usage_daily.day >= toDate({from_day:String}) AND usage_daily.day <= toDate({to_day:String})",
        *(f"usage_daily.{name} = {{f_{name}:String}}" for name in filters),
    ]
    parameters: dict[str, Parameter] = {**scope.parameters(), "from_day": first, "to_day": last}
    given = {f"f_{name}": str(value) for name, value in filters.items()}
    return Where("usage_daily", " AND ".join(parts), {**parameters, **given})


def rollup_has(filters: Filters) -> bool:
    """Say whether `usage_daily` can be narrowed by all of these."""
    return all(name in FILTERS and FILTERS[name].rollup for name in filters)


def _best_index(filters: Filters) -> Iterator[str]:
    named = [name for name in filters if name in _FOUND_BY_INDEX or name.startswith(PROPERTY)]
    order = {name: place for place, name in enumerate(_FOUND_BY_INDEX)}
    if named:
        yield min(named, key=lambda name: order.get(name, 2.5))


def _from_index(scope: Scope) -> list[str]:
    """Say in which hours to look and for which calls, so that only the granules that hold them are read."""
    where = _INDEXED.format(scope=scope.condition("span_index"), range=Range.condition("span_index"))
    indexed = f"FROM span_index WHERE {where}"
    return [
        f"toStartOfHour(spans.started_at) IN (SELECT DISTINCT toStartOfHour(span_index.started_at) {indexed})",
        f"spans.call_id IN (SELECT span_index.call_id {indexed})",
    ]
