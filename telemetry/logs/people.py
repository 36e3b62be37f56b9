"""Threads and users, as Respan lists them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from telemetry.answers import Refusal, iso
from telemetry.logs.asking import Listing
from telemetry.logs.columns import COLUMNS, Column
from telemetry.logs.filters import Filter, condition_of
from telemetry.logs.questions import windows
from telemetry.logs.relation import Relation
from telemetry.questions import Range
from telemetry.questions.scope import DAY_US
from telemetry.store.base import Row

TTFT_DAYS = 30
"""The time to the first token is averaged over so many days."""

USER_COLUMNS: Mapping[str, Column] = {
    "customer_identifier": Column("text", "toString(customer_identifier)"),
    "environment": Column("text", "toString(environment)"),
    "first_seen": Column("text", "first_seen"),
    "last_active_timeframe": Column("text", "last_active_timeframe"),
    "active_days": Column("number", "active_days"),
    "number_of_requests": Column("number", "number_of_requests"),
    "total_tokens": Column("number", "total_tokens"),
    "total_cost": Column("number", "cost_nano_usd / 1e9"),
    "average_latency": Column("number", "average_latency"),
}
"""By which users can be sorted and narrowed."""
NUMBERS = ("period_budget", "total_budget", "markup_percentage", "rate_limit")
"""What is said of a user in numbers."""
TOLD = ("name", "email", "budget_duration", "period_start", "period_end", "group_identifier", "metadata")
"""... and in words."""
DURATIONS = ("daily", "weekly", "monthly", "yearly")

Key = tuple[str, str, str]
"""Project, environment and id."""

K = TypeVar("K")


def threads(relation: Relation, listing: Listing, *, now_us: int) -> dict[str, Any]:
    """Return a page of threads, the one that was active last first."""
    condition = condition_of(listing.filters, COLUMNS)
    rows: list[Row] = []
    for time in windows(listing, now_us, by_time=condition.index is None):
        rows = relation.ask(
            "threads",
            {
                **condition.parameters,
                **relation.parameters(time, condition.index),
                "limit": listing.page_size + 1,
                "offset": listing.offset,
            },
            rows=relation.rows(time, condition.index),
            condition=condition.sql,
        )
        if len(rows) > listing.page_size:
            break
    page = rows[: listing.page_size]
    sums = _by_key(
        _of_ids(relation, "thread_totals", "thread_identifier", page, "thread_id", Range()), "thread_id"
    )
    results = [_thread(sums[key]) for key in _by_key(page, "thread_id") if key in sums]
    return listing.answer(results, more=len(rows) > listing.page_size)


def users(relation: Relation, listing: Listing, *, now_us: int) -> dict[str, Any]:
    """Return a page of users, with what they used as it was recorded."""
    rows = _users(relation, listing)
    results = _described(relation, rows[: listing.page_size], now_us)
    return listing.answer(results, more=len(rows) > listing.page_size)


def user(
    relation: Relation, customer_identifier: str, place: tuple[str, str], *, now_us: int
) -> dict[str, Any]:
    """Return one user; raise Refusal if nobody knows them. `place`: where one is looked for that called nothing."""
    wanted = Filter(field="customer_identifier", value=customer_identifier)
    rows = _users(relation, Listing(filters=[wanted], sort_by="last_active_timeframe", page_size=1))[:1]
    if not rows:
        project, environment = place
        rows = [
            {
                "project": project,
                "environment": environment,
                "customer_identifier": customer_identifier,
                **_NOTHING,
            }
        ]
        if not _told_of(relation, rows):
            raise Refusal(404, "user_not_found", f"nobody knows a user {customer_identifier!r}")
    (found,) = _described(relation, rows, now_us)
    return found


_NOTHING: Row = {
    "first_seen": None,
    "last_active_timeframe": None,
    **dict.fromkeys(("active_days", "active_months", "number_of_requests", "unpriced_requests"), 0),
    **dict.fromkeys(("total_tokens", "cost_nano_usd"), 0),
    "average_latency": 0.0,
}


def _users(relation: Relation, listing: Listing) -> list[Row]:
    condition = condition_of(listing.filters, USER_COLUMNS)
    time = Range(listing.from_us or 0, listing.to_us)
    from_day, to_day = time.days
    return relation.ask(
        "users",
        {
            **condition.parameters,
            "from_day": from_day,
            "to_day": to_day,
            "limit": listing.page_size + 1,
            "offset": listing.offset,
        },
        condition=condition.sql,
        order=f"{USER_COLUMNS[listing.sort_by].sql} {'DESC' if listing.descending else 'ASC'}",
    )


def _described(relation: Relation, rows: list[Row], now_us: int) -> list[dict[str, Any]]:
    """Return the users with all that is known of them."""
    lately = Range(max(0, now_us - TTFT_DAYS * DAY_US), now_us + DAY_US)
    details = _of_users(relation, "user_details", rows, lately)
    names = _of_users(relation, "user_names", rows, lately)
    said = _told_of(relation, rows)
    found = []
    for key, row in _by_key(rows, "customer_identifier").items():
        detail, called, fields = details.get(key, {}), names.get(key, {}), said.get(key, {})
        cost = row["cost_nano_usd"]
        found.append(
            {
                **{
                    name: value
                    for name, value in row.items()
                    if name not in ("cost_nano_usd", "active_months")
                },
                "total_cost": cost / 1e9,
                "total_cost_nano_usd": cost,
                "average_monthly_cost": cost / 1e9 / max(1, row["active_months"]),
                "average_ttft": detail.get("average_ttft"),
                **{name: fields.get(name) or None for name in TOLD},
                **{name: float(fields[name]) if fields.get(name) else None for name in NUMBERS},
                "name": fields.get("name") or called.get("name") or None,
                "email": fields.get("email") or called.get("email") or None,
                **_period(relation, key, fields, now_us),
            }
        )
    return found


def _period(relation: Relation, key: Key, fields: Mapping[str, str], now_us: int) -> dict[str, Any]:
    """Return the budget's current period and what was used in it."""
    duration = fields.get("budget_duration", "")
    if duration not in DURATIONS:
        return {"total_period_usage": None}
    today = datetime.fromtimestamp(now_us / 1e6, UTC).date()
    first, last = period_of(duration, today)
    (row,) = relation.ask(
        "period_usage",
        {
            "project": key[0],
            "environment": key[1],
            "user_id": key[2],
            "from_day": first.isoformat(),
            "to_day": last.isoformat(),
        },
    )
    return {
        "period_start": fields.get("period_start") or first.isoformat(),
        "period_end": fields.get("period_end") or last.isoformat(),
        "total_period_usage": row["cost_nano_usd"] / 1e9,
    }


