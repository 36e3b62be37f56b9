"""The hub's authority over a real file: what it answered survives, and a database that is away is said to be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.budgets.authority import AuthorityAway
from gateway.budgets.records import Budget, Closing, Place, Reservation, by_id
from gateway.control.budget_accounts import LEASE_US, standings
from gateway.control.budget_authority import BudgetAuthority
from gateway.control.records_thread import RecordsThread
from gateway.control.sqlite import Sqlite
from tests.fakes.keys import HandClock

KEY = Budget(id="key", name="each key", per="key", window="total", hard_nano_usd=100_000)
A = (Place("key", "", "a"),)


class Rig:
    """An authority, its clock, and another pair of eyes on its file."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.path = folder / "control.sqlite"
        self.clock = HandClock()
        self.records = RecordsThread(self.path, url, self.clock)
        self.authority = BudgetAuthority(self.records, by_id([KEY]), self.clock)

    def stands(self) -> tuple[int, int, int]:
        """Return what is spent, the part nobody told, and what is reserved."""
        database = Sqlite(self.path)
        ((_, account),) = standings(database, [KEY], self.clock.now_us())
        database.close()
        return account.spent, account.bounded, account.reserved


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    await made.records.close()


def wanted(name: str, nano_usd: int = 1000) -> Reservation:
    return Reservation(name, "w1", A, nano_usd)


async def test_hundreds_at_once_are_answered_and_written_when_they_are(rig: Rig) -> None:
    verdicts = await asyncio.gather(*(rig.authority.reserve(wanted(f"r{n}")) for n in range(500)))

    assert sum(one.refusal is None for one in verdicts) == 100
    assert rig.stands() == (0, 0, 100_000)
    await rig.authority.close([Closing(f"r{n}", 10) for n in range(500)])
    assert rig.stands() == (1000, 0, 0)


async def test_who_gave_up_before_it_was_written_reserved_nothing(rig: Rig) -> None:
    waiting = [asyncio.ensure_future(rig.authority.reserve(wanted(f"r{n}"))) for n in range(3)]  # noqa: TID251
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.wait(waiting)

    assert rig.stands() == (0, 0, 2000)


async def test_what_a_silent_worker_holds_is_spent_once_its_lease_is_over(rig: Rig) -> None:
    await rig.authority.reserve(wanted("r1"))
    rig.clock.us += LEASE_US - 1
    await rig.authority.look()
    assert rig.stands() == (0, 0, 1000)
    await rig.authority.hold("w1")
    rig.clock.us += LEASE_US - 1
    await rig.authority.look()
    assert rig.stands() == (0, 0, 1000)
    rig.clock.us += 1
    await rig.authority.look()
    assert rig.stands() == (1000, 1000, 0)
    await rig.authority.close([Closing("r1", 7)])
    assert rig.stands() == (7, 0, 0)


async def test_without_a_budget_nothing_is_made(rig: Rig) -> None:
    rig.clock.us += 2 * LEASE_US
    await rig.authority.look()

    assert not rig.path.exists()


async def test_a_database_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "postgresql://nobody@127.0.0.1:1/none")
    try:
        for asking in (
            rig.authority.reserve(wanted("r1")),
            rig.authority.close([Closing("r1", 1)]),
            rig.authority.hold("w1"),
        ):
            with pytest.raises(AuthorityAway):
                await asking
        rig.clock.us += LEASE_US - 1
        await rig.authority.look()
    finally:
        await rig.records.close()


async def test_a_file_that_is_spoilt_is_away_and_well_again_when_it_is_mended(rig: Rig) -> None:
    rig.path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(AuthorityAway):
        await rig.authority.reserve(wanted("r1"))
    rig.path.unlink()

    assert (await rig.authority.reserve(wanted("r2"))).refusal is None
    assert rig.stands() == (0, 0, 1000)
