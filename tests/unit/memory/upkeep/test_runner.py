from __future__ import annotations

import asyncio
import time

from memory.store.sql_upkeep import JobName, Run
from memory.upkeep.jobs import Slice
from memory.upkeep.progress import progress
from memory.upkeep.runner import SLICE_S, Rests, Upkeep
from tests.fakes.memory_parts import ALICE
from tests.fakes.tidied_memory import Tidied
from tests.fakes.waiting import until


async def test_everything_due_is_done_once_and_told() -> None:
    house = Tidied()
    for at_us, word in enumerate(("just", "really"), 1):
        house.add(f"user {word} likes green tea", occurred_at_us=at_us)
    house.index()
    await house.upkeep().once()
    told = progress(house.store)
    assert told["running"] == []
    assert {one["job"]: one["changed"] for one in told["last"]} == {
        "merge": 1,
        "contradictions": 0,
        "decay": 0,
    }
    assert told["counts"] == {"merge": 1, "contradictions": 0, "decay": 0, "summaries": 0}
    await house.upkeep().once()
    assert len(house.store.runs(limit=99)) == 3


async def test_what_has_expired_is_deleted_for_good() -> None:
    house = Tidied()
    house.add(*(f"code {number} for the door" for number in range(9)), expires_at_us=house.clock.us + 5)
    house.add("user likes tea")
    house.clock.us += 9
    upkeep = house.upkeep()
    await upkeep.once()
    assert upkeep.expired == 9
    assert [row[2] for row in house.view().values() if row[2]] == ["user likes tea"]


class Slow:
    """A job whose slices take as long as they have rows, and which breaks off when it is told to."""

    name: JobName = "merge"
    rows = 64

    def __init__(self, most: int = 20) -> None:
        self.asked: list[tuple[str, int]] = []
        self.most = most
        self.broken = -1

    def slice(self, run: Run, place: str, rows: int) -> Slice:
        self.asked.append((place, rows))
        if len(self.asked) == self.broken:
            raise OSError("the disk is full")
        at = int(place or 0) + 1
        if rows > 4:
            until = time.monotonic() + SLICE_S * 1.2
            while time.monotonic() < until:
                pass
        return Slice(str(at), 0 if at > self.most else 1)


def running(house: Tidied, job: Slow) -> Upkeep:
    upkeep = house.upkeep()
    upkeep._jobs = [job]
    return upkeep


async def test_slices_that_take_too_long_become_smaller() -> None:
    house, job = Tidied(), Slow()
    await running(house, job).once()
    rows = [asked for _, asked in job.asked]
    assert rows[:4] == [64, 32, 16, 8]
    assert max(rows[5:]) <= 6


async def test_a_pass_that_broke_off_goes_on_where_it_was_noted() -> None:
    house, job = Tidied(), Slow(most=40)
    job.rows, job.broken = 1, 20
    await running(house, job).once()
    (run,) = house.store.runs(limit=9)
    assert (run.state, run.place, run.seen) == ("running", "16", 16)
    again = Slow(most=40)
    again.rows = 1
    await running(house, again).once()
    assert again.asked[0][0] == "16"
    assert house.store.runs(limit=9)[0].state == "done"


async def test_it_waits_while_somebody_wants_an_answer() -> None:
    house = Tidied()
    house.add("user likes tea")
    waits = iter([True, True, False])
    asked: list[bool] = []

    def busy() -> bool:
        asked.append(next(waits, False))
        return asked[-1]

    upkeep = house.upkeep(busy=busy)
    await upkeep.once()
    assert asked[:3] == [True, True, False]
    assert house.store.latest()


async def test_it_runs_until_it_is_cancelled() -> None:
    house = Tidied()
    house.add("user likes tea", expires_at_us=house.clock.us + 1)
    house.clock.us += 2
    upkeep = house.upkeep()
    upkeep._rests = Rests(0, 0.01, 0)
    running = asyncio.get_running_loop().create_task(upkeep.run())
    await until(lambda: len(house.store.latest()) == 3, "a pass of each job")
    running.cancel()
    await asyncio.wait([running])
    assert house.ledger.page(ALICE, limit=9) == []
