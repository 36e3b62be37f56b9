"""Questions about calls: a list of them, one with all there is, the calls of an event or thread."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from telemetry.answers import (
    CallAnswer,
    CallDetail,
    Group,
    Page,
    PayloadAnswer,
    Refusal,
    Together,
    call_fields,
    iso,
    totals,
)
from telemetry.questions.asker import Asker, Place, encoded, place_of
from telemetry.questions.filters import Filters, Where, in_index
from telemetry.questions.scope import END_OF_TIME_US, HOUR_US, Range, Scope
from telemetry.store.base import Parameter, Row

_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LOOK_FOR_US = (HOUR_US, 24 * HOUR_US, 7 * 24 * HOUR_US, 31 * 24 * HOUR_US)
"""How far a list reads at first: a page is usually full before it has to go on."""

Who = Literal["event_id", "thread_id", "user_id"]
Sort = Literal["newest", "oldest", "slowest", "most_expensive"]

_FOUND = """SELECT {table}.call_id AS call_id, toUnixTimestamp64Micro({table}.started_at) AS started_at_us, {value} AS value
FROM {source}
WHERE {where} AND {beyond}
ORDER BY {order}
LIMIT {{limit:UInt32}}"""
_LEAST = """(SELECT min(value) FROM (
    SELECT {value} AS value
    FROM {source}
    WHERE {where} AND {below}
    ORDER BY value DESC
    LIMIT {{limit:UInt32}}
))"""
"""The value that the last call of a page has at least: found first, as then few ids have to be read."""
_PLACE = "fromUnixTimestamp64Micro({place_us:Int64}, 'UTC'), {place_id:String}"
_VALUES = {"slowest": "toInt64(spans.total_us)", "most_expensive": "assumeNotNull(spans.cost_nano_usd)"}


class CallQuestions(Asker):
    """Asks about calls."""

    def calls(
        self,
        scope: Scope,
        filters: Filters,
        *,
        limit: int,
        cursor: str,
        within: Range | None = None,
        sort: Sort = "newest",
    ) -> Page:
        """Return a page of calls."""
        within = within or Range()
        if sort in _VALUES:
            found = self._ranked(scope, filters, within, sort, limit=limit + 1, cursor=cursor)
        else:
            found = self._in_order(scope, filters, within, sort, limit=limit + 1, cursor=cursor)
        page = found[:limit]
        last = page[-1] if len(found) > limit else None
        mark = "" if sort == "newest" else sort
        place = Place(last["started_at_us"], last["call_id"], last["value"], mark) if last else None
        return Page(calls=self._by_id(scope, page), next_cursor=encoded(place) if place else None)

    def call(self, scope: Scope, call_id: str) -> CallDetail:
        """Return one call with its payloads; raise Refusal if there is none."""
        rows: list[Row] = []
        for from_us, to_us in _hours(call_id):
            where: dict[str, Parameter] = {"call_id": call_id, "from_us": from_us, "to_us": to_us}
            rows = self._ask_calls("call", {**scope.parameters(), **where})
            if rows:
                break
        if not rows:
            raise Refusal(
                404, "call_not_found", f"there is no call {call_id!r} (a call appears within a second)"
            )
        fields = call_fields(rows[0])
        if not scope.bodies:
            return CallDetail(**wordless(fields))
        bodies = self._ask(
            "call_payloads",
            {"project": fields["project"], "call_id": call_id, "started_at_us": fields["started_at_us"]},
        )
        said = {body["kind"]: PayloadAnswer(**body) for body in bodies}
        return CallDetail(**fields, request=said.get("request"), answer=said.get("answer"))

    def group(self, scope: Scope, who: Who, value: str, *, limit: int, cursor: str) -> Group:
        """Return the calls of an event or thread, oldest first, with the totals of all of them."""
        after = place_of(cursor) if cursor else Place(0, "")
        which: dict[str, Parameter] = {**scope.parameters(), "key": who, "value": value}
        place: dict[str, Parameter] = {
            "after_us": after.started_at_us,
            "after_id": after.call_id,
            "limit": limit + 1,
        }
        rows = [call_fields(row) for row in self._ask_calls("calls_of", {**which, **place})]
        page = rows[:limit]
        self._add_previews(scope, page)
        (sums,) = self._ask_calls("totals_of", which)
        some = bool(sums["calls"])
        last = Place(page[-1]["started_at_us"], page[-1]["call_id"]) if len(rows) > limit else None
        return Group(
            id=value,
            calls=[CallAnswer(**row) for row in page],
            next_cursor=encoded(last) if last else None,
            totals=totals(sums, Together),
            first_at=iso(sums["first_us"]) if some else None,
            last_at=iso(sums["last_us"]) if some else None,
        )

    def last_us(self) -> int:
        """Return when the newest call of all began."""
        (ends,) = self._ask("ends", {})
        return int(ends["last_us"])

    def _in_order(
        self, scope: Scope, filters: Filters, within: Range, sort: Sort, *, limit: int, cursor: str
    ) -> list[Row]:
        """Find calls by time, going through stretches of it until there are enough."""
        back = sort == "newest"
        place = place_of(cursor, "" if back else sort) if cursor else None
        indexed = in_index(scope, within, filters)
        if indexed is not None:
            return self._read(*_listed("span_index", indexed, place, limit, back=back))
        found: list[Row] = []
        for stretch in self._between(within, place, back=back):
            where = self._in_calls(scope, stretch, filters)
            found += self._read(*_listed("spans", where, place, limit - len(found), back=back))
            if len(found) >= limit:
                break
        return found

    def _between(self, within: Range, place: Place | None, *, back: bool) -> Iterator[Range]:
        """Cut the time from here to the ledger's end into pieces."""
        (ends,) = self._ask("ends", {})
        from_us, to_us = max(within.from_us, ends["first_us"]), min(within.to_us, ends["last_us"] + 1)
        if place and back:
            to_us = min(to_us, place.started_at_us + 1)
        elif place:
            from_us = max(from_us, place.started_at_us)
        return stretches(Range(from_us, to_us), back=back)

    def _ranked(
        self, scope: Scope, filters: Filters, within: Range, sort: Sort, *, limit: int, cursor: str
    ) -> list[Row]:
        """Find the calls with the greatest value; those without one are left out."""
        place = place_of(cursor, sort) if cursor else None
        where = self._in_calls(scope, within, filters)
        value = _VALUES[sort]
        known = "isNotNull(spans.cost_nano_usd)" if sort == "most_expensive" else "1"
        these = f"{where.text} AND {known}"
        least = _LEAST.format(
            value=value,
            source=where.source,
            where=these,
            below=f"{value} < {{place_value:Int64}}" if place else "1",
        )
        beyond = f"({value}, spans.started_at, spans.call_id) < ({{place_value:Int64}}, {_PLACE})"
        sql = _FOUND.format(
            table="spans",
            value=value,
            source=where.source,
            where=f"{these} AND {value} >= {least}",
            beyond=beyond if place else "1",
            order="value DESC, spans.started_at DESC, spans.call_id DESC",
        )
        return self._read(sql, {**where.parameters, **_placed(place), "limit": limit})

    def _by_id(self, scope: Scope, found: list[Row]) -> list[CallAnswer]:
        """Return these calls in this order, with all their columns: a list reads few until it knows which."""
        if not found:
            return []
        ids: list[str] = [row["call_id"] for row in found]
        times = sorted({row["started_at_us"] // HOUR_US * HOUR_US for row in found})
        rows = [
            call_fields(row)
            for row in self._ask_calls("calls_by_id", {**scope.parameters(), "ids": ids, "times": times})
        ]
        self._add_previews(scope, rows)
        told = {row["call_id"]: CallAnswer(**row) for row in rows}
        return [told[call_id] for call_id in ids if call_id in told]

    def _add_previews(self, scope: Scope, rows: list[Row]) -> None:
        if not scope.bodies:
            rows[:] = map(wordless, rows)
            return
        if not rows:
            return
        found = self._ask(
            "previews",
            {
                **scope.parameters(),
                "ids": [row["call_id"] for row in rows],
                "times": sorted({row["started_at_us"] // HOUR_US * HOUR_US for row in rows}),
            },
        )
        shown = {(row["call_id"], row["kind"]): row["preview"] for row in found}
        for row in rows:
            for kind in ("request", "answer"):
                row[f"{kind}_preview"] = shown.get((row["call_id"], kind), "")


def wordless(row: Row) -> Row:
    """Return a call without what was said in it; errors of providers quote the request."""
    attempts = [{**one, "error_message": ""} for one in row.get("attempts", ())]
    return {**row, "error_message": "", "request_preview": "", "answer_preview": "", "attempts": attempts}


def stretches(within: Range, *, back: bool) -> Iterator[Range]:
    """Cut a time into ever longer pieces that do not overlap, from one of its ends."""
    from_us, to_us = within.from_us, within.to_us
    for length in (*_LOOK_FOR_US, END_OF_TIME_US):
        if from_us >= to_us:
            return
        if back:
            middle = max(from_us, to_us - length)
            yield Range(middle, to_us)
            to_us = middle
        else:
            middle = min(to_us, from_us + length)
            yield Range(from_us, middle)
            from_us = middle


def _listed(
    table: str, where: Where, place: Place | None, limit: int, *, back: bool
) -> tuple[str, dict[str, Parameter]]:
    """Return the query for calls by time, and its parameters."""
    sign, way = ("<", "DESC") if back else (">", "ASC")
    sql = _FOUND.format(
        table=table,
        value="toInt64(0)",
        source=where.source,
        where=where.text,
        beyond=f"({table}.started_at, {table}.call_id) {sign} ({_PLACE})" if place else "1",
        order=f"{table}.started_at {way}, {table}.call_id {way}",
    )
    return sql, {**where.parameters, **_placed(place), "limit": limit}


def _placed(place: Place | None) -> dict[str, Parameter]:
    if place is None:
        return {}
    return {"place_us": place.started_at_us, "place_id": place.call_id, "place_value": place.value}


def _hours(call_id: str) -> list[tuple[int, int]]:
    """Where to look for a call: around the time in its id, then everywhere."""
    everywhere = (0, END_OF_TIME_US)
    if _UUID7.fullmatch(call_id) is None:
        return [everywhere]
    made_us = int(call_id[:8] + call_id[9:13], 16) * 1000
    return [(max(0, made_us - HOUR_US), min(made_us + HOUR_US, END_OF_TIME_US)), everywhere]
