"""Stand between the journal and its consumers, so that nothing of a user who was erased comes in again."""

from __future__ import annotations

from pathlib import Path

import msgspec

from telemetry.collector import Consumer
from telemetry.delivery import Delivered
from telemetry.follower import Item, Work
from telemetry.records import Answer, Opened, Payload, Request, Settled
from telemetry.store.base import Parameter, Store
from telemetry.upkeep.forgotten import Forgotten, Person, nameless, person_of, wordless

_ERASED = (Path(__file__).parents[1] / "queries" / "lookup_erased.sql").read_text()


class ForgettingLedger:
    """For the ledger's consumer: such calls come in without their user, and what was said not at all."""

    def __init__(self, consumer: Consumer, forgotten: Forgotten, store: Store) -> None:
        self._consumer = consumer
        self._forgotten = forgotten
        self._store = store

    def deliver(self, work: Work) -> Delivered:
        """Take the batch, as far as it may be remembered."""
        return self._consumer.deliver(self._cleared(work) if self._forgotten else work)

    def _cleared(self, work: Work) -> Work:
        theirs = self._calls(work)
        items: list[Item] = []
        for item in work.items:
            frame = item.frame
            if isinstance(frame, Request | Answer):
                if frame.payload.call_id not in theirs and _speaker(frame.payload) not in self._forgotten:
                    items.append(item)
            elif isinstance(frame, Settled) and frame.call.call_id in theirs:
                told = Settled(nameless(frame.call), wordless(frame.outcome))
                items.append(msgspec.structs.replace(item, frame=told))
            else:
                items.append(item)
        lost = [Opened(nameless(one.call)) if one.call.call_id in theirs else one for one in work.interrupted]
        return msgspec.structs.replace(work, items=items, interrupted=lost)

    def _calls(self, work: Work) -> set[str]:
        """Return the calls of erased users that this batch says something of."""
        frames = [item.frame for item in work.items]
        known = {one.call.call_id: one.call for one in frames if isinstance(one, Opened | Settled)}
        known |= {one.call.call_id: one.call for one in work.interrupted}
        for calls in work.after.open.values():
            known |= {call_id: one.call for call_id, one in calls.items()}
        theirs = {call_id for call_id, call in known.items() if person_of(call) in self._forgotten}
        # A large body may come in long after its call: then the ledger knows whose it is.
        said = [one.payload for one in frames if isinstance(one, Request | Answer)]
        return theirs | self._in_ledger([one for one in said if one.call_id not in known])

    def _in_ledger(self, said: list[Payload]) -> set[str]:
        if not said:
            return set()
        times = [one.started_at_us for one in said]
        where: dict[str, Parameter] = {
            "ids": sorted({one.call_id for one in said}),
            "from_us": min(times),
            "to_us": max(times),
        }
        return {row["call_id"] for row in self._store.lookup(_ERASED, where)}


class ForgettingMemory:
    """For the memory's consumer: what such users say is not remembered."""

    def __init__(self, consumer: Consumer, forgotten: Forgotten) -> None:
        self._consumer = consumer
        self._forgotten = forgotten

    def deliver(self, work: Work) -> Delivered:
        """Take the batch, as far as it may be remembered."""
        if self._forgotten:
            items = [
                item
                for item in work.items
                if not isinstance(item.frame, Request) or _speaker(item.frame.payload) not in self._forgotten
            ]
            work = msgspec.structs.replace(work, items=items)
        return self._consumer.deliver(work)


def _speaker(payload: Payload) -> Person:
    return Person(project=payload.project, environment=payload.environment, user=payload.user_id)
