"""Asks the ledger for a page, in the name of whoever opened it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from telemetry.answers import CallDetail, Events, Group
from telemetry.api import open_questions, refusal_of, scope
from telemetry.questions import EventFilters, Questions, Scope
from telemetry.store.base import Store, StoreError

Answer = TypeVar("Answer")


class Reader:
    """The questions of one visitor. They run in threads, as the store blocks; each may raise Refusal."""

    def __init__(self, store: Callable[[], Store | None], who: Scope, *, now_us: Callable[[], int]) -> None:
        self._store = store
        self._now_us = now_us
        self._who = who
        self.open = who.open
        """No key was needed."""

    async def events(self, filters: EventFilters, *, limit: int, cursor: str) -> Events:
        """Return a page of events."""
        now_us = self._now_us()
        return await self._ask(
            lambda ask: ask.events(self._who, filters, limit=limit, cursor=cursor, now_us=now_us)
        )

    async def event(self, event_id: str, *, limit: int, cursor: str) -> Group:
        """Return the calls of an event."""
        return await self._ask(
            lambda ask: ask.group(self._who, "event_id", event_id, limit=limit, cursor=cursor)
        )

    async def call(self, call_id: str) -> CallDetail:
        """Return all about one call."""
        return await self._ask(lambda ask: ask.call(self._who, call_id))

    async def _ask(self, question: Callable[[Questions], Answer]) -> Answer:
        try:
            return await asyncio.to_thread(question, open_questions(self._store))
        except StoreError as error:
            raise refusal_of(error) from error


def reader_for(store: Callable[[], Store | None], now_us: Callable[[], int]) -> Callable[[Request], Reader]:
    """Return what makes a visitor's reader from the request for a page; it raises Refusal for a stranger."""
    return lambda request: Reader(
        store, scope(request.headers.get("x-tidegate-principal", "")), now_us=now_us
    )
