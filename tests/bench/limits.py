"""What limits cost of a worker's CPU per call: everything the stage does, in process and with a real Redis.

    python -m tests.bench.limits

Each figure is the least of several rounds: the machine does other things, too. With Redis, calls are made one at a
time and sixteen at once; one at a time is the dear case, as nothing shares a write or a wake-up.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

import uvloop

from gateway.clock import SystemClock
from gateway.limits.base import Limiter
from gateway.limits.in_process import InProcess
from gateway.limits.redis import Address, RespLine
from gateway.limits.redis_limiter import SCRIPTS, RedisLimiter
from gateway.limits.rules import RuleBook, configured
from gateway.routing.deployments import Plan
from gateway.settings import Limit, Timeouts
from gateway.stages.limits import LimitStage
from telemetry.records import Usage
from tests.fakes import redis
from tests.fakes.exchanges import chat, exchange

CALLS, ROUNDS = 2000, 15
MOST = 1_000_000_000
PLAN = Plan(deployments=(), timeouts=Timeouts(), route="smart")
USAGE = Usage(input_uncached=120, output_text=50)
BODY = chat("a question of some length, as people ask them " * 20, max_tokens=200)
ONE = {"all": Limit(per=("user",), rpm=MOST, tpm=MOST)}
MANY = {**ONE, "key": Limit(per=("key",), rpm=MOST, tpm=MOST, concurrency=1000)}


async def cost_us(stage: LimitStage | None, at_once: int, calls: int = CALLS, rounds: int = ROUNDS) -> float:
    """Return the CPU microseconds of one call; without a stage, those of this bench itself."""

    async def some() -> None:
        for _ in range(calls // at_once):
            made = exchange(BODY)
            if stage is not None:
                await stage.reserve(made, PLAN)
                made.usage = USAGE
                stage.settle(made)

    found = []
    for _ in range(rounds):
        began = time.process_time_ns()
        if at_once == 1:
            await some()
        else:
            await asyncio.gather(*(some() for _ in range(at_once)))
        found.append((time.process_time_ns() - began) / calls / 1000)
    return min(found)


async def report(name: str, limiter: Limiter, at_once: int) -> None:
    """Measure with one rule and with two, and print."""
    limiter.start()
    assert await limiter.wait_up(10)
    for rules, limits in (("one rule", ONE), ("two rules, one with places", MANY)):
        stage = LimitStage(RuleBook(configured(limits)), limiter)
        idle = await cost_us(None, at_once)
        mine = await cost_us(stage, at_once) - idle
        sys.stdout.write(f"{name:28} {rules:28} {mine:6.1f} us\n")
    await limiter.close()


async def main() -> None:
    """Measure everything."""
    none = LimitStage(RuleBook(), InProcess(SystemClock()))
    idle = await cost_us(None, 1)
    sys.stdout.write(f"{'no rules':57} {await cost_us(none, 1) - idle:6.1f} us\n")
    await report("in process", InProcess(SystemClock()), 1)
    if not redis.PROGRAM:
        return
    with redis.running() as server:
        address = Address.read(server.url)
        assert address is not None
        for at_once in (1, 16):
            line = RespLine(address, SCRIPTS, patience_s=10)
            await report(f"Redis, {at_once} at once", RedisLimiter(line), at_once)


if __name__ == "__main__":
    run: Callable[..., None] = uvloop.run
    run(main())
