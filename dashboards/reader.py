"""Asks the ledger for a page, in the name of whoever opened it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from fastapi import Request

from telemetry.answers import CallAnswer, CallDetail, Events, Group, Page
from telemetry.api import open_questions, refusal_of, scope
from telemetry.api.calls import bounded
from telemetry.api.narrowing import allowed
from telemetry.figures import Costs, Errors, Hits, Steps
from telemetry.memory_figures import MemorySteps
from telemetry.questions import EventFilters, Questions, Range, Scope
from telemetry.questions.calls import Sort
from telemetry.questions.costs import CostOrder
from telemetry.questions.filters import Filters
from telemetry.questions.memory import AskReading, nobody_reads
from telemetry.store.base import Store, StoreError
from telemetry.upkeep.rerate import Correction, corrections_of

Answer = TypeVar("Answer")


class Reader:
    """The questions of one visitor. They run in threads, as the store blocks; each may raise Refusal."""

    def __init__(
        self,
        store: Callable[[], Store | None],
        who: Scope,
        *,
        now_us: Callable[[], int],
        reading: AskReading = nobody_reads,
    ) -> None:
        self._store = store
        self._reading = reading
        self._who = who
        self.now_us = now_us
        self.open = who.open
        """No key was needed."""

    async def events(self, filters: EventFilters, *, limit: int, cursor: str) -> Events:
        """Return a page of events."""
        now_us = self.now_us()
        return await self._ask(
            lambda ask: ask.events(self._who, filters, limit=limit, cursor=cursor, now_us=now_us)
        )

    async def event(self, event_id: str, *, limit: int, cursor: str) -> Group:
        """Return the calls of an event."""
        return await self._ask(
            lambda ask: ask.group(self._who, "event_id", event_id, limit=limit, cursor=cursor)
        )

    async def calls(self, filters: Filters, within: Range, *, sort: Sort, limit: int, cursor: str) -> Page:
        """Return a page of calls."""
        self._check(filters)

        def look(ask: Questions) -> Page:
            time = within if sort == "newest" else bounded(within, ask.last_us())
            return ask.calls(self._who, filters, within=time, sort=sort, limit=limit, cursor=cursor)

        return await self._ask(look)

    async def search(self, words: str, filters: Filters, within: Range, *, limit: int, cursor: str) -> Hits:
        """Return a page of the places where all the words were said."""
        self._check(filters)

        def look(ask: Questions) -> Hits:
            time = bounded(within, ask.last_us())
            return ask.search(self._who, words, filters, time, limit=limit, cursor=cursor)

        return await self._ask(look)

    async def call(self, call_id: str) -> CallDetail:
        """Return all about one call."""
        return await self._ask(lambda ask: ask.call(self._who, call_id))

    async def corrections(self, call: CallAnswer) -> list[Correction]:
        """Return how the cost of a call that this visitor was shown was corrected, oldest first."""

        def look(_: Questions) -> list[Correction]:
            store, at = self._store(), (call.project, call.environment, call.call_id, call.started_at_us)
            return corrections_of(store, *at) if store else []

        return await self._ask(look)

    async def costs(
        self,
        filters: Filters,
        within: Range,
        by: Sequence[str],
        *,
        order: CostOrder = "group",
        limit: int,
        cursor: str = "",
    ) -> Costs:
        """Return a page of sums, and the sum of all."""
        self._check(filters)
        return await self._ask(
            lambda ask: ask.costs(self._who, filters, within, by, order=order, limit=limit, cursor=cursor)
        )

    async def errors(self, filters: Filters, within: Range, *, limit: int, cursor: str) -> Errors:
        """Return a page of kinds of errors."""
        self._check(filters)
        return await self._ask(lambda ask: ask.errors(self._who, filters, within, limit=limit, cursor=cursor))

    async def steps(self, filters: Filters, within: Range, *, limit: int, cursor: str) -> Steps:
        """Return a page of the steps of pipelines."""
        self._check(filters)
        return await self._ask(lambda ask: ask.steps(self._who, filters, within, limit=limit, cursor=cursor))

    async def memory_steps(self, within: Range) -> MemorySteps:
        """Return how memory does."""
        return await self._ask(lambda ask: ask.memory_steps(self._who, within, self._reading))

    def _check(self, filters: Filters) -> None:
        for name in ("project", "environment"):
            allowed(self._who, name, str(filters.get(name, "")), param=name)

    async def _ask(self, question: Callable[[Questions], Answer]) -> Answer:
        try:
            return await asyncio.to_thread(question, open_questions(self._store))
        except StoreError as error:
            raise refusal_of(error) from error


def reader_for(
    store: Callable[[], Store | None], now_us: Callable[[], int], reading: AskReading = nobody_reads
) -> Callable[[Request], Reader]:
    """Return what makes a visitor's reader from the request for a page; it raises Refusal for a stranger."""
    return lambda request: Reader(
        store, scope(request.headers.get("x-tidegate-principal", "")), now_us=now_us, reading=reading
    )
