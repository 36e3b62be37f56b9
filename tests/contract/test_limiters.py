"""What any authority over limits must do: in the worker, in the hub, in a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from gateway.limits.base import LEASE_US, AuthorityAway, Demand, Limiter, Part, Verdict
from gateway.limits.hub import HubCounters, HubLimiter
from gateway.limits.in_process import InProcess
from gateway.limits.redis import Address, RespLine
from gateway.limits.redis_limiter import SCRIPTS, RedisLimiter
from gateway.limits.redis_py import RedisPyLine
from gateway.link import LinkClient
from gateway.link_server import LinkServer
from gateway.processes.doors import bind_unix
from tests.fakes import redis

START_US = 1_700_000_000_000_000
PATIENCE_S = 5.0
"""The machine that tests may be slow; how short the patience really is has tests of its own."""


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.us = START_US

    def now_us(self) -> int:
        return self.us

    def monotonic_ns(self) -> int:
        return self.us * 1000

    def forward(self, seconds: float) -> None:
        self.us += int(seconds * 1_000_000)


Make = Callable[[], Limiter]
"""Returns another worker's end of the same authority."""


@pytest.fixture(scope="module")
def server() -> Iterator[redis.RedisServer]:
    if not redis.PROGRAM:
        pytest.skip("Redis is not installed")
    with redis.running() as started:
        yield started


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["in process", "hub", "redis", "redis-py"])
async def another(
    request: pytest.FixtureRequest, clock: HandClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Make]:
    monkeypatch.setattr("gateway.limits.hub.PATIENCE_S", PATIENCE_S)
    made: list[Limiter] = []
    links: list[LinkClient] = []
    alone = InProcess(clock)
    hub = LinkServer(HubCounters(clock).handlers)
    if request.param == "hub":
        await hub.listen(bind_unix(tmp_path / "link.sock"))
    if request.param.startswith("redis"):
        request.getfixturevalue("server").say("FLUSHALL")

    def make() -> Limiter:
        limiter: Limiter = alone
        if request.param == "hub":
            link = LinkClient(str(tmp_path / "link.sock"))
            links.append(link)
            limiter = HubLimiter(link)
            link.start()
        elif request.param.startswith("redis"):
            url = request.getfixturevalue("server").url
            address = Address.read(url)
            assert address is not None
            ours = request.param == "redis"
            line = (
                RespLine(address, SCRIPTS, patience_s=PATIENCE_S)
                if ours
                else RedisPyLine(url, SCRIPTS, patience_s=PATIENCE_S)
            )
            limiter = RedisLimiter(line, clock.now_us)
        limiter.start()
        made.append(limiter)
        return limiter

    yield make
    for limiter in made:
        await limiter.close()
    for link in links:
        await link.close()
    await hub.close()


@pytest.fixture
async def limiter(another: Make) -> Limiter:
    return await up(another())


async def up(limiter: Limiter) -> Limiter:
    """Return it once it reaches its authority."""

    async def reached() -> bool:
        try:
            await limiter.reserve(Demand("ping", 0, ()))
        except AuthorityAway:
            return False
        return True

    deadline = asyncio.get_running_loop().time() + 20
    while not await reached():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)
    return limiter


def part(subject: str = "a", **limits: int) -> Part:
    return Part(subject, **limits)


numbers = iter(range(1_000_000_000))


def demand(*parts: Part, tokens: int = 0) -> Demand:
    return Demand(f"call-{next(numbers)}", tokens, parts)


async def admitted(limiter: Limiter, *parts: Part, tokens: int = 0) -> bool:
    return (await limiter.reserve(demand(*parts, tokens=tokens))).kind == 0


async def settled(limiter: Limiter, *parts: Part) -> None:
    """Return when what was told before has arrived."""
    await limiter.reserve(demand(part("somebody else")))


