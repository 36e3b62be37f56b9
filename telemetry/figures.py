"""What the query API says in sums and percentiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from telemetry.answers import CallAnswer, dollars, iso
from telemetry.store.base import Row

Source = Literal["rollup", "calls"]


class Sums(BaseModel):
    """What some calls used and cost, all together. Tokens are counted; money is in billionths of a US dollar."""

    calls: int = 0
    priced: int = Field(default=0, description="Calls whose cost is known.")
    unpriced: int = Field(default=0, description="Calls whose cost nobody knows; the cost leaves them out.")
    errors: int = Field(default=0, description="Calls with status `error`.")
    interrupted: int = Field(default=0, description="Of the unpriced calls, those whose gateway died.")
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read: int = Field(
        default=0, description="Of the input tokens, those read from the provider's cache."
    )
    cost_nano_usd: int | None = Field(
        default=0, description="Of the priced calls; null if there are only others."
    )
    cost_usd: str | None = Field(default="0.000000000", description="The same as exact US dollars.")
    cost_reason: str = Field(default="", description="`no_priced_calls` where the cost is null.")
    cache_saved_nano_usd: int = Field(
        default=0, description="What the provider's cache saved, as far as it is priced."
    )
    cache_saved_usd: str = "0.000000000"
    total_us: int = Field(default=0, description="Microseconds of all calls, one after another.")
    first_day: str | None = None
    last_day: str | None = None


class SumsRow(Sums):
    """One line of sums."""

    group: dict[str, str] = Field(
        default={}, description="What the calls of this line share, by the names of `group_by`."
    )
    first_at: str | None = Field(
        default=None, description="First call; null where `source` is `rollup`, which knows days."
    )
    last_at: str | None = None


class Lines(BaseModel):
    """What all answers in lines have."""

    from_: str = Field(serialization_alias="from", description="The first moment looked at.")
    to: str = Field(description="The moment up to which was looked; that itself is left out.")
    next_cursor: str | None = None


class Bounds(BaseModel):
    """What interrupted calls may have cost: nobody knows, but not less than `lower` and not more than `upper`."""

    calls: int
    lower_nano_usd: int
    upper_nano_usd: int = Field(description="Of the calls for which anybody can say.")
    unbounded: int = Field(description="Calls of which nobody can say what they cost at most.")


class Costs(Lines):
    """Sums by whatever was asked for."""

    source: Source = Field(
        description="`rollup`: from the sums of each day; `calls`: from the calls themselves."
    )
    group_by: list[str]
    rows: list[SumsRow]
    total: Sums = Field(description="Of all lines, also those of other pages; a call counts once.")
    unpriced_reasons: dict[str, int] = Field(
        default={}, description="Why calls have no cost: calls by `cost_reason`, `interrupted` among them."
    )
    interrupted: Bounds | None = Field(
        default=None,
        description="Of interrupted calls without a cost, which no sum contains; null: there are none.",
    )


class ErrorRow(BaseModel):
    """One kind of error."""

    error_type: str
    provider: str
    model: str = Field(description="As served, or as asked for if nobody was asked.")
    count: int
    first_at: str
    last_at: str
    last_message: str
    last_http_status: int
    last_call_id: str


class Errors(Lines):
    """Kinds of errors, the most frequent first."""

    rows: list[ErrorRow]


class Percentiles(BaseModel):
    """How a number is spread: each within one percent. Null where nothing was measured."""

    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None


class Latency(BaseModel):
    """How long answers took, in microseconds, and how fast they came."""

    measured: int = Field(
        default=0, description="Calls in these percentiles: those with status `ok`, or as asked for."
    )
    total_us: Percentiles = Field(
        default=Percentiles(), description="From the request to the end of the answer."
    )
    first_token_us: Percentiles = Field(
        default=Percentiles(), description="To the first token, where one was seen."
    )
    overhead_us: Percentiles = Field(default=Percentiles(), description="The gateway's own part.")
    output_tokens_per_s: Percentiles = Field(
        default=Percentiles(),
        description="Output tokens by seconds of the whole call, where there are tokens.",
    )


class LatencyRow(Latency):
    """The same of one group."""

    group: dict[str, str]
    calls: int


class Latencies(Lines):
    """Percentiles by whatever was asked for."""

    group_by: list[str]
    rows: list[LatencyRow]


class Side(Sums):
    """One of two that are compared."""

    value: str = Field(description="What the sides differ in; empty where it is the time.")
    from_: str = Field(serialization_alias="from")
    to: str
    error_rate: float | None = Field(default=None, description="Errors by calls; null without calls.")
    cost_per_call_nano_usd: float | None = Field(default=None, description="By priced calls.")
    latency: Latency


class Comparison(BaseModel):
    """Two sides, and how far apart they are."""

    by: str
    a: Side
    b: Side
    difference: dict[str, float | None] = Field(
        description="b less a, by field; `latency.total_us.p50` and so on. Null where one of them is null."
    )
    ratio: dict[str, float | None] = Field(description="b by a; null where a is 0, or one of them null.")


class Metric(BaseModel):
    """A number that a step reports of itself with `metrics`."""

    count: int
    mean: float
    min: float
    max: float
    p50: float = Field(description="As `p95` exact up to 8,192 numbers, of a sample of so many beyond.")
    p95: float


class StepRow(Sums):
    """One step of a pipeline."""

    step: str
    latency: Latency
    metrics: dict[str, Metric]


class Steps(Lines):
    """The steps of pipelines, by name."""

    rows: list[StepRow]


class Hit(BaseModel):
    """A place where words were found."""

    part: Literal["request", "answer"]
    snippet: str = Field(description="What stands around the first of the words.")
    call: CallAnswer


class Hits(Lines):
    """Places where words were found, newest first."""

    words: list[str]
    hits: list[Hit]


QUANTILES = ("p50", "p90", "p95", "p99")


def sums_fields(row: Row) -> Row:
    """Sums as they are told: no cost where no call is priced."""
    known = {name: row[name] for name in Sums.model_fields if name in row}
    nobody_knows = bool(row["calls"]) and not row["priced"]
    cost = None if nobody_knows else row["cost_nano_usd"]
    return {
        **known,
        "cost_nano_usd": cost,
        "cost_usd": None if cost is None else dollars(cost),
        "cost_reason": "no_priced_calls" if nobody_knows else "",
        "cache_saved_usd": dollars(row["cache_saved_nano_usd"]),
        **({"first_day": row["first_day"], "last_day": row["last_day"]} if row["calls"] else _NO_DAYS),
    }


_NO_DAYS = {"first_day": None, "last_day": None}


def sums_row(row: Row, group: Mapping[str, str]) -> SumsRow:
    """One line of sums."""
    times = {name: iso(row[f"{name}_us"]) for name in ("first_at", "last_at") if f"{name}_us" in row}
    return SumsRow(**(sums_fields(row) | times), group=dict(group))


def latency(row: Row) -> Latency:
    """Percentiles as they are told."""
    measured = {
        name: percentiles(row[f"spread_{name}"])
        for name in ("total_us", "first_token_us", "overhead_us", "output_tokens_per_s")
    }
    return Latency(measured=row["measured"], **measured)


def share(part: float, whole: float) -> float | None:
    """Return a part of a whole; of nothing there is none."""
    return part / whole if whole else None


def percentiles(values: Sequence[float]) -> Percentiles:
    """Percentiles of nothing are no numbers; of something no more digits are told than they can have."""
    told = (None if math.isnan(value) else round(value, 3) for value in values)
    return Percentiles(**dict(zip(QUANTILES, told, strict=True)))
