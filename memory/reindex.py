"""Builds the next collection of the index while the house goes on, and lets it take the old one's place.

Every change is told to both collections meanwhile (`indexer.py`), and a job leaves the outbox only once every collection
in use was told. So the builder only has to go once through what was there before, and it puts nothing in that has changed
since it looked: the job of that change is on its way, or was done.

What is decided is decided in the ledger: how far the new one is, that it answers from now on, that the old one goes. After a
kill everything goes on from there.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from memory.clock import Clock
from memory.errors import EmbedderAway, IndexAway
from memory.records import Vector
from memory.shelf import Opened, Shelf
from memory.store.index import Point
from memory.store.sql_collections import Placed

logger = logging.getLogger(__name__)

_AT_ONCE = 16
"""Memories in a slice."""
_LOOKED_AT = 256
"""Ids in a slice of the check before the cut-over."""
_FORGOTTEN = 32
"""Old vectors in a slice."""
_FIRST_PAUSE_US = 1_000_000
_LAST_PAUSE_US = 300_000_000
_LEASE_US = 60_000_000
"""So long other hubs wait for one that builds."""


class Builder:
    """One for each index. `slice` is for one thread."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self.waits = ""
        """Why it does not go on, as a code; empty: it does."""
        self._shelf = shelf
        self._store = shelf.store
        self._clock = clock
        self._name = secrets.token_hex(8) if shelf.store.shared else ""
        self._checking: Iterator[bool] | None = None
        self._taken_away = ""
        self._tries = 0
        self._pause_until_us = 0

    def slice(self) -> bool:
        """Do what takes a moment; False if there is nothing to do now."""
        if self._clock.now_us() < self._pause_until_us:
            return False
        try:
            self._shelf.refresh()
            if self._cleared():
                return True
            building = self._shelf.building
            if building is None or not self._is_mine(building):
                self._checking = None
                return False
            self._step(building)
        except (EmbedderAway, IndexAway) as error:
            self._wait(error.code)
            return False
        self._tries, self.waits = 0, ""
        return True

    def hurry(self) -> None:
        """Wait no longer for what was away."""
        self._tries, self._pause_until_us = 0, 0

    def left(self) -> int:
        """Return how many memories the new collection lacks."""
        building = self._shelf.building
        return 0 if building is None else self._store.left(building.kept)[1]

    def progress(self) -> dict[str, Any] | None:
        """Return how far the new collection is, in the shape of a pass of the upkeep; None if none is being built.

        `answered_by`: the embedder whose collection is searched meanwhile; empty: the latest memories are gone through.
        """
        rows = {row.state: row for row in self._store.rows()}
        kept, before = rows.get("building"), rows.get("serving")
        if kept is None:
            return None
        memories, left = self._store.left(kept)
        return {
            "id": f"reindex:{kept.name}",
            "job": "reindex",
            "state": "running",
            "seen": memories - left,
            "changed": 0,
            "left": left,
            "answered_by": "" if before is None else before.fingerprint,
            "waits_for": self.waits,
            "began_at": datetime.fromtimestamp(kept.began_us / 1e6, UTC).isoformat(),
            "updated_at": datetime.fromtimestamp(kept.updated_us / 1e6, UTC).isoformat(),
        }

    def _is_mine(self, building: Opened) -> bool:
        late = self._clock.now_us() - building.kept.updated_us > _LEASE_US
        return not self._store.shared or building.kept.builder in ("", self._name) or late

    def _step(self, building: Opened) -> None:
        placed = self._store.behind(building.kept, _AT_ONCE)
        if placed:
            self._checking = None
            self._fill(building, placed)
            return
        if self._checking is None:
            self._checking = self._checked(building)
        verdict = next(self._checking, None)
        if verdict is None:
            self._checking = None
        elif verdict:
            self._cut_over(building)

    def _fill(self, building: Opened, placed: Sequence[Placed]) -> None:
        """Put memories in that are still as they were when they were embedded, for which nobody has to wait."""
        vectors = self._vectors(building, placed)
        with self._shelf.writing:
            still = {
                (one.job.memory_id, one.job.memory and one.job.memory.version)
                for one in self._store.behind(building.kept, len(placed))
            }
            done = [
                (one.job, vector)
                for one, vector in zip(placed, vectors, strict=True)
                if (one.job.memory_id, one.job.memory and one.job.memory.version) in still
            ]
            building.index.put(
                [
                    Point(id=job.memory_id, scope=job.memory.scope, terms=job.terms, vector=vector)
                    for job, vector in done
                    if job.memory is not None
                ]
            )
            self._store.built(
                building.kept, done, place=placed[-1].seq, builder=self._name, now_us=self._clock.now_us()
            )

    def _vectors(self, building: Opened, placed: Sequence[Placed]) -> list[Vector]:
        jobs = [one.job for one in placed]
        texts = [job.memory.text for job in jobs if job.vector is None and job.memory is not None]
        made = iter(building.embedder.embed(texts) if texts else [])
        return [next(made) if job.vector is None else job.vector for job in jobs]

    def _checked(self, building: Opened) -> Iterator[bool]:
        """Compare index and ledger in slices, both ways: drop what nobody wants; True at the end if nothing is missing."""
        ids = building.index.ids()
        while page := list(islice(ids, _LOOKED_AT)):
            with self._shelf.writing:
                unwanted = set(page) - self._store.wanted(page)
                building.index.drop(sorted(unwanted))
            if unwanted:
                logger.info("memory_points_dropped", extra={"unwanted": len(unwanted)})
            yield False
        place = 0
        while rows := self._store.settled(place, _LOOKED_AT):
            present = building.index.present([one for _, one in rows])
            lacking = [seq for seq, one in rows if one not in present]
            if lacking and self._are_missing(building, place, lacking):
                return
            place = rows[-1][0]
            yield False
        yield True

    def _are_missing(self, building: Opened, place: int, lacking: Sequence[int]) -> bool:
        """Go back and put in what is not just being changed or deleted."""
        with self._shelf.writing:
            rows = [row for row in self._store.settled(place, _LOOKED_AT) if row[0] in lacking]
            present = building.index.present([one for _, one in rows])
            missing = [seq for seq, one in rows if one not in present]
        if missing:
            logger.warning("memory_points_missing", extra={"missing": len(missing)})
            self._store.move(building.kept.name, missing[0] - 1)
        return bool(missing)

    def _cut_over(self, building: Opened) -> None:
        self._store.cut_over(building.kept.name, self._clock.now_us())
        self._checking = None
        with self._shelf.writing:
            self._shelf.refresh()
        logger.info("memory_reindexed", extra={"embedder": building.kept.fingerprint})

    def _cleared(self) -> bool:
        """Take a little away of what is not needed any more; False if there is nothing."""
        used = {one.kept.name for one in self._shelf.told}
        rows = (row for row in self._store.rows() if row.state == "leaving" and row.name not in used)
        leaving = next(rows, None)
        if leaving is None:
            return False
        if leaving.name != self._taken_away:
            self._shelf.forget(leaving.name)
        self._taken_away = leaving.name if self._store.forget(leaving, _FORGOTTEN) else ""
        return True

    def _wait(self, code: str) -> None:
        pause_us = min(_LAST_PAUSE_US, _FIRST_PAUSE_US << min(self._tries, 20))
        self._tries, self.waits = self._tries + 1, code
        self._pause_until_us = self._clock.now_us() + pause_us
        logger.warning("memory_reindex_waits", extra={"error": code, "seconds": pause_us // 1_000_000})