async def test_a_minute_holds_so_many_requests_and_no_more(limiter: Limiter, clock: HandClock) -> None:
    rule = part(rpm=3)

    first = await limiter.reserve(demand(rule))
    assert first == Verdict(START_US // 1_000_000, left=(2, -1))
    clock.forward(1.5)
    assert await admitted(limiter, rule)
    assert await admitted(limiter, rule)
    refused = await limiter.reserve(demand(rule))

    assert (refused.kind, refused.part, refused.wait_us, refused.left) == (1, 0, 58_500_000, (0, -1))
    clock.forward(58.4)
    assert not await admitted(limiter, rule)
    clock.forward(0.1)
    assert await admitted(limiter, rule)
    assert not await admitted(limiter, rule)
    clock.forward(600)
    assert (await limiter.reserve(demand(rule))).left == (2, -1)


async def test_tokens_are_corrected_where_they_were_reserved(limiter: Limiter, clock: HandClock) -> None:
    rule = part(tpm=100)
    asked = demand(rule, tokens=80)
    verdict = await limiter.reserve(asked)
    clock.forward(10)
    refused = await limiter.reserve(demand(rule, tokens=50))
    assert (verdict.left, refused.kind, refused.left) == ((-1, 20), 2, (-1, 20))

    limiter.settle(asked, verdict.second, 30)
    await settled(limiter)
    assert (await limiter.reserve(demand(rule, tokens=50))).left == (-1, 20)
    clock.forward(50)  # the first one's second leaves the minute, with thirty
    assert (await limiter.reserve(demand(rule, tokens=1))).left == (-1, 49)


async def test_more_tokens_than_were_reserved_count_too(limiter: Limiter) -> None:
    rule = part(tpm=100)
    asked = demand(rule, tokens=10)
    verdict = await limiter.reserve(asked)
    limiter.settle(asked, verdict.second, 250)
    await settled(limiter)

    refused = await limiter.reserve(demand(rule, tokens=1))
    assert (refused.kind, refused.left, refused.wait_us) == (2, (-1, 0), 60_000_000)


async def test_a_correction_that_comes_too_late_changes_nothing(limiter: Limiter, clock: HandClock) -> None:
    rule = part(tpm=100)
    asked = demand(rule, tokens=10)
    verdict = await limiter.reserve(asked)
    clock.forward(60)
    assert (await limiter.reserve(demand(rule, tokens=40))).left == (-1, 60)

    limiter.settle(asked, verdict.second, 90)
    limiter.settle(asked, verdict.second - 1, 0)
    await settled(limiter)
    assert (await limiter.reserve(demand(rule, tokens=0))).left == (-1, 60)


async def test_only_so_many_calls_at_once(another: Make) -> None:
    rule = part(concurrency=2)
    one, two = await up(another()), await up(another())
    first = demand(rule)
    verdict = await one.reserve(first)
    assert await admitted(two, rule)
    refused = await two.reserve(demand(rule))
    assert (refused.kind, refused.wait_us) == (3, 1_000_000)

    one.settle(first, verdict.second, 0)
    await settled(one)
    assert await admitted(two, rule)
    assert not await admitted(one, rule)


async def test_a_refused_call_takes_nothing_from_any_part(limiter: Limiter) -> None:
    roomy, full = part("roomy", rpm=5, tpm=100, concurrency=5), part("full", rpm=1)
    assert await admitted(limiter, full)

    refused = await limiter.reserve(demand(roomy, full, tokens=10))
    assert (refused.kind, refused.part, refused.left) == (1, 1, (5, 100, 0, -1))
    assert (await limiter.reserve(demand(roomy, tokens=10))).left == (4, 90)


async def test_who_is_refused_hears_of_the_longest_wait(limiter: Limiter, clock: HandClock) -> None:
    early, late = part("early", rpm=1), part("late", tpm=10)
    assert await admitted(limiter, early)
    clock.forward(20)
    assert await admitted(limiter, late, tokens=10)

    refused = await limiter.reserve(demand(early, late, tokens=1))
    assert (refused.kind, refused.part, refused.wait_us) == (2, 1, 60_000_000)


async def test_a_smooth_rate_lets_a_burst_through_and_then_one_at_a_time(
    limiter: Limiter, clock: HandClock
) -> None:
    rule = part(rpm=60, burst=3)
    left = [(await limiter.reserve(demand(rule))).left for _ in range(3)]
    refused = await limiter.reserve(demand(rule))
    assert left == [(2, -1), (1, -1), (0, -1)]
    assert (refused.kind, refused.wait_us, refused.left) == (1, 1_000_000, (0, -1))

    clock.forward(1)
    assert await admitted(limiter, rule)
    assert not await admitted(limiter, rule)
    clock.forward(2)
    assert [await admitted(limiter, rule) for _ in range(3)] == [True, True, False]


async def test_whom_nobody_settles_holds_a_place_only_for_a_while(another: Make, clock: HandClock) -> None:
    one = await up(another())
    if isinstance(one, InProcess):
        pytest.skip("who counts and who is counted end together")
    rule = part(concurrency=1)
    assert await admitted(one, rule)
    clock.forward(LEASE_US / 1_000_000 - 0.001)
    assert not await admitted(one, rule)

    clock.forward(0.001)
    assert await admitted(one, rule)


async def test_a_lease_that_is_renewed_goes_on(another: Make, clock: HandClock) -> None:
    one = await up(another())
    if isinstance(one, InProcess):
        pytest.skip("has no leases")
    assert isinstance(one, HubLimiter | RedisLimiter)
    rule = part(concurrency=1)
    assert await admitted(one, rule)
    clock.forward(20)
    one._leases.renew()
    await settled(one)
    clock.forward(20)

    assert not await admitted(one, rule)


async def test_a_call_that_is_given_up_gives_its_place_back(another: Make) -> None:
    one = await up(another())
    rule = part(concurrency=1)
    asked = asyncio.get_running_loop().create_task(admitted(one, rule))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])
    if isinstance(one, InProcess):
        pytest.skip("never waits, so it cannot be given up")

    async def free() -> bool:
        return await admitted(one, rule)

    for _ in range(200):
        if await free():
            return
        await asyncio.sleep(0.01)
    pytest.fail("the place was lost")


