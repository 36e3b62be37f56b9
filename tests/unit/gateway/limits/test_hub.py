"""A worker and the hub that counts for it, when the hub is slow, silent, gone, or another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.limits.base import PATIENCE_S, AuthorityAway, Demand, Part
from gateway.limits.hub import RESERVE, HubCounters, HubLimiter
from gateway.link import LinkClient
from gateway.link_server import LinkServer
from gateway.processes.doors import bind_unix
from gateway.tasks import spawn
from tests.fakes.waiting import until

PLACE = Part("a", concurrency=1)
SLACK_S = 0.2
"""A busy machine may be late; what it must not do is wait for seconds."""


class Hub:
    """Decides at once, and answers when it is let."""

    def __init__(self, path: Path) -> None:
        self.counters = HubCounters(SystemClock())
        self.decided = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self._decide = self.counters.handlers[RESERVE]
        self.server = LinkServer({**self.counters.handlers, RESERVE: self._reserve})
        self._path = path

    async def open(self) -> None:
        await self.server.listen(bind_unix(self._path))

    async def _reserve(self, params: object) -> object:
        verdict = await self._decide(params)
        self.decided += 1
        await self.answers.wait()
        return verdict


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    made = Hub(tmp_path / "link.sock")
    await made.open()
    yield made
    await made.server.close()


@pytest.fixture
async def limiter(tmp_path: Path, hub: Hub) -> AsyncIterator[HubLimiter]:
    link = LinkClient(str(tmp_path / "link.sock"))
    link.start()
    made = HubLimiter(link)
    made.start()
    assert await made.wait_up(10)
    yield made
    await made.close()
    await link.close()


async def free(limiter: HubLimiter, call: str) -> bool:
    """Whether there is a place, which is then taken."""
    try:
        return (await limiter.reserve(Demand(call, 0, (PLACE,)))).kind == 0
    except AuthorityAway:
        return False


async def waits(limiter: HubLimiter) -> float:
    """Ask in vain; return for how long."""
    began = time.monotonic()
    with pytest.raises(AuthorityAway):
        await limiter.reserve(Demand("vain", 0, (PLACE,)))
    return time.monotonic() - began


async def test_a_call_that_is_given_up_after_the_hub_decided_gives_its_place_back(
    hub: Hub, limiter: HubLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.limits.hub.PATIENCE_S", 10)
    hub.answers.clear()
    asked = spawn(free(limiter, "given up"), name="asked")
    await until(lambda: hub.decided == 1)
    asked.cancel()
    await asyncio.wait([asked])
    hub.answers.set()

    assert await free(limiter, "next")


async def test_nobody_waits_long_for_a_hub_that_is_silent_and_the_next_ones_not_at_all(
    hub: Hub, limiter: HubLimiter
) -> None:
    hub.answers.clear()
    first, second = await waits(limiter), await waits(limiter)

    assert PATIENCE_S - 0.005 <= first < PATIENCE_S + SLACK_S
    assert second < 0.02
    hub.answers.set()
    limiter.settle(Demand("vain", 0, (PLACE,)), 0, 0)
    deadline = time.monotonic() + 10
    while not await free(limiter, "after"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_hub_that_is_another_one_is_told_which_calls_are_under_way(
    hub: Hub, limiter: HubLimiter, tmp_path: Path
) -> None:
    under_way = Demand("under way", 0, (PLACE,))
    await limiter.reserve(under_way)
    await hub.server.close()
    await until(lambda: not limiter._link.connected)
    assert await waits(limiter) < 0.02
    limiter.settle(Demand("vain", 0, (PLACE,)), 0, 0)
    (tmp_path / "link.sock").unlink(missing_ok=True)
    another = Hub(tmp_path / "link.sock")
    await another.open()
    await until(lambda: limiter._link.connected)

    assert not await free(limiter, "one too many")
    limiter.settle(under_way, 0, 0)
    assert await free(limiter, "next")
    await another.server.close()
