"""What the ledger costs when it is full: CPU per question and per row, and bytes per row.

    python -m tests.bench.ledger [calls] [folder]

A folder that is given keeps its calls, and another run asks them again: most of the time goes into making them. CPU is that of all threads of this process, which holds the engine as the telemetry process does. A question is asked
`TURNS` times, through the classes that answer the API; the table shows medians, and the first time apart.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from telemetry.ingest.log import Sender
from telemetry.logs import people, questions
from telemetry.logs.asking import Listing
from telemetry.logs.relation import Relation
from telemetry.migrate import migrate
from telemetry.questions import EventFilters, Questions, Range, Scope
from telemetry.questions.calls import Sort
from telemetry.questions.costs import CostOrder
from telemetry.questions.filters import Filters
from telemetry.store.base import Store
from telemetry.store.embedded import Limits, open_folder
from tests.bench.ledger_ingest import ingest
from tests.bench.ledger_seed import DAY_US, RARE, fill

CALLS = 10_000_000
TURNS = 7
PAGE_MS = 300
"""The target of whatever is looked up."""
MONTH_MS = 1500
"""The target of a project's month."""
READ_S = 600

Question = Callable[[], object]


class Taken(msgspec.Struct, frozen=True):
    """Milliseconds of a question."""

    cpu: float
    wall: float


def say(line: str) -> None:
    """Print one line of the result."""
    print(line, flush=True)  # noqa: T201 -- a measuring script


