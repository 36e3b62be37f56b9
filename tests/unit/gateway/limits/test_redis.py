"""Our own connection to a real Redis: who may wait how long, and what becomes of it in trouble."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.limits.base import AuthorityAway, Demand, Part
from gateway.limits.redis import Address, RedisAway, RespLine, Script
from gateway.limits.redis_limiter import SCRIPTS, RedisLimiter
from tests.fakes import redis
from tests.fakes.waiting import until

LOOPS = ("asyncio", "uvloop")
PATIENCE_S = 0.045
SLACK_S = 0.2
"""A busy machine may be late; what it must not do is wait for seconds."""


@pytest.fixture(scope="module")
def shared() -> Iterator[redis.RedisServer]:
    if not redis.PROGRAM:
        pytest.skip("Redis is not installed")
    with redis.running() as started:
        yield started


@pytest.fixture
def server(shared: redis.RedisServer) -> Iterator[redis.RedisServer]:
    """One that a test may do anything to."""
    shared.say("FLUSHALL")
    yield shared
    shared.stop()
    shared.start()


@pytest.fixture
async def line(server: redis.RedisServer) -> AsyncIterator[RespLine]:
    made = await connected(server.url)
    yield made
    await made.close()


async def connected(url: str, scripts: tuple[Script, ...] = SCRIPTS) -> RespLine:
    address = Address.read(url)
    assert address is not None
    made = RespLine(address, scripts, patience_s=5)
    ups: list[int] = []
    made.when_up(lambda: ups.append(1))
    made.start()
    await until(lambda: bool(ups))
    made._patience_s = PATIENCE_S
    return made


def script(tmp_path: Path, text: str) -> Script:
    path = tmp_path / "some.lua"
    path.write_text(text)
    return Script(path)


async def took(line: RespLine, one: Script) -> tuple[str, float]:
    """Ask in vain; return why, and how long it took."""
    began = time.monotonic()
    with pytest.raises(RedisAway) as away:
        await line.ask(one, b"x")
    return str(away.value), time.monotonic() - began


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://r.example", Address("r.example")),
        ("redis://r.example:7000/3", Address("r.example", 7000, database=3)),
        ("redis://:s%40fe@r.example", Address("r.example", password="s@fe")),
        ("redis://ada:pw@[::1]:7000", Address("::1", 7000, user="ada", password="pw")),
        ("unix:///run/r.sock?db=2", Address("localhost", path="/run/r.sock", database=2)),
        ("rediss://r.example", None),
        ("redis+sentinel://a:1,b:2/name", None),
        ("redis://r.example?ssl_cert_reqs=none", None),
    ],
)
async def test_an_url_is_read_or_left_to_others(url: str, address: Address | None) -> None:
    assert Address.read(url) == address


async def test_answers_come_in_the_order_of_questions_whatever_their_size(
    server: redis.RedisServer, tmp_path: Path
) -> None:
    echo = script(tmp_path, "return ARGV[1]")
    line = await connected(server.url, (echo,))
    line._patience_s = 10
    asked = [b"%d" % number * (number * 997 % 40_000) for number in range(60)]
    line.tell(echo, b"for nobody")

    assert await asyncio.gather(*(line.ask(echo, one) for one in asked)) == asked
    await line.close()


async def test_an_emptied_script_memory_is_filled_again(line: RespLine, server: redis.RedisServer) -> None:
    server.say("SCRIPT FLUSH")
    line._patience_s = 10
    limiter = RedisLimiter(line)

    assert (await limiter.reserve(Demand("1", 0, (Part("a", rpm=2),)))).left == (1, -1)


async def test_what_redis_refuses_is_said(server: redis.RedisServer, tmp_path: Path) -> None:
    broken = script(tmp_path, "return redis.error_reply('NO please')")
    line = await connected(server.url, (broken,))
    line._patience_s = 10

    with pytest.raises(RedisAway, match="NO please"):
        await line.ask(broken, b"")
    await line.close()


async def test_nobody_waits_long_for_a_redis_that_hangs_and_the_next_ones_not_at_all(
    line: RespLine, server: redis.RedisServer
) -> None:
    server.freeze()
    first = await took(line, SCRIPTS[0])
    second = await took(line, SCRIPTS[0])
    server.thaw()

    assert first[0] == second[0] == "Redis does not answer"
    assert PATIENCE_S - 0.005 <= first[1] < PATIENCE_S + SLACK_S
    assert second[1] < 0.02
    await until(lambda: line._line is not None and not line._line.silent)
    limiter = RedisLimiter(line)
    line._patience_s = 10
    assert not (await limiter.reserve(Demand("1", 0, (Part("a", rpm=2),)))).kind


async def test_a_redis_that_hangs_for_good_is_hung_up_on(
    line: RespLine, server: redis.RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.limits.redis._SILENCE_S", 0.05)
    server.freeze()
    await took(line, SCRIPTS[0])
    await until(lambda: line._line is None)
    server.thaw()

    await until(lambda: line._line is not None)


async def test_a_redis_that_is_killed_is_away_at_once_and_counts_anew_when_it_is_back(
    line: RespLine, server: redis.RedisServer
) -> None:
    limiter = RedisLimiter(line)
    line._patience_s = 10
    part = Part("a", rpm=5, tpm=100, concurrency=2)
    before = Demand("before", 40, (part,))
    verdict = await limiter.reserve(before)
    server.stop()
    line._patience_s = PATIENCE_S
    began = time.monotonic()
    during = Demand("during", 1, (part,))
    with pytest.raises(AuthorityAway):
        await limiter.reserve(during)
    assert time.monotonic() - began < PATIENCE_S + SLACK_S

    await until(lambda: line._line is None)
    server.start()
    await until(lambda: line._line is not None)
    line._patience_s = 10
    # both calls are under way, and Redis was told so again: there is no place for a third
    assert (await limiter.reserve(Demand("third", 1, (part,)))).kind == 3
    limiter.settle(before, verdict.second, 1)
    limiter.settle(during, 0, 1)
    after = await limiter.reserve(Demand("after", 10, (part,)))
    assert (after.kind, after.left) == (0, (4, 90))


async def test_a_password_is_needed_where_there_is_one() -> None:
    if not redis.PROGRAM:
        pytest.skip("Redis is not installed")
    server = redis.RedisServer("--requirepass", "open")
    server.start()
    try:
        line = await connected(f"redis://:open@127.0.0.1:{server.port}/4")
        line._patience_s = 10
        assert not (await RedisLimiter(line).reserve(Demand("1", 0, (Part("a", rpm=2),)))).kind
        await line.close()
    finally:
        server.stop()
