"""The authority of several hosts: a Redis they share. Each decision is one Lua script, by the server's time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.limits.base import LEASE_US, AuthorityAway, Demand, Verdict
from gateway.limits.core import Lease
from gateway.limits.leases import Leases
from gateway.limits.redis import RedisAway, Script, ScriptLine

_FOLDER = Path(__file__).parent
RESERVE, SETTLE, RENEW = SCRIPTS = tuple(
    Script(_FOLDER / name) for name in ("reserve.lua", "settle.lua", "renew.lua")
)


def server_time() -> int:
    """Leave it to the server: its clock is the only one that all hosts share."""
    return 0


class RedisLimiter:
    """Asks over a line that was made with `SCRIPTS`. `now_us` is for tests that bring their own time."""

    def __init__(self, line: ScriptLine, now_us: Callable[[], int] = server_time) -> None:
        self._line = line
        self._now_us = now_us
        self._leases = Leases(self._renew)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Verdict).decode
        self._up = asyncio.Event()
        line.when_up(self._leases.renew)
        line.when_up(self._up.set)

    async def reserve(self, demand: Demand) -> Verdict:
        """Take what is asked for from every part, or from none. Raises AuthorityAway."""
        self._leases.hold(demand)
        try:
            answer = await self._line.ask(RESERVE, self._encode((self._now_us(), LEASE_US, demand)))
            verdict = self._decode(answer)
        except (RedisAway, msgspec.MsgspecError) as error:
            raise AuthorityAway(str(error)) from error
        except asyncio.CancelledError:
            self.settle(demand, 0, demand.tokens)
            raise
        if verdict.kind:
            self._leases.drop(demand)
        return verdict

    def settle(self, demand: Demand, second: int, tokens: int) -> None:
        """Give the call's places back, and correct its tokens; sent once, and not waited for."""
        if self._leases.drop(demand) or (second and tokens != demand.tokens):
            self._line.tell(SETTLE, self._encode((second, tokens, demand)))

    def start(self) -> None:
        """Begin to connect, and renew leases from now on."""
        self._line.start()
        self._leases.start()

    async def wait_up(self, patience_s: float) -> bool:
        """Wait for the first connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._up.wait()
        return self._up.is_set()

    async def close(self) -> None:
        """Renew them no more and hang up."""
        await self._leases.close()
        await self._line.close()

    def _renew(self, leases: list[Lease]) -> None:
        self._line.tell(RENEW, self._encode((self._now_us(), LEASE_US, leases)))
