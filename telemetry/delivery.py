"""Brings a planned batch into the store: each row exactly once, whatever was cut short before.

A fresh batch is two inserts with a token each. One that somebody began is inserted again with
the same tokens, which the store leaves out if it has them; then it is looked up by call id, what
is missing goes in, and the index and the rollup are completed. An insert and its views are not one
transaction: with chDB 26.9 a kill was seen to leave a batch without its view's rows. The look-up is
for what tokens do not promise, that the token and the rows come and go together; in 63 batches cut
by a kill it found nothing missing (chDB 26.9, Nov 2026).
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from telemetry import log_ids
from telemetry.follower import Damage, Item, Work, write_whole
from telemetry.records import Frame
from telemetry.rows import PAYLOADS, SPANS, TABLES, Preview, Row, begin, interrupted, row_of
from telemetry.sealed import UNSEALED, Sealer
from telemetry.store.base import Parameter, Store, StoreRefused

TOKEN_LIFE_S = 1800.0
"""How long the store surely remembers a token; servers forget by count and by time."""

LATEST_US = 4_102_444_800_000_000
"""2100-01-01: no clock is right that tells more, and hours and days of the store end soon after it."""

_LOOKUP_IDS = 2000
_QUERIES = Path(__file__).parent / "queries"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_NO_TIME = StoreRefused(
    "the call began before 1970 or after 2099, says the clock of its machine", name="no_time"
)

logger = logging.getLogger(__name__)


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """Something of the journal that no table would take."""

    reason: str
    at_us: int
    writer: str
    seq: int
    offset: int
    frame: Frame | None = None
    raw: bytes = b""
    """What stands in the segment, if it is no frame."""


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch."""

    spans: int = 0
    payloads: int = 0
    dead: int = 0


class _Entry(msgspec.Struct, frozen=True):
    row: Row
    frame: Frame
    writer: str = ""
    seq: int = 0
    offset: int = 0


