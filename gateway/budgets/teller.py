"""A worker's way to the authority: asks before an attempt, and says afterwards what it did cost until that is heard."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from gateway.budgets.records import CLOSE, HOLD, RESERVE, Closing, Place, Reservation, Verdict
from gateway.link import CallFailed, FrameTooLarge, LinkClient, LinkDown
from gateway.tasks import spawn

PATIENCE_S = 0.05
"""A call waits no longer for the authority than this ..."""
LOOKS = 5
"""... in so many steps: where this process is what takes so long, the answer may be there already."""
HOLD_EVERY_S = 8.0
CLOSE_S = 5.0
_PAUSE_S = 0.2
_MOST_AT_ONCE = 200
_TROUBLES = (LinkDown, CallFailed, TimeoutError, FrameTooLarge)

logger = logging.getLogger(__name__)


class Teller:
    """Owns the closings that the authority has not heard yet. They are lost with this process: then its lease ends."""

    def __init__(self, link: LinkClient, holder: str) -> None:
        self._link = link
        self._holder = holder
        self._open: set[str] = set()
        self._unheard: list[Closing] = []
        self._telling: asyncio.Task[None] | None = None
        self._trouble = ""

    async def reserve(self, name: str, places: tuple[Place, ...], nano_usd: int) -> Verdict | None:
        """Put an amount aside; None if the authority is away: then nobody knows whether it did."""
        self._open.add(name)
        wanted = Reservation(name, self._holder, places, nano_usd)
        try:
            async with asyncio.timeout(None) as limit:
                patience = _Patience(limit)
                try:
                    answer = await self._link.call(RESERVE, wanted, timeout_s=CLOSE_S)
                finally:
                    patience.timer.cancel()
            verdict = msgspec.convert(answer, Verdict)
        except (*_TROUBLES, msgspec.ValidationError) as error:
            self._note(str(error))
            return None
        except asyncio.CancelledError:
            self.close(Closing(name, 0, places))
            raise
        self._trouble = ""
        if verdict.refusal is not None:
            self._open.discard(name)
        return verdict

    def close(self, closing: Closing) -> None:
        """Say what an attempt did cost, soon and until it is heard."""
        self._unheard.append(closing)
        if self._telling is None:
            self._telling = spawn(self._tell(), name="budget closings")

    async def run(self) -> None:
        """Let the authority know, for ever, that this worker lives while it has something reserved."""
        while True:
            await asyncio.sleep(HOLD_EVERY_S)
            if self._open:
                self._link.notify(HOLD, self._holder)

    async def finish(self, patience_s: float) -> None:
        """Wait until all is told, but not for long."""
        if self._telling is not None:
            await asyncio.wait([self._telling], timeout=patience_s)

    async def _tell(self) -> None:
        try:
            while self._unheard:
                batch = self._unheard[:_MOST_AT_ONCE]
                try:
                    await self._link.call(CLOSE, batch, timeout_s=CLOSE_S)
                except _TROUBLES as error:
                    self._note(str(error))
                    await asyncio.sleep(_PAUSE_S)
                else:
                    del self._unheard[: len(batch)]
                    self._open.difference_update(closing.id for closing in batch)
        finally:
            self._telling = None

    def _note(self, why: str) -> None:
        if why != self._trouble:  # said once, not by every call
            self._trouble = why
            logger.warning("budget_authority_away", extra={"why": why})


class _Patience:
    """Lets a limit run out after so many looks at what has arrived."""

    def __init__(self, limit: asyncio.Timeout) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._left = LOOKS
        self._look()

    def _look(self) -> None:
        if self._left:
            self._left -= 1
            self.timer = self._loop.call_later(PATIENCE_S / LOOKS, self._look)
        else:
            self._limit.reschedule(self._loop.time())
