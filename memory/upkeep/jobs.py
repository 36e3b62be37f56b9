"""The jobs that only read and write the ledger: one slice of each blocks for some milliseconds."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple, Protocol

import msgspec

from memory.clock import Clock
from memory.store.sql_upkeep import JobName, Run, SqliteUpkeep
from memory.store.sql_upkeep_reads import UpkeepReads
from memory.upkeep.decay import weight
from memory.upkeep.duplicates import ALIKE, repeated

DAY_US = 86_400_000_000
_COMPARED = 256
"""Statements of its scope, the latest before it, that a statement is compared with."""
_TRIED = 2
_WORTH_NOTING = 0.02


class Slice(NamedTuple):
    """What one step of a pass has come to."""

    place: str
    """Where to go on."""
    seen: int
    """0: the pass is over."""
    changed: bool = False


class Tools(msgspec.Struct, frozen=True):
    """What jobs work with."""

    store: SqliteUpkeep
    reads: UpkeepReads
    clock: Clock
    fingerprint: str
    """Of the embedder whose vectors are compared."""


class Job(Protocol):
    """Something that goes through everything again and again."""

    name: JobName
    rows: int
    """Most rows that a slice looks at."""

    def slice(self, run: Run, place: str, rows: int) -> Slice:
        """Look at some rows behind a place, change at most one thing that is costly, and return how far it got."""
        ...


class Merge:
    """Makes one memory of statements that say the same, with the proofs of both."""

    name: JobName = "merge"
    rows = 64

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def slice(self, run: Run, place: str, rows: int) -> Slice:
        """Compare at most one statement of the next rows with those before it."""
        reads, fingerprint = self._tools.reads, self._tools.fingerprint
        behind = int(place or 0)
        upto, seen = reads.place_behind(behind, rows)
        one = reads.statement(behind, upto, fingerprint)
        if one is None:
            return Slice(str(upto), seen)
        same = islice(repeated(one, reads.near(one, _COMPARED, fingerprint, least=ALIKE)), _TRIED)
        now_us = self._tools.clock.now_us()
        merged = any(self._tools.store.merge(run, other.id, one.id, now_us) for other in same)
        return Slice(str(one.seq), one.seq - behind, merged)


class Contradictions:
    """Lets statements meet that only this version of the program knows to exclude each other.

    Those that it compares by the same slot meet when they are applied: two of them cannot both hold.
    """

    name: JobName = "contradictions"
    rows = 32

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def slice(self, run: Run, place: str, rows: int) -> Slice:
        """Compare stored slots with those that would be made now, up to the first that differs."""
        found = self._tools.reads.slots(place, rows)
        for number, claim in enumerate(found, 1):
            place = claim.id
            if claim.differs:
                changed = self._tools.store.reslot(run, claim.id, claim.made, self._tools.clock.now_us())
                return Slice(place, number, changed)
        return Slice(place, len(found))


class Decay:
    """Lets what is old and of no use step back behind the rest."""

    name: JobName = "decay"
    rows = 32

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def slice(self, run: Run, place: str, rows: int) -> Slice:
        """Weigh the next memories."""
        now_us = self._tools.clock.now_us()
        found = self._tools.reads.aged(int(place or 0), rows)
        changed = []
        for one in found:
            now = weight(
                one.kind, occurred_us=one.occurred_us, uses=one.uses, used_us=one.used_us, now_us=now_us
            )
            if abs(now - one.weight) >= _WORTH_NOTING:
                changed.append((one.id, one.weight, now))
        if changed:
            self._tools.store.reweigh(run, changed, now_us)
        return Slice(str(found[-1].seq) if found else place, len(found), bool(changed))
