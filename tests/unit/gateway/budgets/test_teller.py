"""A worker asks and tells over a real line, waits no longer than it may, and tells until it is heard."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from gateway.budgets import teller as teller_module
from gateway.budgets.records import Budget, Closing, Place
from gateway.budgets.teller import PATIENCE_S
from gateway.tasks import spawn
from tests.fakes.authority import MemoryAuthority, asked_over_a_line
from tests.fakes.waiting import until

KEY = Budget(id="key", name="each key", per="key", window="total", hard_nano_usd=1000)
A = (Place("key", "", "a"),)


async def test_what_is_put_aside_is_closed_with_its_cost(tmp_path: Path) -> None:
    authority = MemoryAuthority(KEY)
    async with asked_over_a_line(tmp_path, authority) as teller:
        verdict = await teller.reserve("r1", A, 700)
        refused = await teller.reserve("r2", A, 700)
        teller.close(Closing("r1", 12))
        await teller.finish(5)

    assert verdict is not None
    assert verdict.refusal is None
    assert refused is not None
    assert refused.refusal is not None
    assert refused.refusal.left_nano_usd == 300
    assert authority.sums() == (12, 0)


async def test_nobody_waits_for_a_silent_authority(tmp_path: Path) -> None:
    authority = MemoryAuthority(KEY)
    authority.silent = True
    async with asked_over_a_line(tmp_path, authority) as teller:
        took = []
        for number in range(5):
            began = time.monotonic()
            assert await teller.reserve(f"r{number}", A, 1) is None
            took.append(time.monotonic() - began)
        authority.silent = False

    assert min(took) < 2 * PATIENCE_S


async def test_an_answer_that_has_arrived_counts_however_busy_this_process_was(tmp_path: Path) -> None:
    async with asked_over_a_line(tmp_path, MemoryAuthority(KEY)) as teller:
        asking = spawn(teller.reserve("r1", A, 1), name="asking")
        for _ in range(3):  # each turn of the loop takes longer than the authority may
            await asyncio.sleep(0)
            time.sleep(PATIENCE_S * 1.2)  # noqa: ASYNC251 - that is what is tested
        assert await asking is not None


async def test_an_authority_that_says_it_is_away_is_away_at_once(tmp_path: Path) -> None:
    authority = MemoryAuthority(KEY)
    authority.away = True
    async with asked_over_a_line(tmp_path, authority) as teller:
        assert await teller.reserve("r1", A, 1) is None
        authority.away = False
        assert await teller.reserve("r2", A, 1) is not None


async def test_what_is_not_heard_is_told_again_and_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teller_module, "_PAUSE_S", 0.01)
    authority = MemoryAuthority(KEY)
    authority.away = True
    async with asked_over_a_line(tmp_path, authority) as teller:
        for number in range(3):
            teller.close(Closing(f"r{number}", number, A))
        await asyncio.sleep(0.05)
        assert authority.closed == []
        authority.away = False
        await teller.finish(5)

    assert [one.id for one in authority.closed] == ["r0", "r1", "r2"]
    assert authority.sums() == (3, 0)


async def test_a_caller_that_leaves_while_it_waits_leaves_nothing_reserved(tmp_path: Path) -> None:
    authority = MemoryAuthority(KEY)
    authority.silent = True
    async with asked_over_a_line(tmp_path, authority) as teller:
        asking = spawn(teller.reserve("r1", A, 500), name="asking")
        await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait([asking])
        authority.silent = False
        await teller.finish(5)

    assert authority.closed == [Closing("r1", 0, A)]
    assert authority.sums() == (0, 0)


async def test_a_worker_is_heard_of_as_long_as_something_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teller_module, "HOLD_EVERY_S", 0.01)
    authority = MemoryAuthority(KEY)
    async with asked_over_a_line(tmp_path, authority) as teller:
        living = spawn(teller.run(), name="living")
        await asyncio.sleep(0.03)
        assert authority.holders == []
        await teller.reserve("r1", A, 1)
        await until(lambda: len(authority.holders) > 1)
        teller.close(Closing("r1", 1))
        await teller.finish(5)
        living.cancel()

    assert set(authority.holders) == {"w1"}
