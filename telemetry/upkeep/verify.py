"""Compares the ledger with the journal, and its parts with each other.

Whoever calls this keeps the collector still meanwhile; between two of its rounds all of this holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from telemetry.delivery import DeadLetter
from telemetry.follower import Checkpoint
from telemetry.records import Answer, Request
from telemetry.store.base import Parameter, Row, Store
from telemetry.upkeep.inspection import LOG, Check, Contents, doubles, letters, wrong_or

_QUERIES = Path(__file__).parents[1] / "queries"
_IDS = 2000
_END_OF_TIME_US = 4_102_444_800_000_000
_letter = msgspec.msgpack.Decoder(DeadLetter)


class Excused(msgspec.Struct, frozen=True, kw_only=True):
    """What need not be in the store although the collector was given it."""

    letters: AbstractSet[tuple[str, str]] = frozenset()
    """Call id and kind (`span`, `request`, `answer`) of what was buried."""
    bodies_before_us: int = 0
    """Older payloads may have been dropped."""


def buried(folder: Path) -> set[tuple[str, str]]:
    """Return call id and kind of every dead letter that still is a frame."""
    found: set[tuple[str, str]] = set()
    for path in letters(folder):
        frame = _letter.decode(path.read_bytes()).frame
        if isinstance(frame, Request | Answer):
            found.add((frame.payload.call_id, type(frame).__name__.lower()))
        elif frame is not None:
            found.add((frame.call.call_id, "span"))
    return found


def against_store(store: Store, contents: Contents, at: Checkpoint, excused: Excused) -> list[Check]:
    """Compare what the segments say with what the store has of it."""
    return [_calls(store, contents, at, excused), _bodies(store, contents, excused)]


def of_ledger(store: Store, origin: str) -> list[Check]:
    """Compare the ledger's rows with its rollup and its index, day by day."""
    twice: list[str] = []
    rollup: list[str] = []
    index: list[str] = []
    days = [row["day"] for row in store.lookup(_text("verify_days"), {"origin": origin})]
    calls = 0
    for day in days:
        where: dict[str, Parameter] = {"origin": origin, "day": day}
        (found,) = store.lookup(_text("verify_day"), where)
        calls += found["calls"]
        if found["calls"] != found["ids"]:
            twice.append(f"{day} ({found['calls'] - found['ids']} too many)")
        differences = store.lookup(_what_it_adds("repair_usage_daily"), where)
        rollup += [_difference(row) for row in differences]
        wanted, there = _entries(store, where)
        if wanted != there:
            index.append(f"{day} ({there} rows for {wanted})")
    always: dict[str, Parameter] = {"origin": origin, "from_day": "1970-01-01", "to_day": "2100-01-01"}
    rerated = [_difference(row) for row in store.lookup(_what_it_adds("repair_rerate"), always)]
    fine = f"{len(days)} days"
    return [
        wrong_or("each call one row", {"days": twice}, f"{calls} calls"),
        wrong_or("rollup = ledger", {"differences": rollup}, fine),
        wrong_or("index = ledger", {"days": index}, fine),
        wrong_or("rollup = corrections", {"differences": rerated}, "as much"),
    ]


def today(store: Store, origin: str, day: str) -> dict[str, int]:
    """Return sums that must be equal in pairs: `ledger_*` and those of rollup, index and corrections."""
    where: dict[str, Parameter] = {"origin": origin, "day": day}
    (row,) = store.query(_text("invariants"), where)
    wanted, there = _entries(store, where)
    sums = {name: int(value or 0) for name, value in row.items()}
    return {**sums, "ledger_entries": wanted, "index_entries": there}


def _calls(store: Store, contents: Contents, at: Checkpoint, excused: Excused) -> Check:
    due = {
        call_id: seen
        for call_id, seen in contents.calls.items()
        if seen.given_settled or (seen.given_opened and call_id not in at.open.get(seen.writer, {}))
    }
    status: dict[str, str] = {}
    count: Counter[tuple[str, str]] = Counter()
    for row in _rows(store, "verify_calls", {id_: seen.call.started_at_us for id_, seen in due.items()}):
        status[row["call_id"]] = row["status"]
        count[row["call_id"], ""] += 1
    # Whoever sends a log again may date it otherwise: then the first one's time holds.
    redated = [id_ for id_ in due if id_ not in status and due[id_].call.kind == LOG]
    anywhere: dict[str, Parameter] = {"ids": redated, "from_us": 0, "to_us": _END_OF_TIME_US}
    for row in store.lookup(_text("verify_calls"), anywhere) if redated else ():
        status[row["call_id"]] = row["status"]
    missing = [id_ for id_ in due if id_ not in status and (id_, "span") not in excused.letters]
    wrong = [id_ for id_, what in status.items() if (what == "interrupted") == due[id_].given_settled]
    lost = sum(what == "interrupted" for what in status.values())
    return wrong_or(
        "calls of the journal in the store, once",
        {"missing": missing, "twice": doubles(count), "settled otherwise": wrong},
        f"{len(due) - lost} settled, {lost} interrupted",
    )


def _bodies(store: Store, contents: Contents, excused: Excused) -> Check:
    due = {
        (call_id, kind): started_us
        for (call_id, kind), started_us in contents.bodies.items()
        if started_us >= excused.bodies_before_us
    }
    times = {call_id: started_us for (call_id, _), started_us in due.items()}
    count = Counter((row["call_id"], row["part"]) for row in _rows(store, "lookup_span_payloads", times))
    absent = due.keys() - count.keys() - excused.letters
    erased = {row["call_id"] for row in _rows(store, "lookup_erased", {id_: times[id_] for id_, _ in absent})}
    missing = [call_id for call_id, _ in absent if call_id not in erased]
    return wrong_or(
        "payloads of the journal in the store, once",
        {"missing": sorted(missing), "twice": doubles(count)},
        f"{len(due)} payloads",
    )


def _rows(store: Store, query: str, times: Mapping[str, int]) -> Iterator[Row]:
    """Look calls up by id, few enough at once; in the order of time, so that few hours are read."""
    ordered = sorted(times, key=times.__getitem__)
    for start in range(0, len(ordered), _IDS):
        ids = ordered[start : start + _IDS]
        yield from store.lookup(_text(query), {"ids": ids, "from_us": times[ids[0]], "to_us": times[ids[-1]]})


def _entries(store: Store, where: dict[str, Parameter]) -> tuple[int, int]:
    """Return how many rows the index should have of a day, and how many it has."""
    repair = _text("repair_span_index")
    selection = repair[repair.index("FROM spans") : repair.index("WHERE")]
    day = _text("verify_index")
    condition = day[day.index("WHERE") :]
    # Both are files of ours; the selection is told once, by the repair.
    (wanted,) = store.lookup(f"SELECT toInt64(count()) AS entries {selection} {condition}", where)
    (there,) = store.lookup(day, where)
    return int(wanted["entries"]), int(there["entries"])


def _what_it_adds(name: str) -> str:
    """Return a repair of the rollup as a question: what it would add is what is wrong."""
    repair = _text(name)
    return repair[repair.index("SELECT") :]


def _difference(row: Row) -> str:
    named = ", ".join(str(row[name]) for name in ("project", "environment", "model") if row[name])
    return f"{row['day']} {named}: {row['priced'] + row['unpriced']:+d} calls, {row['cost_nano_usd']:+d} nano-USD"


def _text(name: str) -> str:
    return (_QUERIES / f"{name}.sql").read_text()
