"""Days and moments as people write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Query, Request

from telemetry.answers import Refusal
from telemetry.questions import Range
from telemetry.questions.scope import DAY_US, END_OF_TIME_US

Day = Annotated[str, Query(description="A day, as in 2026-11-21, UTC.")]
From = Annotated[
    str,
    Query(
        alias="from",
        description="The first day, as in 2026-11-21 (UTC), or the first moment, as in 2026-11-21T14:30:00Z.",
    ),
]
To = Annotated[
    str, Query(description="The last day, to its end, or the moment up to which; that itself is left out.")
]


def days(request: Request, from_: Annotated[Day, Query(alias="from")] = "", to: Day = "") -> tuple[str, str]:
    """Return the first and the last day asked for: this month's so far if nothing was said."""
    today = _today(request)
    first = _day("from", from_) or today.replace(day=1)
    last = _day("to", to) or max(today, first)
    if first > last:
        raise _bad_range(f"{first}", f"{last}")
    return first.isoformat(), last.isoformat()


def _range(begin: Callable[[date], date] | None, most_days: int = 0) -> Callable[..., Range]:
    """Make what reads a range; `begin` says where one begins that was not told, None: with the ledger."""

    def within(request: Request, from_: From = "", to: To = "") -> Range:
        today = _today(request)
        to_us = moment("to", to, last=True) if to else _us(today) + DAY_US if begin else END_OF_TIME_US
        if from_:
            from_us = moment("from", from_)
        else:
            last = datetime.fromtimestamp((to_us - 1) / 1e6, UTC).date()
            from_us = _us(begin(last)) if begin else 0
        if from_us >= to_us:
            raise _bad_range(from_, to)
        if most_days and to_us - from_us > most_days * DAY_US:
            raise Refusal(
                400, "range_too_long", f"at most {most_days} days at once: move from= or to=", param="from"
            )
        return Range(from_us, to_us)

    return within


def moment(name: str, text: str, *, last: bool = False) -> int:
    """Return a day's beginning (its end, if it is the last one) or a moment, in microseconds; may raise Refusal."""
    try:
        if len(text) <= len("2026-11-21"):
            found = _us(date.fromisoformat(text)) + (DAY_US if last else 0)
        else:
            told = datetime.fromisoformat(text)
            aware = told if told.tzinfo else told.replace(tzinfo=UTC)
            found = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    except (ValueError, OverflowError) as error:
        remedy = "write a day like 2026-11-21 or a moment like 2026-11-21T14:30:00Z"
        raise Refusal(400, "bad_date", f"{name}={text!r} is neither: {remedy}", param=name) from error
    if not 0 <= found <= END_OF_TIME_US:
        raise Refusal(400, "bad_date", f"{name}={text!r} is not between 1970 and 2100", param=name)
    return found


def _day(name: str, text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refusal(
            400, "bad_date", f"{name}={text!r} is not a day: write it like 2026-11-21", param=name
        ) from error


def _today(request: Request) -> date:
    return datetime.fromtimestamp(request.app.state.now_us() / 1e6, UTC).date()


def _us(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_US


def _bad_range(first: str, last: str) -> Refusal:
    return Refusal(400, "bad_range", f"from {first} is after to {last}: swap them", param="from")


def _week(last: date) -> date:
    return last - timedelta(days=6)


Days = Annotated[tuple[str, str], Depends(days)]
Ever = Annotated[Range, Depends(_range(None))]
"""All the ledger's time unless asked otherwise."""
Month = Annotated[Range, Depends(_range(lambda last: last.replace(day=1)))]
"""From the first of the month unless asked otherwise."""
Week = Annotated[Range, Depends(_range(_week))]
"""Seven days unless asked otherwise."""
