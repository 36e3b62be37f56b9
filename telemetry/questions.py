"""The questions of the query API: parameters in, answers out; the SQL is in `queries/`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from telemetry.answers import (
    CallAnswer,
    CallDetail,
    CostRow,
    EventAnswer,
    Events,
    Group,
    Page,
    PayloadAnswer,
    Refusal,
    Totals,
    UserCost,
    call_fields,
    dollars,
    iso,
    totals,
)
from telemetry.store.base import Parameter, Row, Store

_QUERIES = Path(__file__).parent / "queries"
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_HOUR_US = 3_600_000_000
_END_OF_TIME_US = 4_102_444_800_000_000  # 2100; DateTime64 goes further, toStartOfHour does not
_ALL = 1_000_000
_LOOK_BACK_US = (_HOUR_US, 24 * _HOUR_US, 7 * 24 * _HOUR_US, 31 * 24 * _HOUR_US)
"""How far a list of events reads at first: a page is usually full before it has to go on."""

Who = Literal["event_id", "thread_id", "user_id"]


class Scope(msgspec.Struct, frozen=True):
    """Whose calls may be seen: those of one environment of a project, or all."""

    project: str = ""
    environment: str = ""
    open: bool = False

    def parameters(self) -> dict[str, Parameter]:
        """The part of every query's parameters that keeps projects and environments apart."""
        return {
            "project": self.project,
            "environment": self.environment,
            "anybodys": int(self.open),
        }


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of calls is narrowed by; empty: not at all."""

    event_id: str = ""
    user_id: str = ""
    thread_id: str = ""
    model: str = ""
    status: str = ""


class EventFilters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of events is narrowed by: an event is shown if one of its calls matches all of it."""

    status: str = ""
    model: str = ""
    user_id: str = ""
    thread_id: str = ""
    text: str = ""
    """In its id, an error message, or the beginning of what was said."""
    from_us: int = 0
    to_us: int = _END_OF_TIME_US


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended."""

    started_at_us: int
    call_id: str


def load(name: str) -> str:
    """Return a query's text."""
    text = (_QUERIES / f"{name}.sql").read_text()
    return text.replace("{{call_columns}}", (_QUERIES / "call_columns.sql").read_text().strip())


