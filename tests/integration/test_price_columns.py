"""A ledger that was written before prices knew pictures, searches and service tiers."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

from telemetry.migrate import MIGRATIONS, migrate
from telemetry.records import Cost, Usage
from telemetry.rows import SPANS, begin, row_of
from telemetry.store.server import open_server
from tests.fakes.ledger import front, outcome, settled

SUMS = (
    "SELECT sum(calls) AS calls, sum(output_image) AS pictures, sum(web_searches) AS searches, "
    "sum(cache_saved_nano_usd) AS saved, sum(cost_nano_usd) AS cost FROM {table}"
)


def test_it_gets_their_columns_and_the_rollup_sums_them(tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir()
    for path in MIGRATIONS.glob("000[1-5]*.sql"):
        shutil.copy(path, before)
    with front(tmp_path / "clickhouse") as url, closing(open_server(url)) as store:
        migrate(store, before)
        store.command(
            "INSERT INTO spans (project, call_id, started_at, cost_nano_usd) VALUES ('p', 'old', now64(6), 4)"
        )
        assert migrate(store)[0] == "prices"
        how = outcome(
            usage=Usage(output_image=1290, web_searches=2),
            service_tier="flex",
            cost=Cost(5, {"output_image": 5}, cache_saved_nano_usd=7),
        )
        rows = [row for n in range(3) if (row := row_of(settled(n, how=how), origin="o", preview=begin))]
        store.insert("spans", SPANS.block(rows), token="t")

        (rollup,) = store.query(SUMS.replace("{table}", "usage_daily"), {})
        assert rollup == {"calls": 4, "pictures": 3870, "searches": 6, "saved": 21, "cost": 19}
        tiers = store.query("SELECT DISTINCT service_tier AS tier FROM spans ORDER BY tier", {})
        assert tiers == [{"tier": ""}, {"tier": "flex"}]
