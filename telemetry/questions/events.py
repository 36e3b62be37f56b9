"""Questions about events: lists of them, and what all their calls used."""

from __future__ import annotations

import msgspec

from telemetry.answers import EventAnswer, Events, Refusal, Together, iso, totals
from telemetry.questions.asker import Place, encoded, place_of
from telemetry.questions.calls import CallQuestions
from telemetry.questions.scope import DAY_US, END_OF_TIME_US, HOUR_US, Scope
from telemetry.store.base import Parameter, Row

_LOOK_BACK_US = (HOUR_US, DAY_US, 7 * DAY_US, 31 * DAY_US)
"""How far a list of events reads at first: a page is usually full before it has to go on."""


class EventFilters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of events is narrowed by: an event is shown if one of its calls matches all of it."""

    status: str = ""
    model: str = ""
    user_id: str = ""
    thread_id: str = ""
    text: str = ""
    """In its id, an error message, or the beginning of what was said."""
    from_us: int = 0
    to_us: int = END_OF_TIME_US


class EventQuestions(CallQuestions):
    """Asks about events."""

    def events(self, scope: Scope, filters: EventFilters, *, limit: int, cursor: str, now_us: int) -> Events:
        """Return a page of events, the one with the newest matching call first."""
        if filters.text and not scope.bodies:
            raise Refusal(403, "scope_missing", "this key lacks the scope 'read'", param="text")
        before = place_of(cursor) if cursor else Place(filters.to_us, "\U0010ffff")
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
        return Events(events=self._told(scope, page), next_cursor=encoded(last) if last else None)

    def _told(self, scope: Scope, found: list[Row]) -> list[EventAnswer]:
        """Say of each event what all its calls used, and how its newest one began."""
        if not found:
            return []
        ids: list[str] = [row["event_id"] for row in found]
        sums = {
            row["event_id"]: row
            for row in self._ask_calls("events_totals", {**scope.parameters(), "ids": ids})
        }
        calls = [{"call_id": row["last_call_id"], "started_at_us": row["last_us"]} for row in found]
        self._add_previews(scope, calls)
        return [
            _event(row, sums[row["event_id"]], call["request_preview"])
            for row, call in zip(found, calls, strict=True)
            if row["event_id"] in sums
        ]


def _event(row: Row, sums: Row, preview: str) -> EventAnswer:
    return EventAnswer(
        **totals(sums, Together).model_dump(),
        event_id=row["event_id"],
        models=list(sums["models"]),
        user_ids=list(sums["user_ids"]),
        first_at=iso(sums["first_us"]),
        last_at=iso(row["last_us"]),
        total_us=sums["total_us"],
        request_preview=preview,
    )
