"""Processes for tests that kill them.

* `write JOURNAL NAME FIRST`      a worker: writes calls until it is killed
* `collect JOURNAL FOLDER N MS`   a collector: killed MS milliseconds into its N-th insert (0: when the test likes)
* `drain JOURNAL FOLDER`          a collector that ends when all is in, and prints what the ledger holds
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import msgspec

from telemetry.collector import Collector, Pipe
from telemetry.delivery import StoreConsumer
from telemetry.follower import Follower
from telemetry.migrate import migrate
from telemetry.records import Answer, Opened, Request
from telemetry.store.base import Block, Store
from telemetry.store.clickhouse import ClickHouseStore
from telemetry.store.embedded import open_folder
from tests.fakes.ledger import SegmentWriter, call, payload, random_body, settled

_TALLY = {
    "spans": "SELECT call_id, status FROM spans",
    "span_payloads": "SELECT call_id, kind FROM span_payloads",
    "span_index": "SELECT call_id, toString(key), value FROM span_index",
    "usage": "SELECT sum(calls), sum(interrupted), sum(priced), sum(unpriced), sum(input_tokens),"
    " sum(cost_nano_usd) FROM usage_daily",
    "ledger": "SELECT count(), countIf(status = 'interrupted'), count(cost_nano_usd),"
    " countIf(cost_nano_usd IS NULL), sum(input_tokens), sum(cost_nano_usd) FROM spans",
}


def now_us() -> int:
    """The time of day."""
    return time.time_ns() // 1000


def write(journal: Path, name: str, first: int) -> None:
    """Write calls: most are settled, some wait, some never get their answer's frame."""
    source = random.Random(first)
    writer = SegmentWriter(journal, name)
    waiting: list[int] = []
    number = first
    while True:
        number += 1
        writer.write(Opened(call(number)), Request(payload(number, random_body(source, 1500))))
        waiting.append(number)
        while len(waiting) > 3:
            done = waiting.pop(source.randrange(len(waiting)))
            writer.write(settled(done), Answer(payload(done, random_body(source, 500))))
        if number % 150 == 0:
            writer.roll()
        time.sleep(0.004)


class Doomed:
    """A store whose process dies in the middle of an insert."""

    def __init__(self, store: ClickHouseStore, at: int, delay_ms: float) -> None:
        self._store = store
        self._left = at
        self._delay_s = delay_ms / 1000

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def insert(self, table: str, block: Block, *, token: str) -> None:
        """Insert, or begin to."""
        self._left -= 1
        if self._left == 0:
            threading.Timer(self._delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
        self._store.insert(table, block, token=token)


def pipe(journal: Path, store: Store) -> Pipe:
    """A small collector, so that there are many batches."""
    follower = Follower("store", journal, now_us=now_us, max_rows=150)
    consumer = StoreConsumer(store, journal / "dead-letters", origin="here", now_us=now_us)
    return Pipe(follower, consumer, now_us=now_us)


def collect(journal: Path, folder: Path, at: int, delay_ms: float) -> None:
    """Collect until killed."""
    store = open_folder(folder)
    migrate(store)
    chosen: Store = Doomed(store, at, delay_ms) if at else store  # type: ignore[assignment]
    collector = Collector([pipe(journal, chosen)], keep_consumed_s=600, now_us=now_us)
    collector.start()
    print("ready", flush=True)  # noqa: T201
    signal.pause()


def drain(journal: Path, folder: Path) -> None:
    """Take what is left and print the ledger."""
    store = open_folder(folder)
    migrate(store)
    last = pipe(journal, store)
    while last.step():
        pass
    tally = {name: [list(row.values()) for row in store.lookup(sql, {})] for name, sql in _TALLY.items()}
    print(msgspec.json.encode({"tally": tally, "status": last.status()}).decode(), flush=True)  # noqa: T201
    store.close()


def main() -> None:
    """Be what the arguments say."""
    what, journal, *rest = sys.argv[1:]
    match what:
        case "write":
            write(Path(journal), rest[0], int(rest[1]))
        case "collect":
            collect(Path(journal), Path(rest[0]), int(rest[1]), float(rest[2]))
        case _:
            drain(Path(journal), Path(rest[0]))


if __name__ == "__main__":
    main()
