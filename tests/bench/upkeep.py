"""What the background work costs those who ask: recalls alone, and while it goes through everything.

    python -m tests.bench.upkeep [memories] [questions] [scopes]

A tenth of the memories say what another one says, so there is something to merge all the time. Recalls come one after
the other as in a hub, with its switch interval. The promise: p99 within twice that of recalls alone, and the loop is
never held for more than 5 ms longer than without: a timer of 1 ms says how late it was.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from gateway.processes.hub import SWITCH_S
from memory.clock import SystemClock
from memory.embed import Embedder, unit
from memory.engine import Engine
from memory.given import Statement
from memory.minilm import load
from memory.opening import open_engine
from memory.records import Vector
from memory.service import AsyncMemory, Threads
from memory.store.sqlite import SqlLedger
from memory.upkeep.opening import upkeep_of
from memory.upkeep.runner import Rests, Upkeep
from tests.bench.recall import question, say, scope_of, sentence

_BETWEEN_S = 0.01
_TICK_S = 0.001


class Filled:
    """Random vectors while the store is filled, the same for what says the same; the model's afterwards."""

    def __init__(self, model: Embedder) -> None:
        self.fingerprint, self.dimensions, self.gate = model.fingerprint, model.dimensions, model.gate
        self.filling = True
        self._model = model

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text."""
        return [self._made(text) for text in texts] if self.filling else self._model.embed(texts)

    def _made(self, text: str) -> Vector:
        chance = np.random.default_rng(zlib.crc32(text.replace(" really", "").encode()))
        return unit(chance.normal(size=self.dimensions).astype(np.float32))


def fill(engine: Engine, memories: int, scopes: int, chance: random.Random) -> None:
    """Store facts; every tenth is the one before it in other words."""
    each = memories // scopes
    for scope in map(scope_of, range(scopes)):
        texts = [sentence(chance, place) for place in range(each)]
        texts[9::10] = [f"{text} really" for text in texts[8:-1:10]]
        engine.add(scope, [Statement(text, kind="fact") for text in texts])


async def asked(memory: AsyncMemory, upkeep: Busy, questions: int, scopes: int) -> list[float]:
    """Return how many milliseconds each recall took, shortest first."""
    chance = random.Random(7)
    took = []
    for _ in range(questions):
        scope, words = scope_of(chance.randrange(scopes)), question(chance)
        began_ns = time.perf_counter_ns()
        with upkeep:
            found = await memory.recall(scope, words)
        took.append((time.perf_counter_ns() - began_ns) / 1e6)
        assert found.status != "error", found
        await asyncio.sleep(_BETWEEN_S)
    return sorted(took)


class Busy:
    """Whether a recall is under way."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1

    def __call__(self) -> bool:
        """Answer."""
        return self.count > 0


class Lags:
    """How late the loop's timers are, in milliseconds, while it is entered."""

    def __init__(self) -> None:
        self.found: list[float] = []

    async def __aenter__(self) -> Self:
        self._ticking = asyncio.get_running_loop().create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ticking.cancel()
        await asyncio.wait([self._ticking])

    async def _tick(self) -> None:
        while True:
            began_ns = time.perf_counter_ns()
            await asyncio.sleep(_TICK_S)
            self.found.append((time.perf_counter_ns() - began_ns) / 1e6 - _TICK_S * 1000)


async def measured(
    what: str, memory: AsyncMemory, busy: Busy, questions: int, scopes: int
) -> tuple[float, float]:
    """Print the percentiles of recalls and of the loop's lateness; return the 99th of recalls, and the latest."""
    async with Lags() as lags:
        times = await asked(memory, busy, questions, scopes)
    latest = max(lags.found)
    shares = "  ".join(f"p{share} {_share(times, share):.2f}" for share in (50, 95, 99))
    late = f"p99 {_share(sorted(lags.found), 99):.2f}  latest {latest:.2f}"
    say(f"recall {what}, ms: {shares};  the loop was late by {late}")
    return _share(times, 99), latest


def _share(times: list[float], percent: int) -> float:
    return times[len(times) * percent // 100]


async def main(memories: int, questions: int, scopes: int) -> None:
    """Fill, ask, ask while it works, print."""
    with tempfile.TemporaryDirectory() as name:
        made: list[Filled] = []

        def embedder(folder: Path) -> Embedder:
            made.append(Filled(load(folder)))
            return made[0]

        engine = open_engine(Path(name), embedder)
        fill(engine, memories, scopes, random.Random(7))
        made[0].filling = False
        threads, busy = Threads(), Busy()
        memory = AsyncMemory(engine, threads, project="bench", environment="test")
        upkeep = begun(engine, threads, busy)
        await asked(memory, busy, questions // 10, scopes)
        alone, late_alone = await measured("alone", memory, busy, questions, scopes)
        working = asyncio.get_running_loop().create_task(upkeep.run())
        beside, late = await measured("while upkeep works", memory, busy, questions, scopes)
        over = working.done()
        working.cancel()
        await asyncio.wait([working])
        counts = (await memory.upkeep_progress())["counts"]
        say(
            f"ratio of p99: {beside / alone:.2f}; the loop was held {late - late_alone:.1f} ms longer; longest slice"
            f" {upkeep.longest_s * 1000:.1f} ms, with its waits for the disk; changed {counts}, over: {over}"
        )
        await memory.close()


def begun(engine: Engine, threads: Threads, busy: Busy) -> Upkeep:
    """Return the upkeep as a house has it, except that it begins at once."""
    ledger = engine.ledger
    assert isinstance(ledger, SqlLedger)
    return upkeep_of(
        engine,
        ledger.upkeep,
        None,
        clock=SystemClock(),
        executor=threads.others,
        busy=busy,
        rests=Rests(first_s=0),
    )


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_S)
    numbers = [int(argument) for argument in sys.argv[1:]]
    asyncio.run(main(*(numbers + [20_000, 1000, 200][len(numbers) :])))