class StoreConsumer:
    """Writes batches as rows. `dead_letters` is a folder with one file for each row that was refused."""

    def __init__(
        self,
        store: Store,
        dead_letters: Path,
        *,
        origin: str,
        now_us: Callable[[], int],
        preview: Preview = begin,
        sealer: Sealer = UNSEALED,
        token_life_s: float = TOKEN_LIFE_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._origin = origin
        self._now_us = now_us
        self._preview = preview
        self._sealer = sealer
        self._token_life_s = token_life_s
        self._sleep = sleep
        self._lookup = {
            SPANS.name: (_QUERIES / "lookup_spans.sql").read_text(),
            PAYLOADS.name: (_QUERIES / "lookup_span_payloads.sql").read_text(),
        }
        self._repair_index = (_QUERIES / "repair_span_index.sql").read_text()
        self._repair_usage = (_QUERIES / "repair_usage_daily.sql").read_text()

    def deliver(self, work: Work) -> Delivered:
        """Bring the batch in; raise StoreAway if nobody knows whether it is in."""
        entries, undated = self._entries(work)
        spans = [entry for entry in entries if entry.row.table == SPANS.name]
        payloads = [entry for entry in entries if entry.row.table == PAYLOADS.name]
        dead = len(undated)
        for entry in undated:
            self._bury(entry.row.table, entry, _NO_TIME)
        if spans:
            fresh = log_ids.new_calls(self._store, spans)
            smooth, refused = self._bring(work, SPANS.name, fresh) if fresh else (work.fresh, 0)
            dead += refused
            if not smooth:
                self._complete_views(spans)
        if payloads and (bodies := log_ids.new_bodies(self._store, payloads)):
            dead += self._bring(work, PAYLOADS.name, bodies)[1]
        for damage in work.damage:
            self._bury_raw(damage)
        return Delivered(spans=len(spans), payloads=len(payloads), dead=dead + len(work.damage))

    def _entries(self, work: Work) -> tuple[list[_Entry], list[_Entry]]:
        """Return the rows of a batch, and those whose clock was so wrong that the store has no day for them."""
        entries: list[_Entry] = []
        for item in work.items:
            row = row_of(item.frame, origin=self._origin, preview=self._preview, sealer=self._sealer)
            if row is not None:
                entries.append(_entry(item, row))
        entries += [_Entry(interrupted(opened, origin=self._origin), opened) for opened in work.interrupted]
        undated = [entry for entry in entries if not 0 <= entry.row.started_at_us < LATEST_US]
        if undated:
            entries = [entry for entry in entries if 0 <= entry.row.started_at_us < LATEST_US]
        return entries, undated

    def _bring(self, work: Work, table: str, entries: list[_Entry]) -> tuple[bool, int]:
        """Bring one table's part in; return whether one insert did it, and how many rows were refused."""
        age_s = (self._now_us() - work.plan.planned_at_us) / 1e6
        if work.fresh or age_s < self._token_life_s:
            try:
                self._insert(table, entries, f"{work.plan.batch}:{table}")
            except StoreRefused as error:
                logger.warning("batch_refused", extra={"table": table, "error": error.label})
            else:
                if work.fresh:
                    return True, 0
        missing = self._missing(table, entries)
        if missing and self._store.ghost_s:
            # What we gave up waiting for may be about to arrive.
            self._sleep(self._store.ghost_s)
            missing = self._missing(table, missing)
        return False, self._add(table, missing)

    def _add(self, table: str, entries: list[_Entry]) -> int:
        """Insert rows that are not there; halve what is refused until the row that is to blame stands alone."""
        if not entries:
            return 0
        try:
            self._insert(table, entries, uuid.uuid4().hex)
        except StoreRefused as error:
            left = self._missing(table, entries)
            if len(left) > 1:
                middle = len(left) // 2
                return self._add(table, left[:middle]) + self._add(table, left[middle:])
            for entry in left:
                self._bury(table, entry, error)
            return len(left)
        return 0

    def _insert(self, table: str, entries: Sequence[_Entry], token: str) -> None:
        self._store.insert(table, TABLES[table].block([entry.row for entry in entries]), token=token)

    def _missing(self, table: str, entries: list[_Entry]) -> list[_Entry]:
        there: set[tuple[str, str]] = set()
        for parameters in _chunks(entries):
            for found in self._store.lookup(self._lookup[table], parameters):
                there.add((found["call_id"], found["part"]))
        return [entry for entry in entries if (entry.row.call_id, entry.row.part) not in there]

    def _complete_views(self, spans: list[_Entry]) -> None:
        for parameters in _chunks(spans):
            self._store.command(self._repair_index, parameters)
        days = sorted({entry.row.started_at_us // 86_400_000_000 for entry in spans})
        for day in days:
            moment = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
            self._store.command(self._repair_usage, {"origin": self._origin, "day": moment})

    def _bury(self, table: str, entry: _Entry, error: StoreRefused) -> None:
        logger.error(
            "dead_letter", extra={"table": table, "call_id": entry.row.call_id, "error": error.label}
        )
        bury(
            self._dead_letters,
            f"{entry.writer or 'interrupted'}-{entry.seq:08d}-{entry.offset}-{entry.row.call_id}",
            DeadLetter(
                reason=f"{table}: {error.label}: {error}",
                at_us=self._now_us(),
                writer=entry.writer,
                seq=entry.seq,
                offset=entry.offset,
                frame=entry.frame,
            ),
        )

    def _bury_raw(self, damage: Damage) -> None:
        logger.error("dead_letter", extra={"writer": damage.writer, "error": "no_frame"})
        bury(
            self._dead_letters,
            f"{damage.writer}-{damage.seq:08d}-{damage.bad.offset}",
            DeadLetter(
                reason=f"no frame: {damage.bad.reason}",
                at_us=self._now_us(),
                writer=damage.writer,
                seq=damage.seq,
                offset=damage.bad.offset,
                raw=damage.bad.raw,
            ),
        )


def bury(folder: Path, name: str, letter: DeadLetter) -> None:
    """Write one file per letter, named by its place: burying it twice leaves one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_UNSAFE.sub('_', name)[:200]}.msgpack"
    write_whole(path, msgspec.msgpack.encode(letter))


def _entry(item: Item, row: Row) -> _Entry:
    return _Entry(row, item.frame, item.writer, item.seq, item.end)


def _chunks(entries: list[_Entry]) -> list[dict[str, Parameter]]:
    """Return look-up parameters: the ids, and the time they lie in, so that only their hours are read."""
    found: list[dict[str, Parameter]] = []
    for start in range(0, len(entries), _LOOKUP_IDS):
        rows = [entry.row for entry in entries[start : start + _LOOKUP_IDS]]
        found.append(
            {
                "ids": sorted({row.call_id for row in rows}),
                "from_us": min(row.started_at_us for row in rows),
                "to_us": max(row.started_at_us for row in rows),
            }
        )
    return found
