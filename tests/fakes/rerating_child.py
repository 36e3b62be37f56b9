"""Processes for tests that kill a re-rating: `FOLDER N MS` dies MS milliseconds into its N-th insert (0: never)."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import msgspec
from typing_extensions import override

from telemetry.migrate import migrate
from telemetry.records import Cost
from telemetry.rows import SPANS, begin, row_of
from telemetry.store.base import Block, Store
from telemetry.store.embedded import open_folder
from telemetry.upkeep.messages import Order
from telemetry.upkeep.rerate import Priceable, Rerating, repair
from telemetry.upkeep.verify import of_ledger
from tests.fakes.collector_child import Doomed, now_us
from tests.fakes.ledger import BASE_US, settled

CALLS = 800
PAGE = 50
NEW_NANO_USD = 20_000
ORDER = Order(from_us=BASE_US - 86_400_000_000, to_us=BASE_US + 86_400_000_000, reason="killed")


class Dying(Doomed):
    """Goes no further than the insert it dies in."""

    @override
    def insert(self, table: str, block: Block, *, token: str) -> None:
        """Insert, and wait for the end if this is the one."""
        super().insert(table, block, token=token)
        if self._left == 0:
            signal.pause()


def price(_: Priceable) -> Cost:
    """Return what everything costs now."""
    return Cost(NEW_NANO_USD, {"output_text": NEW_NANO_USD}, "row", "v2")


def main() -> None:
    """Fill the folder if it is empty, price all of it anew, and print what the ledger says then."""
    folder, at, delay_ms = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    store = open_folder(folder)
    migrate(store)
    if store.lookup("SELECT count() AS n FROM spans", {}) == [{"n": 0}]:
        rows = [row_of(settled(number), origin="here", preview=begin) for number in range(CALLS)]
        store.insert("spans", SPANS.block([row for row in rows if row is not None]), token="all")
    chosen: Store = Dying(store, at, delay_ms) if at else store  # type: ignore[assignment]
    done = Rerating(chosen, "here", price, now_us=now_us, page=PAGE).run(ORDER)
    repair(store, "here")
    (sums,) = store.lookup(
        "SELECT (SELECT count() FROM cost_corrections) AS corrections,"
        " (SELECT sum(delta_nano_usd) FROM cost_corrections) AS corrected,"
        " (SELECT sum(cost_nano_usd) FROM usage_daily) AS rollup,"
        " (SELECT sum(cost_nano_usd) FROM spans) AS ledger",
        {},
    )
    wrong = [check.found for check in of_ledger(store, "here") if not check.ok]
    print(msgspec.json.encode({**sums, "done": done, "wrong": wrong}).decode(), flush=True)  # noqa: T201
    store.close()


if __name__ == "__main__":
    main()
