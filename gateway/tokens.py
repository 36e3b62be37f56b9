"""Access tokens of cloud accounts: fetched at the first call, and again beside the calls before they expire."""

from __future__ import annotations

import asyncio
import logging
from contextlib import closing

import msgspec

from gateway.clock import Clock
from gateway.errors import UpstreamFailed
from gateway.providers.google_account import Account, Granted, ask, read_granted
from gateway.settings import Timeouts
from gateway.tasks import spawn
from gateway.transport import Transport

logger = logging.getLogger(__name__)

EARLY_S = 300
"""A token is renewed so long before its end, or when half of its time is over if that is later."""
AGAIN_S = 10
"""So long after a failure the next call asks again, if the old token is still good."""
_PATIENCE = Timeouts(connect_s=5, first_byte_s=20, idle_s=20, total_s=30)
_MOST_BYTES = 64 * 1024
_MOST_TOLD = 300
_SECOND = 1_000_000_000


class _Held(msgspec.Struct):
    token: str
    renew_ns: int
    until_ns: int


class Tokens:
    """The tokens of one process. However many calls need one, it is asked for once."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._held: dict[Account, _Held] = {}
        self._asked: dict[Account, asyncio.Task[str | UpstreamFailed]] = {}

    async def of(self, account: Account) -> str:
        """Return a token that is good now; raise UpstreamFailed if there is none to be had."""
        now_ns = self._clock.monotonic_ns()
        held = self._held.get(account)
        if held is not None and now_ns < held.renew_ns:
            return held.token
        task = self._asked.get(account)
        if task is None:
            task = self._asked[account] = spawn(self._renew(account), name=f"token of {account.name}")
        if held is not None and now_ns < held.until_ns:
            return held.token
        found = await asyncio.shield(task)  # others wait for it, too
        if isinstance(found, UpstreamFailed):
            raise found
        return found

    async def _renew(self, account: Account) -> str | UpstreamFailed:
        try:
            granted = await self._ask(account)
        except UpstreamFailed as error:
            logger.warning("token_not_renewed", extra={"account": account.name, "error": str(error)})
            if (held := self._held.get(account)) is not None:
                held.renew_ns = self._clock.monotonic_ns() + AGAIN_S * _SECOND
            return error
        finally:
            del self._asked[account]
        now_ns = self._clock.monotonic_ns()
        lasts_s = max(granted.expires_in, 0)
        renew_s = max(lasts_s - EARLY_S, lasts_s / 2)
        self._held[account] = _Held(
            granted.access_token, now_ns + int(renew_s * _SECOND), now_ns + lasts_s * _SECOND
        )
        return granted.access_token

    async def _ask(self, account: Account) -> Granted:
        """Ask for a token; raise UpstreamFailed saying why there is none."""
        try:
            outgoing = await asyncio.to_thread(ask, account, self._clock.now_us() // 1_000_000)
            with closing(await self._transport.open(outgoing, _PATIENCE, stream=False)) as answer:
                body = await answer.read(_MOST_BYTES)
            if answer.status == 200:
                return read_granted(body)
        except (ValueError, RecursionError) as error:
            raise _refused(account, str(error)) from error
        raise _refused(account, f"status {answer.status}: {body[:_MOST_TOLD].decode(errors='replace')}")


def _refused(account: Account, why: str) -> UpstreamFailed:
    return UpstreamFailed(f"no access token for {account.name}: {why}", code="no_access_token")