def period_of(duration: str, today: date) -> tuple[date, date]:
    """Return the first and the last day of the calendar period (UTC) in which a day lies."""
    if duration == "daily":
        return today, today
    if duration == "weekly":
        monday = today - timedelta(days=today.weekday())
        return monday, monday + timedelta(days=6)
    if duration == "yearly":
        return today.replace(month=1, day=1), today.replace(month=12, day=31)
    first = today.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _thread(row: Row) -> dict[str, Any]:
    cost = row["cost_nano_usd"]
    return {
        "thread_identifier": row["thread_id"],
        "environment": row["environment"],
        "log_count": row["log_count"],
        "error_count": row["error_count"],
        "customer_identifier": row["customer_identifier"],
        "model": row["model"],
        "total_cost": cost / 1e9,
        "total_cost_nano_usd": cost,
        "total_prompt_tokens": row["total_prompt_tokens"],
        "total_completion_tokens": row["total_completion_tokens"],
        "start_time": iso(row["first_us"]),
        "end_time": iso(row["last_us"]),
    }


def _of_ids(relation: Relation, query: str, field: str, rows: list[Row], name: str, time: Range) -> list[Row]:
    """Ask about the ids of some rows."""
    if not rows:
        return []
    index = COLUMNS[field], sorted({row[name] for row in rows})
    return relation.ask(query, relation.parameters(time, index), rows=relation.rows(time, index))


def _of_users(relation: Relation, query: str, rows: list[Row], time: Range) -> dict[Key, Row]:
    """Ask about the users of some rows."""
    if not rows:
        return {}
    ids = sorted({row["customer_identifier"] for row in rows})
    found = relation.ask(query, {**relation.parameters(time), "ids": ids}, rows=relation.rows(time))
    return _by_key(found, "customer_identifier")


def _told_of(relation: Relation, rows: list[Row]) -> dict[Key, dict[str, str]]:
    """Return what was said of users, newest word on each field."""
    if not rows:
        return {}
    ids = sorted({row["customer_identifier"] for row in rows})
    found = relation.ask("amendments", {"target": "user", "ids": ids})
    return {key: row["fields"] for key, row in _by_key(found, "id").items()}


def _by_key(rows: list[Row], name: str) -> dict[Key, Row]:
    return {(row["project"], row["environment"], row[name]): row for row in rows}
