"""A threshold is told to the log and to its webhook, once, and again only as long as nobody has heard it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.budgets.records import Budget, Closing, Place, Reservation, by_id
from gateway.clock import SystemClock
from gateway.control.budget_accounts import Ask, act
from gateway.control.budget_notices import Notices
from gateway.control.records_thread import RecordsThread
from gateway.settings import Network
from gateway.upstream import Upstream
from tests.fakes.keys import HandClock
from tests.fakes.provider import Provider, Script

FINE, BUSY = Script(status=204, framing="none"), Script(status=503)
HOUR = 3600 * 1_000_000


class Rig:
    """A budget whose webhook is a server of the test's."""

    def __init__(self, folder: Path, webhook: str) -> None:
        self.clock = HandClock()
        self.records = RecordsThread(folder / "control.sqlite", "", self.clock)
        self.budgets = by_id(
            [
                Budget(
                    id="b",
                    name="each key",
                    per="key",
                    window="total",
                    soft_nano_usd=10,
                    hard_nano_usd=20,
                    webhook=webhook,
                )
            ]
        )
        self.upstream = Upstream(SystemClock(), Network())
        self.notices = Notices(self.records, self.budgets, self.upstream, self.clock)

    async def spend(self, name: str, nano_usd: int) -> None:
        """Have a call cost that much."""
        asked: list[Ask] = [
            Reservation(name, "w", (Place("b", "", "ci"),), nano_usd),
            Closing(name, nano_usd),
        ]
        await self.records.query(lambda database: act(database, self.budgets, asked, self.clock.now_us()))

    async def close(self) -> None:
        """Let go of everything."""
        await self.records.close()
        await self.upstream.close()


@pytest.fixture
async def hook() -> AsyncIterator[Provider]:
    async with Provider([BUSY, FINE]) as server:
        yield server


@pytest.fixture
async def rig(tmp_path: Path, hook: Provider) -> AsyncIterator[Rig]:
    made = Rig(tmp_path, f"{hook.base_url}/hook?of=mine")
    yield made
    await made.close()


def heard(hook: Provider) -> list[dict[str, Any]]:
    return [msgspec.json.decode(one.body) for one in hook.requests]


async def test_a_webhook_is_asked_until_it_takes_the_news_and_then_no_more(
    rig: Rig, hook: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.spend("r1", 9)
    await rig.notices.look()
    assert heard(hook) == []

    await rig.spend("r2", 3)
    await rig.notices.look()
    await rig.notices.look()
    assert len(heard(hook)) == 1, "it is left in peace for a while"
    for _ in range(3):
        rig.clock.us += HOUR
        await rig.notices.look()

    first, second = heard(hook)
    assert first == second
    assert (first["id"], first["threshold"], first["subject"]) == ("b::ci:0:soft", "soft", "ci")
    assert (first["spent_nano_usd"], first["soft_nano_usd"], first["window_ends_at"]) == (12, 10, None)
    assert hook.requests[0].path == "/hook?of=mine"
    assert [one.message for one in caplog.records].count("budget_threshold_reached") == 1


async def test_the_hard_amount_is_told_when_it_first_refuses_a_call(rig: Rig, hook: Provider) -> None:
    await rig.spend("r1", 21)
    await rig.spend("r2", 21)
    for _ in range(2):
        await rig.notices.look()
        rig.clock.us += HOUR

    assert {one["threshold"] for one in heard(hook)} == {"hard"}
    assert len(heard(hook)) == 2, "the first was refused by the webhook"


async def test_a_webhook_nobody_answers_is_given_up_after_a_day(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "http://127.0.0.1:1/")
    try:
        await rig.spend("r1", 12)
        for _ in range(40):
            await rig.notices.look()
            rig.clock.us += HOUR
        with (await rig.records.query(lambda database: database)).read() as session:
            assert session.run("select tries, next_us from budget_notices") == [(20, 0)]
    finally:
        await rig.close()


async def test_without_a_webhook_the_log_alone_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(tmp_path, "")
    try:
        await rig.notices.look()
        await rig.spend("r1", 12)
        for _ in range(3):
            await rig.notices.look()
            rig.clock.us += HOUR
    finally:
        await rig.close()
    assert [one.message for one in caplog.records] == ["budget_threshold_reached"]
