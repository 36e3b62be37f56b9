"""A worker is killed in the middle of its streams: those break, and nobody else's."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

import aiohttp
import msgspec
import pytest

from gateway.processes.supervisor import HouseState
from gateway.tasks import spawn
from tests.fakes.callers import question
from tests.fakes.provider import Provider, chat_stream
from tests.fakes.tidegate import Tidegate
from tests.fakes.waiting import until

WORDS = 10
PAUSE_S = 0.02
CALLERS = 24
VICTIM = 0
NOTICED_S = 0.5
"""A dead worker's clients may send one more call before they hear of it."""
CONFIG = {"server": {"workers": 2, "drain_s": 1}}
BODY = question("p/m", stream=True)
JSON = {"content-type": "application/json"}


class Stream(NamedTuple):
    """One call: by which worker's connection it went, and how."""

    slot: int
    began: float
    ended: float
    whole: bool


class Round(NamedTuple):
    """One kill: what was under way then, and how long the other worker's calls took before and afterwards."""

    broken: list[Stream]
    before_s: float
    after_s: float

    @property
    def ratio(self) -> float:
        """How much longer it took."""
        return self.after_s / self.before_s


class Crowd:
    """Callers who stream one after the other, each on a connection of its own, of which it knows the worker."""

    def __init__(self, url: str) -> None:
        self.streams: list[Stream] = []
        self.slots: dict[int, int] = {}
        """Worker of each caller; none while it connects."""
        self._url = url
        self.leaving = False

    async def call_on(self, number: int) -> None:
        """Call until told to leave; connect again whenever the connection is lost."""
        while not self.leaving:
            async with aiohttp.ClientSession(
                self._url, connector=aiohttp.TCPConnector(limit=1), timeout=aiohttp.ClientTimeout(60)
            ) as session:
                with suppress(aiohttp.ClientError):
                    async with session.get("/api/routes") as answer:
                        assert answer.status == 200, await answer.text()
                        self.slots[number] = msgspec.json.decode(await answer.read())["slot"]
                    while await self._stream(session, self.slots[number]) and not self.leaving:
                        pass
                self.slots.pop(number, None)

    async def _stream(self, session: aiohttp.ClientSession, slot: int) -> bool:
        began, got = time.monotonic(), b""
        try:
            async with session.post("/v1/chat/completions", data=BODY, headers=JSON) as answer:
                async for part in answer.content.iter_any():
                    got += part
        except aiohttp.ClientError:
            got += b"broken off"
        whole = got.endswith(b"data: [DONE]\n\n")
        self.streams.append(Stream(slot, began, time.monotonic(), whole))
        return whole


def p99_s(streams: list[Stream]) -> float:
    """Return what one in a hundred took longer than."""
    took = sorted(stream.ended - stream.began for stream in streams)
    return took[len(took) * 99 // 100]


async def play(house: Tidegate, *, rounds: int, window_s: float) -> list[Round]:
    """Kill the same worker again and again under the same load; return what the others felt."""
    found = []
    for _ in range(rounds):
        crowd = Crowd(house.url)
        callers = [spawn(crowd.call_on(number), name="caller") for number in range(CALLERS)]
        try:
            found.append(await _round(house, crowd, window_s))
        finally:
            crowd.leaving = True
            await asyncio.gather(*callers)
    return found


async def _round(house: Tidegate, crowd: Crowd, window_s: float) -> Round:
    await until(lambda: len(crowd.slots) == CALLERS, "everybody to be connected", timeout_s=60)
    assert set(crowd.slots.values()) == {0, 1}
    began = time.monotonic()
    await asyncio.sleep(window_s)
    os.kill(_victim(house), signal.SIGKILL)
    killed = time.monotonic()
    await asyncio.sleep(window_s)
    over = time.monotonic()

    def others(start: float, end: float) -> list[Stream]:
        return [one for one in crowd.streams if one.slot != VICTIM and start <= one.began and one.ended < end]

    broken = [one for one in crowd.streams if not one.whole]
    assert broken, "nothing was under way"
    assert {one.slot for one in broken} == {VICTIM}
    assert all(one.began <= killed + NOTICED_S for one in broken), "what came later was broken, too"
    return Round(broken, p99_s(others(began, killed)), p99_s(others(killed, over)))


def _victim(house: Tidegate) -> int:
    state = msgspec.json.decode((house.data / "supervisor.json").read_bytes(), type=HouseState)
    return next(child.pid for child in state.children if (child.role, child.slot) == ("worker", VICTIM))


def run(folder: Path, *, rounds: int, window_s: float) -> list[Round]:
    """Return what was measured, and print it."""
    with Provider(chat_stream(["tide"] * WORDS, pause_s=PAUSE_S)).in_thread() as provider:
        config = {"providers": {"p": {"base_url": provider.base_url, "api_key": "x"}}, **CONFIG}
        with Tidegate(folder, config) as house:
            return asyncio.run(play(house, rounds=rounds, window_s=window_s))


def show(found: list[Round], write: Callable[[str], object]) -> None:
    """Print a line for each kill."""
    for one in found:
        write(
            f"{len(one.broken)} streams broken; the other worker's p99 {one.before_s * 1000:.0f} ms before,"
            f" {one.after_s * 1000:.0f} ms after: {one.ratio:.2f}\n"
        )


@pytest.mark.slow
def test_the_other_workers_streams_are_whole_and_hardly_slower(tmp_path: Path) -> None:
    found = run(tmp_path, rounds=3, window_s=1.5)

    show(found, sys.stdout.write)
    assert median(one.ratio for one in found) <= 2


@pytest.mark.chaos
def test_kill_after_kill_the_other_workers_p99_stays_within_twice_what_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(tmp_path, rounds=7, window_s=5)

    with capsys.disabled():
        show(found, sys.stdout.write)
    assert median(one.ratio for one in found) <= 2