Step = tuple[int, int, int, tuple[int, ...]]

PARTS = (
    part("r", rpm=4),
    part("t", tpm=100),
    part("c", concurrency=2),
    part("s", rpm=120, burst=2),
    part("all", rpm=9, tpm=150, concurrency=3),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 400_000, 999_999, 1_000_000, 7_300_000, 29_000_000, 59_999_999, 61_000_000]),
        st.integers(0, 100),
        st.integers(0, 130),
        st.sets(st.sampled_from(range(len(PARTS))), min_size=1, max_size=3).map(
            lambda some: tuple(sorted(some))
        ),
    ),
    max_size=25,
)
"""How much later, how many tokens are reserved and really taken, over which parts."""


async def play(limiter: Limiter, clock: HandClock, steps: list[Step], run: str) -> list[Verdict]:
    """Let every third call be over at once, the others later; return what was decided."""
    verdicts: list[Verdict] = []
    open_: list[tuple[Demand, int, int]] = []
    for number, (later, reserved, taken, which) in enumerate(steps):
        clock.us += later
        parts = tuple(
            Part(f"{run}{one.subject}", one.rpm, one.tpm, one.concurrency, one.burst)
            for one in (PARTS[index] for index in which)
        )
        asked = Demand(f"{run}-{number}", reserved, parts)
        verdict = await limiter.reserve(asked)
        verdicts.append(verdict)
        if not verdict.kind:
            open_.append((asked, verdict.second, taken))
        if number % 3 == 0 and open_:
            limiter.settle(*open_.pop(0))
    return verdicts


async def test_all_authorities_decide_alike(another: Make, clock: HandClock) -> None:
    limiter = await up(another())
    if isinstance(limiter, InProcess):
        pytest.skip("is what the others are compared with")
    loop = asyncio.get_running_loop()
    runs: list[list[Step]] = []

    @settings(max_examples=60)
    @given(STEPS)
    def collect(steps: list[Step]) -> None:
        runs.append(steps)

    await loop.run_in_executor(None, collect)
    for number, steps in enumerate(runs):
        clock.us = START_US + number * 10_000_000_000
        mine = HandClock()
        mine.us = clock.us
        assert await play(limiter, clock, steps, f"run{number}") == await play(
            _Reference(mine), mine, steps, f"run{number}"
        )


class _Reference(InProcess):
    """Counts here, with leases that end as they do elsewhere."""

    @override
    async def reserve(self, demand: Demand) -> Verdict:
        return self._counters.reserve(demand, self._clock.monotonic_ns() // 1000, LEASE_US)
