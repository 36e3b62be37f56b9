"""Looks after one open ledger: every task that must not run beside a round of the collector, or beside itself."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from telemetry.answers import iso
from telemetry.collector import Consumer, Pipe
from telemetry.follower import checkpoint_of
from telemetry.journal import MAX_AGE_S
from telemetry.segments import header_of
from telemetry.store.base import Store
from telemetry.upkeep import replay, verify
from telemetry.upkeep.erase import StoreEraser, Theirs, rewrite_letters, segments_with
from telemetry.upkeep.forgotten import Forgotten, Person
from telemetry.upkeep.inspection import DEAD_LETTERS, Check, JournalState, Reader, state
from telemetry.upkeep.messages import STORE, Erasure, Order, Pending, Place, Replayed, Rerated
from telemetry.upkeep.rerate import Pricer, Rerating, repair
from telemetry.upkeep.retention import Dropped, Keep, Retention

_DAY_US = 86_400_000_000
_MOST_ROUNDS = 100
_SLACK_S = 60.0
OLD_PARTS_S = 480.0
"""How long the engine keeps files that others have replaced: `old_parts_lifetime`."""


class Feed(msgspec.Struct, frozen=True):
    """A consumer of the journal and the pipe that runs it."""

    pipe: Pipe
    consumer: Consumer


class Keeper:
    """What `tidegate journal` and `tidegate prices` ask of the process that has the store open."""

    def __init__(
        self,
        store: Store,
        origin: str,
        journal: Path,
        feeds: Mapping[str, Feed],
        *,
        pricer: Callable[[], Pricer],
        keep: Keep,
        clustered: bool,
        quota: int,
        keep_consumed_s: float,
        correcting: threading.Lock,
        forgotten: Forgotten,
        others: Mapping[str, Callable[[Person], int]],
        now_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._origin = origin
        self._journal = journal
        self._feeds = feeds
        self._pricer = pricer
        """Raises OSError or ValueError while there is no price table."""
        self._quota = quota
        self._clustered = clustered
        self._keep_consumed_s = keep_consumed_s
        self._forgotten = forgotten
        self._others = others
        """What else knows users, by name: takes one out, and returns of how many things; raises OSError."""
        self._erasing = threading.Lock()
        self._keep = keep
        self._retention = Retention(store, keep, clustered=clustered, now_us=now_us)
        self._now_us = now_us
        self._correcting = correcting
        """Held by whoever writes corrections, or compares them with the rollup."""

    def state(self) -> JournalState:
        """Say what lies in the journal."""
        return state(self._journal, tuple(self._feeds), quota=self._quota)

    def verify(self) -> list[Check]:
        """Read the journal and compare it with the ledger; raise StoreError."""
        with self._still(STORE):
            at = checkpoint_of(self._journal, STORE)
            reader = Reader(self._journal, at)
            found = reader.checks()
            days = self._keep.shortest
            excused = verify.Excused(
                letters=verify.buried(self._journal),
                bodies_before_us=self._now_us() - (days - 1) * _DAY_US if days else 0,
            )
            found += verify.against_store(self._store, reader.contents, at, excused)
            return found + verify.of_ledger(self._store, self._origin)

    def replay(self, names: Iterable[str], *, letters: bool) -> Replayed:
        """Bring segments in again, or what was buried; raise StoreError, OSError, UnknownSegment."""
        with self._still(*self._feeds):
            if letters:
                consumers = {name: feed.consumer for name, feed in self._feeds.items()}
                return replay.replay_letters(self._journal, consumers)
            files = replay.files_of(self._journal, names)
            at = checkpoint_of(self._journal, STORE)
            return replay.replay_segments(files, self._journal, at, self._feeds[STORE].consumer)

    def rerate(self, order: Order, place: Place | None) -> Rerated:
        """Price a stretch of past calls anew; raise StoreError, and OSError or ValueError without a price table."""
        with self._correcting:
            rerating = Rerating(self._store, self._origin, self._pricer(), now_us=self._now_us)
            return rerating.run(order, place)

    def repair(self) -> None:
        """Complete what a kill has left half done; raise StoreError."""
        with self._correcting:
            repair(self._store, self._origin)

    def retain(self) -> Dropped:
        """Drop what is too old; raise StoreError."""
        return self._retention.run()

    def erase(self, person: Person) -> Erasure:
        """Take a user out of everything, and look again; raise StoreError or OSError, and then it is to be repeated."""
        with self._erasing:
            since_us = self._forgotten.add(person, self._now_us())
            self._deliver_rest()
            with self._still(*self._feeds):
                eraser = StoreEraser(self._store, person, since_us=since_us, clustered=self._clustered)
                theirs = Theirs(person, eraser.calls())
                removed = {**eraser.count(), DEAD_LETTERS: rewrite_letters(self._journal, theirs)}
                eraser.run()
                left = {**eraser.count(), DEAD_LETTERS: rewrite_letters(self._journal, theirs)}
                pending = list(self._pending(theirs))
            for name, forget in self._others.items():
                removed[name] = forget(person)
                left[name] = forget(person)
        return Erasure(
            project=person.project,
            environment=person.environment,
            user_id=person.user,
            erased_at=iso(since_us),
            removed=removed,
            left=left,
            pending=pending,
        )

    def lift(self, person: Person) -> bool:
        """Take a user in again from now on; False if nobody had erased the user."""
        return self._forgotten.remove(person)

    def _deliver_rest(self) -> None:
        """Bring in what was planned before the user was on the list: it is taken out with the rest."""
        for feed in self._feeds.values():
            for _ in range(_MOST_ROUNDS):
                if not feed.pipe.step():
                    break

    def _pending(self, theirs: Theirs) -> Iterator[Pending]:
        """Say which files still hold something, and when they will be gone."""
        keep_us = int((self._keep_consumed_s + _SLACK_S) * 1e6)
        checkpoints = [checkpoint_of(self._journal, name) for name in self._feeds]
        for file in segments_with(self._journal, theirs):
            done = [at.done.get(file.path.name) for at in checkpoints]
            header = header_of(file.path)
            began_us = header.started_at_us if header else self._now_us()
            last_us = max(filter(None, done), default=0) if all(done) else began_us + int(MAX_AGE_S * 1e6)
            yield Pending(name=file.path.name, until=iso(last_us + keep_us))
        sql = "SELECT count() AS n FROM system.parts WHERE database = currentDatabase() AND NOT active"
        if self._store.lookup(sql, {})[0]["n"]:
            until_us = self._now_us() + int((OLD_PARTS_S + _SLACK_S) * 1e6)
            yield Pending(name="replaced files of the store", until=iso(until_us))

    @contextlib.contextmanager
    def _still(self, *names: str) -> Iterator[None]:
        """Hold the collector's pipes between two rounds."""
        with contextlib.ExitStack() as stack:
            for name in sorted(names):  # `memory` before `store`, as the collector itself takes them
                stack.enter_context(self._feeds[name].pipe.lock)
            yield
