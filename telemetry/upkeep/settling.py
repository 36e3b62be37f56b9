"""Stands behind the ledger's consumer: once the output of a batch was counted, its own row waits for nothing more.

The cost stays with the call that counted it, which names the batch's call. That one gets a correction from unknown to
nothing, whichever of the two came in first. What a kill cuts short comes again with its batch of frames.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from telemetry.collector import Consumer
from telemetry.delivery import LATEST_US, Delivered
from telemetry.follower import Work
from telemetry.records import BATCH, BATCH_ROW, PENDING, SETTLES, Cost, Settled
from telemetry.store.base import Store, StoreRefused
from telemetry.upkeep.correcting import corrected, insert

_SETTLED = (Path(__file__).parents[1] / "queries" / "settled_batches.sql").read_text()
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_HOUR_US = 3_600_000_000

logger = logging.getLogger(__name__)


class SettlingLedger:
    """Delivers, and then settles the batches of which that was news.

    `correcting` is held while corrections are written: nobody may compare them with the rollup meanwhile.
    """

    def __init__(self, consumer: Consumer, store: Store, origin: str, *, now_us: Callable[[], int]) -> None:
        self.correcting = threading.Lock()
        self._consumer = consumer
        self._store = store
        self._origin = origin
        self._now_us = now_us

    def deliver(self, work: Work) -> Delivered:
        """Take the batch of frames; raise StoreAway if nobody knows what came of it."""
        delivered = self._consumer.deliver(work)
        if calls := sorted(set(_batches(work))):
            try:
                with self.correcting:
                    self._settle(calls)
            except StoreRefused as error:  # no reason to keep the calls behind these waiting
                logger.warning("batches_not_settled", extra={"calls": calls[:10], "error": error.label})
        return delivered

    def _settle(self, calls: list[str]) -> None:
        times = [_made_us(call_id) for call_id in calls]
        found = self._store.lookup(
            _SETTLED,
            {
                "origin": self._origin,
                "ids": calls,
                "from_us": max(0, min(times) - _HOUR_US),
                "to_us": max(times) + _HOUR_US,
            },
        )
        now_us = self._now_us()
        settled = []
        for row in found:
            nothing = Cost(0, price_row=BATCH_ROW, price_version=row["settled_by"])
            reason = f"its output was counted by {row['settled_by']}"
            settled.append(corrected(row, nothing, 0, reason, now_us, self._origin))
        if settled:
            insert(self._store, self._origin, settled, [0] * len(settled))


def _batches(work: Work) -> Iterator[str]:
    """Yield the calls that made the batches of which frames tell: that they were made, or what they used."""
    for item in work.items:
        frame = item.frame
        if not isinstance(frame, Settled):
            continue
        outcome = frame.outcome
        if outcome.cost.reason == PENDING:
            made_by = frame.call.call_id
        elif outcome.service_tier == BATCH:
            made_by = frame.call.properties.get(SETTLES, "")
        else:
            continue
        if _UUID7.fullmatch(made_by) is not None and _made_us(made_by) < LATEST_US:
            yield made_by


def _made_us(call_id: str) -> int:
    return int(call_id[:8] + call_id[9:13], 16) * 1000
