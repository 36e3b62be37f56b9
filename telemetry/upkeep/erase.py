"""Takes a user out of the ledger: every word, every name; the money stays, under the user `erased`.

The order makes a run that was cut short one to repeat: the calls themselves, by which all else is found, come last.
What the rollup had of the user is copied under a token before it is taken away, so that a repetition adds nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]  # pyarrow 26 ships no types

from telemetry import segments
from telemetry.delivery import DeadLetter
from telemetry.follower import write_whole
from telemetry.records import Frame, Opened, Settled
from telemetry.store.base import Parameter, Store
from telemetry.upkeep.forgotten import ERASED, Person, nameless, person_of, wordless
from telemetry.upkeep.inspection import letters

_ON_CLUSTER = " ON CLUSTER '{cluster}'"
_READ_BYTES = 16 << 20
_OF = "project = {project:String} AND environment = {environment:String}"
_CALLS = f"""(SELECT call_id FROM spans WHERE {_OF} AND user_id = {{user:String}}
 UNION ALL SELECT id FROM amendments WHERE {_OF} AND target = 'log' AND fields['user_id'] = {{user:String}})"""  # noqa: S608
"""Calls of the user, and logs that were said to be of the user later."""
_SAID = f"{_OF} AND call_id IN {_CALLS}"
_NAMED = f"{_OF} AND user_id = {{user:String}}"
_AMENDED = f"{_OF} AND ((target = 'user' AND id = {{user:String}}) OR fields['user_id'] = {{user:String}})"
_ABOUT = f"{_OF} AND target = 'log' AND id IN {_CALLS} AND fields['user_id'] != {{user:String}}"
_BLANK = """user_id = if(user_id = {user:String}, 'erased', user_id), agent_id = '', thread_id = '', tags = [],
 properties = CAST(map(), 'Map(LowCardinality(String), String)'), parameters = '{}', error_message = '', attempts = '[]',
 response_id = '', memory_ids = [], memory_scores = [], memory_block = '', span_name = '', guardrails = '[]'"""
_INDEX_AGAIN = f"""INSERT INTO span_index (project, key, value, started_at, call_id, environment, origin)
SELECT project, entry.1, entry.2, started_at, call_id, environment, origin
FROM spans
ARRAY JOIN arrayFilter(pair -> pair.2 != '', [
    ('event_id', event_id), ('user_id', if(user_id = {{user:String}}, 'erased', user_id)), ('trace_id', trace_id),
    ('log_id', log_id), ('links_to', links_to)
]) AS entry
WHERE {_SAID}"""  # noqa: S608
_LEFT = {
    "spans": f"SELECT count() AS n FROM spans WHERE {_NAMED}",  # noqa: S608
    "span_payloads": f"SELECT count() AS n FROM span_payloads WHERE {_SAID}",  # noqa: S608
    "span_index": f"SELECT count() AS n FROM span_index WHERE {_OF} AND (call_id IN {_CALLS}"  # noqa: S608
    " OR (key = 'user_id' AND value = {user:String}))",
    "usage_daily": f"SELECT count() AS n FROM usage_daily WHERE {_NAMED}",  # noqa: S608
    "cost_corrections": f"SELECT count() AS n FROM cost_corrections WHERE {_NAMED}",  # noqa: S608
    "amendments": f"SELECT count() AS n FROM amendments WHERE ({_AMENDED}) OR ({_ABOUT})",  # noqa: S608
}
_ORPHANED = (
    f"SELECT count() AS n FROM span_payloads WHERE {_OF} AND call_id IN"  # noqa: S608
    f" (SELECT call_id FROM spans WHERE {_OF} AND user_id = 'erased')"
)

_letter = msgspec.msgpack.Decoder(DeadLetter)


class StoreEraser:
    """Takes one user out of the store's tables; raises StoreError."""

    def __init__(self, store: Store, person: Person, *, since_us: int, clustered: bool) -> None:
        self._store = store
        self._since_us = since_us
        self._on = _ON_CLUSTER if clustered else ""
        self._who: dict[str, Parameter] = {**msgspec.structs.asdict(person)}

    def count(self) -> dict[str, int]:
        """Return how many rows name the user, or hold what was said by the user, by table."""
        found = {table: self._n(sql) for table, sql in _LEFT.items()}
        return {**found, "span_payloads": found["span_payloads"] + self._n(_ORPHANED)}

    def calls(self) -> set[str]:
        """Return the ids of the user's calls."""
        return {row["call_id"] for row in self._store.lookup(f"SELECT call_id FROM {_CALLS}", self._who)}  # noqa: S608

    def run(self) -> None:
        """Take the user out."""
        self._alter("span_payloads", "DELETE", _SAID)
        self._alter("span_index", "DELETE", _SAID)
        self._store.command(_INDEX_AGAIN, self._who)
        self._move_usage()
        self._alter("cost_corrections", "UPDATE user_id = 'erased'", _NAMED)
        self._alter("amendments", "DELETE", _ABOUT)
        self._alter("spans", f"UPDATE {_BLANK}", _SAID)
        self._alter("amendments", "DELETE", _AMENDED)

    def _move_usage(self) -> None:
        """Add the user's sums to those of `erased`, then take the user's away."""
        columns = self._store.lookup(
            "SELECT name, toString(type) AS type FROM system.columns"
            " WHERE database = currentDatabase() AND table = 'usage_daily' ORDER BY position",
            {},
        )
        sums = [row["name"] for row in columns if row["type"] == "Int64"]
        names = [row["name"] for row in columns if row["type"] != "Int64" and row["name"] != "user_id"]
        told = [f"toString({name}) AS {name}_" if name != "day" else "toInt64(day) AS day_" for name in names]
        told += [f"sum({name}) AS {name}_" for name in sums]
        keys = ", ".join(f"{name}_" for name in names)
        rows = self._store.lookup(
            f"SELECT {', '.join(told)} FROM usage_daily WHERE {_NAMED} GROUP BY {keys} ORDER BY {keys}",  # noqa: S608
            self._who,
        )
        if rows:
            values = [list(row.values()) for row in rows]
            token = hashlib.sha256(msgspec.json.encode([self._since_us, values])).hexdigest()
            kinds = [pa.date32() if name == "day" else pa.string() for name in names] + [pa.int64()] * len(
                sums
            )
            block = pa.Table.from_arrays(
                [
                    _column(column, kind)
                    for column, kind in zip(zip(*values, strict=True), kinds, strict=True)
                ],
                names=names + sums,
            ).append_column("user_id", pa.array([ERASED] * len(rows)))
            self._store.insert("usage_daily", block, token=f"erased:{token}")
        self._alter("usage_daily", "DELETE", _NAMED)

    def _alter(self, table: str, what: str, where: str) -> None:
        """Change a table's rows for good before this returns; nothing is started if there are none."""
        if self._n(f"SELECT count() AS n FROM {table} WHERE {where}"):  # noqa: S608
            settings = "SETTINGS mutations_sync = 2, allow_nondeterministic_mutations = 1"
            self._store.command(f"ALTER TABLE {table}{self._on} {what} WHERE {where} {settings}", self._who)

    def _n(self, sql: str) -> int:
        return int(self._store.lookup(sql, self._who)[0]["n"])


