"""The authority of an installation with several workers: its hub counts, they ask over the link."""

from __future__ import annotations

import asyncio

import msgspec

from gateway.clock import Clock
from gateway.limits.base import LEASE_US, PATIENCE_S, AuthorityAway, Demand, Verdict
from gateway.limits.core import Counters, Lease
from gateway.limits.leases import Leases
from gateway.link import CallFailed, FrameTooLarge, LinkClient, LinkDown
from gateway.link_server import Handler

RESERVE = "limits.reserve"
SETTLE = "limits.settle"
RENEW = "limits.renew"

_SILENCE_S = 0.1
"""After a question without an answer nobody waits for the next one for so long."""


class HubCounters:
    """The hub's end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counters = Counters()
        self.handlers: dict[str, Handler] = {
            RESERVE: self._reserve,
            SETTLE: self._settle,
            RENEW: self._renew,
        }
        """What workers may call."""

    async def _reserve(self, params: object) -> Verdict:
        return self._counters.reserve(msgspec.convert(params, Demand), self._now_us(), LEASE_US)

    async def _settle(self, params: object) -> None:
        second, tokens, demand = msgspec.convert(params, tuple[int, int, Demand])
        self._counters.settle(demand, second, tokens)

    async def _renew(self, params: object) -> None:
        self._counters.renew(msgspec.convert(params, list[Lease]), self._now_us(), LEASE_US)

    def _now_us(self) -> int:
        return self._clock.monotonic_ns() // 1000


class HubLimiter:
    """A worker's end. After the hub was away it is told again which calls are under way."""

    def __init__(self, link: LinkClient) -> None:
        self._link = link
        self._leases = Leases(lambda leases: link.notify(RENEW, leases))
        self._silent_until = 0.0
        link.when_up(self._leases.renew)

    async def reserve(self, demand: Demand) -> Verdict:
        """Take what is asked for from every part, or from none. Raises AuthorityAway."""
        self._leases.hold(demand)
        loop = asyncio.get_running_loop()
        try:
            if loop.time() < self._silent_until:
                raise AuthorityAway("the hub did not answer the call before")
            verdict = msgspec.convert(
                await self._link.call(RESERVE, demand, timeout_s=PATIENCE_S), type=Verdict
            )
        except TimeoutError as error:
            self._silent_until = loop.time() + _SILENCE_S
            raise AuthorityAway("the hub does not answer") from error
        except (LinkDown, CallFailed, FrameTooLarge, msgspec.ValidationError) as error:
            raise AuthorityAway(str(error)) from error
        except asyncio.CancelledError:
            self.settle(demand, 0, demand.tokens)
            raise
        if verdict.kind:
            self._leases.drop(demand)
        return verdict

    def settle(self, demand: Demand, second: int, tokens: int) -> None:
        """Give the call's places back, and correct its tokens; told once, and not waited for."""
        if self._leases.drop(demand) or (second and tokens != demand.tokens):
            self._link.notify(SETTLE, (second, tokens, demand))

    def start(self) -> None:
        """Renew leases from now on; the link is started by its owner."""
        self._leases.start()

    async def wait_up(self, patience_s: float) -> bool:
        """Wait for the link."""
        return await self._link.wait_connected(patience_s)

    async def close(self) -> None:
        """Renew them no more."""
        await self._leases.close()
