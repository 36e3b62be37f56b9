"""Percentiles of how long answers took, two sides compared, and what the steps of pipelines say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from telemetry.answers import iso
from telemetry.figures import (
    QUANTILES,
    Comparison,
    Latencies,
    Latency,
    LatencyRow,
    Metric,
    Side,
    StepRow,
    Steps,
    latency,
    sums_fields,
)
from telemetry.questions.filters import Filters
from telemetry.questions.grouping import GroupQuestions, Order, sums_of
from telemetry.questions.scope import Range, Scope
from telemetry.store.base import Parameter

_LEVELS = ", ".join(f"0.{name[1:]}" for name in QUANTILES)
_MEASURES = {
    "total_us": ("spans.total_us", "spans.total_us > 0"),
    "first_token_us": ("spans.first_token_us", "spans.first_token_us > 0"),
    "overhead_us": ("spans.overhead_us", "spans.total_us > 0"),
    "output_tokens_per_s": (
        "spans.output_tokens * 1000000 / spans.total_us",
        "spans.total_us > 0 AND spans.output_tokens > 0",
    ),
}
_METRICS = """SELECT toString(spans.step) AS step, toString(metric) AS name,
toInt64(count()) AS count, avg(number) AS mean, min(number) AS min, max(number) AS max,
quantiles(0.5, 0.95)(number) AS levels
FROM {source}
ARRAY JOIN mapKeys(spans.metrics) AS metric, mapValues(spans.metrics) AS number
WHERE {where} AND has({{steps:Array(String)}}, spans.step)
GROUP BY step, name
ORDER BY step, name
LIMIT 10000"""


class SpeedQuestions(GroupQuestions):
    """Asks how long things took."""

    def latencies(
        self, scope: Scope, filters: Filters, within: Range, by: Sequence[str], *, limit: int, cursor: str
    ) -> Latencies:
        """Return a page of percentiles by group."""
        groups = self._grouped(scope, within, filters, by)
        sql, parameters = groups.page(
            f"toInt64(count()) AS calls, {_measured(filters)}", Order(), limit=limit, cursor=cursor
        )
        page, next_cursor = groups.cut(self._read(sql, parameters), Order(), limit)
        return Latencies(
            from_=iso(within.from_us),
            to=iso(within.to_us),
            group_by=list(by),
            rows=[
                LatencyRow(**dict(latency(row)), group=groups.group(row), calls=row["calls"]) for row in page
            ],
            next_cursor=next_cursor,
        )

    def compare(
        self, scope: Scope, by: str, a: tuple[Filters, Range], b: tuple[Filters, Range], filters: Filters
    ) -> Comparison:
        """Return two sides, each with a filter or a time of its own besides the common filters."""
        one, other = (self._side(scope, by, {**filters, **own}, within) for own, within in (a, b))
        return Comparison(by=by, a=one, b=other, **_apart(one, other))

    def steps(self, scope: Scope, filters: Filters, within: Range, *, limit: int, cursor: str) -> Steps:
        """Return a page of steps; calls that belong to none are left out."""
        groups = self._grouped(scope, within, filters, ("step",))
        columns = f"{sums_of('spans')}, {_measured(filters)}"
        sql, parameters = groups.page(columns, Order(), limit=limit, cursor=cursor, only="spans.step != ''")
        page, next_cursor = groups.cut(self._read(sql, parameters), Order(), limit)
        metrics = self._metrics(scope, filters, within, [row["g0"] for row in page])
        return Steps(
            from_=iso(within.from_us),
            to=iso(within.to_us),
            rows=[
                StepRow(
                    **sums_fields(row),
                    step=row["g0"],
                    latency=latency(row),
                    metrics=metrics.get(row["g0"], {}),
                )
                for row in page
            ],
            next_cursor=next_cursor,
        )

    def _metrics(
        self, scope: Scope, filters: Filters, within: Range, steps: list[str]
    ) -> dict[str, dict[str, Metric]]:
        found: dict[str, dict[str, Metric]] = {}
        where = self._in_calls(scope, within, filters)
        parameters: dict[str, Parameter] = {**where.parameters, "steps": steps}
        for row in (
            self._read(_METRICS.format(source=where.source, where=where.text), parameters) if steps else ()
        ):
            p50, p95 = row.pop("levels")
            found.setdefault(row.pop("step"), {})[row.pop("name")] = Metric(**row, p50=p50, p95=p95)
        return found

    def _side(self, scope: Scope, by: str, filters: Filters, within: Range) -> Side:
        groups = self._grouped(scope, within, filters, ())
        columns = f"{sums_of('spans')}, {_measured(filters)}"
        sql, parameters = groups.page(columns, Order(), limit=1, cursor="")
        rows = self._read(sql, parameters)
        told: dict[str, Any] = {"latency": Latency()}
        if rows:
            told = sums_fields(rows[0]) | {"latency": latency(rows[0])}
            told["error_rate"] = told["errors"] / told["calls"]
            if told["priced"]:
                told["cost_per_call_nano_usd"] = told["cost_nano_usd"] / told["priced"]
        side = str(filters.get(by, ""))
        return Side(value=side, from_=iso(within.from_us), to=iso(within.to_us), **told)


def _measured(filters: Filters) -> str:
    """Return the columns of a `Latency`: of calls that went well, as a quick refusal is no quick answer."""
    these = "1" if "status" in filters else "spans.status = 'ok'"
    columns = [f"toInt64(countIf({these} AND spans.total_us > 0)) AS measured"]
    columns += [
        f"quantilesDDIf(0.01, {_LEVELS})(toFloat64({value}), {these} AND {known}) AS spread_{name}"
        for name, (value, known) in _MEASURES.items()
    ]
    return ", ".join(columns)


def _apart(a: Side, b: Side) -> dict[str, dict[str, float | None]]:
    """Return difference and ratio of every number that both sides have."""
    left, right = dict(_numbers(a)), dict(_numbers(b))
    both = [(name, one, right[name]) for name, one in left.items()]
    return {
        "difference": {
            name: None if one is None or other is None else other - one for name, one, other in both
        },
        "ratio": {name: None if not one or other is None else other / one for name, one, other in both},
    }


def _numbers(side: Side) -> Iterator[tuple[str, float | None]]:
    for name in ("calls", "errors", "error_rate", "priced", "unpriced", "interrupted"):
        yield name, getattr(side, name)
    for name in ("input_tokens", "output_tokens", "cache_read", "cost_nano_usd", "cost_per_call_nano_usd"):
        yield name, getattr(side, name)
    for name in _MEASURES:
        for level in QUANTILES:
            yield f"latency.{name}.{level}", getattr(getattr(side.latency, name), level)