def _column(values: tuple[object, ...], kind: object) -> object:
    return pa.array(values, pa.int32()).cast(kind) if kind == pa.date32() else pa.array(values, kind)


class Theirs:
    """Says of a frame whether it is the user's."""

    def __init__(self, person: Person, calls: set[str]) -> None:
        self._person = person
        self._calls = calls

    def has(self, frame: Frame) -> bool:
        """Whether the frame is of one of the user's calls; `Opened` and `Settled` tell whose their payloads are."""
        if isinstance(frame, Opened | Settled):
            if person_of(frame.call) == self._person:
                self._calls.add(frame.call.call_id)
            return frame.call.call_id in self._calls
        said = frame.payload
        return said.call_id in self._calls or (
            said.user_id == self._person.user
            and (said.project, said.environment) == (self._person.project, self._person.environment)
        )

    def raw(self, said: bytes) -> bool:
        """Whether bytes that are no frame name the user."""
        return self._person.user.encode() in said


def rewrite_letters(folder: Path, theirs: Theirs) -> int:
    """Take the user out of the dead letters; return how many named the user or held the user's words."""
    found = 0
    for path in letters(folder):
        letter = _letter.decode(path.read_bytes())
        frame = letter.frame
        if not (theirs.raw(letter.raw) if frame is None else theirs.has(frame)):
            continue
        if isinstance(frame, Opened | Settled) and frame.call.user_id == ERASED:
            continue
        found += 1
        if isinstance(frame, Opened):
            kept: Frame = Opened(nameless(frame.call))
        elif isinstance(frame, Settled):
            kept = Settled(nameless(frame.call), wordless(frame.outcome))
        else:
            path.unlink()
            continue
        # the reason may quote the row
        told = msgspec.structs.replace(letter, frame=kept, reason=letter.reason.split(":")[0])
        write_whole(path, msgspec.msgpack.encode(told))
    return found


def segments_with(folder: Path, theirs: Theirs) -> Iterator[segments.SegmentFile]:
    """Yield the segments that still hold something of the user's."""
    for files in segments.writers(folder).values():
        for file in files:
            # all of them are asked: later segments may hold what was said in calls that this one opened
            if any([theirs.has(frame) for frame in _frames(file.path)]):  # noqa: C419
                yield file


def _frames(path: Path) -> Iterator[Frame]:
    offset = 0
    while True:
        try:
            batch = segments.read(path, offset, limit_bytes=_READ_BYTES)
        except FileNotFoundError:
            return
        yield from (frame for _, frame in batch.frames)
        if batch.next_offset <= offset:
            return
        offset = batch.next_offset
