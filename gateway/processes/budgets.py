"""Budgets as the hub holds them: what workers ask, what admins do, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TypeVar

import msgspec

from gateway.budgets.authority import Authority, AuthorityAway
from gateway.budgets.records import CLOSE, HOLD, RESERVE, Closing, Reservation, by_id, configured
from gateway.clock import Clock
from gateway.control.budget_authority import BudgetAuthority
from gateway.control.budget_notices import Notices
from gateway.control.records_thread import RecordsThread
from gateway.link import CallFailed
from gateway.link_server import Handler
from gateway.places import Places
from gateway.settings import Budget as Settings
from gateway.tasks import spawn
from gateway.transport import Transport

T = TypeVar("T")


class HubBudgets:
    """Knows how the parts hang together. The accounts have a connection of their own to the control records."""

    def __init__(
        self, places: Places, url: str, said: Mapping[str, Settings], transport: Transport, clock: Clock
    ) -> None:
        self.configured = by_id(configured(said))
        self._records = RecordsThread(places.control, url, clock)
        self._authority = BudgetAuthority(self._records, self.configured, clock)
        self._notices = Notices(self._records, self.configured, transport, clock)
        self.handlers = handlers(self._authority)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to look after accounts and notices, in the background."""
        self._tasks = [
            spawn(self._authority.run(), name="budget leases"),
            spawn(self._notices.run(), name="budget notices"),
        ]

    async def close(self) -> None:
        """Let go of the records."""
        for task in self._tasks:
            task.cancel()
        await self._records.close()


def handlers(authority: Authority) -> dict[str, Handler]:
    """Return what workers may ask for over the link."""

    async def reserve(params: object) -> object:
        return await _asked(authority.reserve(msgspec.convert(params, Reservation)))

    async def close(params: object) -> object:
        return await _asked(authority.close(msgspec.convert(params, list[Closing])))

    async def hold(params: object) -> object:
        return await _asked(authority.hold(msgspec.convert(params, str)))

    return {RESERVE: reserve, CLOSE: close, HOLD: hold}


async def _asked(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except AuthorityAway as error:
        raise CallFailed("control_away", str(error)) from error