class Questions:
    """Asks one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._texts: dict[str, str] = {}

    def calls(self, scope: Scope, filters: Filters, *, limit: int, cursor: str) -> Page:
        """Return a page of calls, newest first."""
        before = _place(cursor) if cursor else Place(_END_OF_TIME_US, "")
        parameters: dict[str, Parameter] = {
            **scope.parameters(),
            **msgspec.structs.asdict(filters),
            "before_us": before.started_at_us,
            "before_id": before.call_id,
            "limit": limit + 1,
        }
        named: list[Who] = [
            who for who in ("event_id", "thread_id", "user_id") if getattr(filters, who)
        ]  # the one that finds fewest comes first
        if named:
            alone = len(named) == 1 and not filters.model and not filters.status
            parameters |= {
                "key": named[0],
                "value": getattr(filters, named[0]),
                "index_limit": limit + 1 if alone else _ALL,
            }
        else:
            for who in ("event_id", "thread_id", "user_id"):
                del parameters[who]
        return self._page(scope, "calls_found" if named else "calls_recent", parameters, limit)

    def call(self, scope: Scope, call_id: str) -> CallDetail:
        """Return one call with its payloads; raise Refusal if there is none."""
        rows: list[Row] = []
        for from_us, to_us in _hours(call_id):
            where: dict[str, Parameter] = {"call_id": call_id, "from_us": from_us, "to_us": to_us}
            rows = self._ask("call", {**scope.parameters(), **where})
            if rows:
                break
        if not rows:
            raise Refusal(
                404, "call_not_found", f"there is no call {call_id!r} (a call appears within a second)"
            )
        fields = call_fields(rows[0])
        bodies = self._ask(
            "call_payloads",
            {"project": fields["project"], "call_id": call_id, "started_at_us": fields["started_at_us"]},
        )
        said = {body["kind"]: PayloadAnswer(**body) for body in bodies}
        return CallDetail(**fields, request=said.get("request"), answer=said.get("answer"))

    def group(self, scope: Scope, who: Who, value: str, *, limit: int, cursor: str) -> Group:
        """Return the calls of an event or thread, oldest first, with the totals of all of them."""
        after = _place(cursor) if cursor else Place(0, "")
        which: dict[str, Parameter] = {**scope.parameters(), "key": who, "value": value}
        page = self._page(
            scope,
            "calls_of",
            {**which, "after_us": after.started_at_us, "after_id": after.call_id, "limit": limit + 1},
            limit,
        )
        (sums,) = self._ask("totals_of", which)
        some = bool(sums["calls"])
        return Group(
            id=value,
            calls=page.calls,
            next_cursor=page.next_cursor,
            totals=totals(sums),
            first_at=iso(sums["first_us"]) if some else None,
            last_at=iso(sums["last_us"]) if some else None,
        )

    def events(self, scope: Scope, filters: EventFilters, *, limit: int, cursor: str, now_us: int) -> Events:
        """Return a page of events, the one with the newest matching call first."""
        before = _place(cursor) if cursor else Place(filters.to_us, "\U0010ffff")
        latest = min(before.started_at_us, filters.to_us, now_us)
        found: list[Row] = []
        for from_us in (*(latest - reach for reach in _LOOK_BACK_US), 0):
            parameters: dict[str, Parameter] = {
                **scope.parameters(),
                **msgspec.structs.asdict(filters),
                "from_us": max(from_us, filters.from_us),
                "before_us": before.started_at_us,
                "before_id": before.call_id,
                "limit": limit + 1,
            }
            found = self._ask("events_recent", parameters)
            if len(found) > limit or from_us <= filters.from_us:
                break
        page, more = found[:limit], len(found) > limit
        last = Place(page[-1]["last_us"], page[-1]["event_id"]) if more else None
        return Events(events=self._told(scope, page), next_cursor=_cursor(last) if last else None)

    def _told(self, scope: Scope, found: list[Row]) -> list[EventAnswer]:
        """Say of each event what all its calls used, and how its newest one began."""
        if not found:
            return []
        ids: list[str] = [row["event_id"] for row in found]
        sums = {
            row["event_id"]: row for row in self._ask("events_totals", {**scope.parameters(), "ids": ids})
        }
        calls = [{"call_id": row["last_call_id"], "started_at_us": row["last_us"]} for row in found]
        self._add_previews(scope, calls)
        return [
            _event(row, sums[row["event_id"]], call["request_preview"])
            for row, call in zip(found, calls, strict=True)
            if row["event_id"] in sums
        ]

    def user_cost(
        self,
        scope: Scope,
        user_id: str,
        *,
        days: tuple[str, str],
        group_by: Sequence[Literal["day", "model"]],
    ) -> UserCost:
        """Return what a user cost between two days, both included."""
        rows = self._ask(
            "user_cost",
            {
                **scope.parameters(),
                "user_id": user_id,
                "from_day": days[0],
                "to_day": days[1],
                "by_day": int("day" in group_by),
                "by_model": int("model" in group_by),
            },
        )
        sums = {name: sum(row[name] for row in rows) for name in Totals.model_fields if name != "cost_usd"}
        return UserCost(
            user_id=user_id,
            from_day=days[0],
            to_day=days[1],
            group_by=list(group_by),
            rows=[_cost_row(row) for row in rows],
            total=totals(sums),
        )

    def _page(self, scope: Scope, query: str, parameters: dict[str, Parameter], limit: int) -> Page:
        rows = [call_fields(row) for row in self._ask(query, parameters)]
        more = len(rows) > limit
        rows = rows[:limit]
        self._add_previews(scope, rows)
        last = Place(rows[-1]["started_at_us"], rows[-1]["call_id"]) if more else None
        return Page(calls=[CallAnswer(**row) for row in rows], next_cursor=_cursor(last) if last else None)

    def _add_previews(self, scope: Scope, rows: list[Row]) -> None:
        if not rows:
            return
        found = self._ask(
            "previews",
            {
                **scope.parameters(),
                "ids": [row["call_id"] for row in rows],
                "times": sorted({row["started_at_us"] // _HOUR_US * _HOUR_US for row in rows}),
            },
        )
        shown = {(row["call_id"], row["kind"]): row["preview"] for row in found}
        for row in rows:
            for kind in ("request", "answer"):
                row[f"{kind}_preview"] = shown.get((row["call_id"], kind), "")

    def _ask(self, name: str, parameters: dict[str, Parameter]) -> list[Row]:
        if name not in self._texts:
            self._texts[name] = load(name)
        return self._store.query(self._texts[name], parameters)


def _cost_row(row: Row) -> CostRow:
    named = {**row, "day": row["day"] or None, "model": row["model"] or None}
    return CostRow(**named, cost_usd=dollars(row["cost_nano_usd"]))


def _event(row: Row, sums: Row, preview: str) -> EventAnswer:
    return EventAnswer(
        **totals(sums).model_dump(),
        event_id=row["event_id"],
        models=list(sums["models"]),
        user_ids=list(sums["user_ids"]),
        first_at=iso(sums["first_us"]),
        last_at=iso(row["last_us"]),
        total_us=sums["total_us"],
        request_preview=preview,
    )


def _hours(call_id: str) -> list[tuple[int, int]]:
    """Where to look for a call: around the time in its id, then everywhere."""
    everywhere = (0, _END_OF_TIME_US)
    if _UUID7.fullmatch(call_id) is None:
        return [everywhere]
    made_us = int(call_id[:8] + call_id[9:13], 16) * 1000
    return [(max(0, made_us - _HOUR_US), min(made_us + _HOUR_US, _END_OF_TIME_US)), everywhere]


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _place(cursor: str) -> Place:
    try:
        place = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=Place)
    except (binascii.Error, ValueError) as error:
        raise _bad_cursor() from error
    if not 0 <= place.started_at_us <= _END_OF_TIME_US:
        raise _bad_cursor()
    return place


def _bad_cursor() -> Refusal:
    return Refusal(
        400,
        "bad_cursor",
        "cursor is not one of ours: pass `next_cursor` of the page before, unchanged",
        param="cursor",
    )