def take(ask: Question) -> Taken:
    """Ask once."""
    wall, cpu = time.perf_counter(), time.process_time()
    ask()
    return Taken((time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000)


def show(name: str, target_ms: int | None, ask: Question) -> None:
    """Ask often, print a line."""
    first = take(ask)
    again = [take(ask) for _ in range(TURNS)]
    cpu, wall = (statistics.median(getattr(one, how) for one in again) for how in ("cpu", "wall"))
    verdict = "" if target_ms is None else f"{target_ms:6d}  {'ok' if cpu < target_ms else 'MISSED'}"
    say(f"{name:58s}{cpu:8.0f}{wall:8.0f}{first.cpu:8.0f}{first.wall:8.0f}  {verdict}")


def await_merges(store: Store) -> None:
    """Return when the engine has nothing left to tidy up."""
    quiet = 0
    while quiet < 5:
        (row,) = store.query("SELECT count() AS merges FROM system.merges", {})
        quiet = 0 if row["merges"] else quiet + 1
        time.sleep(0.2)


def questions_of(store: Store, now_us: int) -> list[tuple[str, int | None, Question]]:
    """Return what is asked: of the biggest project, which has half of all calls."""
    scope, open_to_all = Scope("assistant", "prod"), Scope(open=True)
    today = now_us // DAY_US * DAY_US
    month = Range(today - 29 * DAY_US, today + DAY_US)
    (some,) = store.query(
        "SELECT event_id, thread_id, user_id, call_id FROM spans WHERE project = 'assistant' AND environment = 'prod'"
        " AND started_at > fromUnixTimestamp64Micro({us:Int64}, 'UTC') LIMIT 1",
        {"us": now_us - 9 * DAY_US},
    )
    (busy,) = store.query(
        "SELECT user_id FROM usage_daily WHERE project = 'assistant' AND environment = 'prod'"
        " GROUP BY user_id ORDER BY sum(calls) DESC LIMIT 1",
        {},
    )
    user = busy["user_id"]

    def q() -> Questions:
        return Questions(store)

    def relation(of: Scope = scope) -> Relation:
        return Relation(store, Sender(project=of.project, environment=of.environment, open=of.open))

    def calls(
        filters: Filters, *, of: Scope = scope, sort: Sort = "newest", within: Range | None = None
    ) -> Question:
        return lambda: q().calls(of, filters, limit=50, cursor="", sort=sort, within=within)

    def events(**filters: object) -> Question:
        wanted = EventFilters(**filters)  # type: ignore[arg-type]
        return lambda: q().events(scope, wanted, limit=50, cursor="", now_us=now_us)

    def costs(*by: str, order: CostOrder = "group", within: Range = month) -> Question:
        return lambda: q().costs(scope, {}, within, by, order=order, limit=200, cursor="")

    def user_month() -> object:
        days = month.days
        return q().user_cost(scope, user, days=days, group_by=("day", "model"))

    week = Range(today - 6 * DAY_US, today + DAY_US)
    return [
        ("list: calls", PAGE_MS, calls({})),
        ("list: calls, of all projects", PAGE_MS, calls({}, of=open_to_all)),
        ("list: calls, errors only", PAGE_MS, calls({"status": "error", "error_type": "timeout"})),
        ("list: calls of a model and step", PAGE_MS, calls({"model": "gemini-2.5-pro", "step": "retrieval"})),
        ("list: calls of a property", PAGE_MS, calls({"property:feature": "f7"})),
        ("list: calls of a tag", PAGE_MS, calls({"tag": "tag-7"})),
        ("list: calls that cost much (few do)", None, calls({"min_cost_nano_usd": 1_985_000})),
        ("list: slowest calls of a week", None, calls({}, sort="slowest", within=week)),
        ("list: most expensive calls of a week", None, calls({}, sort="most_expensive", within=week)),
        ("list: events", PAGE_MS, events()),
        ("list: events of a user", PAGE_MS, events(user_id=user)),
        ("a month's users, the dearest first", MONTH_MS, costs("user", order="cost")),
        ("a month's keys, the dearest first", MONTH_MS, costs("key", order="cost")),
        ("a month's models, the busiest first", MONTH_MS, costs("model", order="calls")),
        ("list: errors of a week", PAGE_MS, lambda: q().errors(scope, {}, week, limit=50, cursor="")),
        (
            "list: request logs",
            PAGE_MS,
            lambda: questions.listed(relation(), Listing(filters=[], sort_by="start_time"), now_us=now_us),
        ),
        (
            "list: threads of request logs",
            PAGE_MS,
            lambda: people.threads(relation(), Listing(filters=[]), now_us=now_us),
        ),
        (
            "list: users of request logs",
            PAGE_MS,
            lambda: people.users(
                relation(), Listing(filters=[], sort_by="last_active_timeframe"), now_us=now_us
            ),
        ),
        ("one call", PAGE_MS, lambda: q().call(scope, some["call_id"])),
        ("one event", PAGE_MS, lambda: q().group(scope, "event_id", some["event_id"], limit=200, cursor="")),
        (
            "one event, of all projects",
            PAGE_MS,
            lambda: q().group(open_to_all, "event_id", some["event_id"], limit=200, cursor=""),
        ),
        (
            "one thread",
            PAGE_MS,
            lambda: q().group(scope, "thread_id", some["thread_id"], limit=200, cursor=""),
        ),
        ("one user's month by day and model (the busiest)", PAGE_MS, user_month),
        ("one user's calls (the busiest), first page", PAGE_MS, calls({"user_id": user})),
        ("a project's month by user, model, day", MONTH_MS, costs("user", "model", "day")),
        ("a project's month by user", MONTH_MS, costs("user")),
        ("a project's month by model", MONTH_MS, costs("model")),
        ("a project's month by day", MONTH_MS, costs("day")),
        ("a project's week by property, from calls", None, costs("property:feature", within=week)),
        (
            "search: a word in most payloads, first page",
            PAGE_MS,
            lambda: q().search(scope, "word1", {}, Range(), limit=50, cursor=""),
        ),
        (
            "search: a rare word, through all payloads",
            None,
            lambda: q().search(scope, RARE, {}, Range(), limit=50, cursor=""),
        ),
        (
            "latency percentiles of a month by model",
            None,
            lambda: q().latencies(scope, {}, month, ("model",), limit=50, cursor=""),
        ),
        (
            "latency percentiles of a day by model and hour",
            None,
            lambda: q().latencies(
                scope, {}, Range(today - DAY_US, today), ("model", "hour"), limit=500, cursor=""
            ),
        ),
        ("steps of a week", None, lambda: q().steps(scope, {}, week, limit=50, cursor="")),
    ]


def sizes(store: Store) -> None:
    """Print bytes per row."""
    say(f"\n{'table':20s}{'rows':>14s}{'MB':>10s}{'bytes/row':>11s}{'parts':>7s}")
    for row in store.query(
        "SELECT table, sum(parts.rows) AS total, sum(bytes_on_disk) AS bytes, count() AS parts FROM system.parts AS parts"
        " WHERE active AND database = currentDatabase() AND table IN ('spans', 'span_payloads', 'span_index', 'usage_daily') GROUP BY table ORDER BY bytes DESC",
        {},
    ):
        each = row["bytes"] / row["total"]
        say(f"{row['table']:20s}{row['total']:14,d}{row['bytes'] / 2**20:10.0f}{each:11.1f}{row['parts']:7d}")


def main(calls: int, folder: Path) -> None:
    """Fill, ask, add, print."""
    now_us = time.time_ns() // 1000
    store = open_folder(folder / "clickhouse", Limits(read_s=READ_S))
    migrate(store)
    if not store.query("SELECT count() AS calls FROM spans", {})[0]["calls"]:
        fill(store, calls, now_us, say)
    await_merges(store)
    sizes(store)
    say(
        f"\n{'milliseconds, median of ' + str(TURNS):58s}{'cpu':>8s}{'wall':>8s}{'1st cpu':>8s}{'1st wall':>8s}  target"
    )
    for name, target_ms, ask in questions_of(store, now_us):
        show(name, target_ms, ask)
    ingest(store, folder / "journal", say, lambda: await_merges(store))
    store.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(
            int(sys.argv[1]) if len(sys.argv) > 1 else CALLS,
            Path(sys.argv[2] if len(sys.argv) > 2 else made),
        )
