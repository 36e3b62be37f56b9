"""What recall costs: CPU and wall time of the whole read path.

    python -m tests.bench.recall [memories] [questions] [scopes]

Questions are embedded by the real model; stored vectors are random, as only their number matters. The ledger and
the index are those of a running hub, in a temporary folder. The promise: p95 of CPU <= 15 ms at 100,000 memories in 1,000 scopes.
"""

from __future__ import annotations

import itertools
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memory.embed import Embedder, unit
from memory.engine import Engine
from memory.given import Statement
from memory.minilm import load
from memory.opening import open_engine
from memory.records import Said, Vector
from memory.scope import Scope

AHEAD = 32
"""Calls that may wait for the index while others are captured."""
BATCH = 250
SUBJECTS = [
    "sister",
    "brother",
    "neighbour",
    "boss",
    "dog",
    "cat",
    "garden",
    "boat",
    "bicycle",
    "violin",
    "doctor",
    "teacher",
]
PLACES = [
    "Lisbon",
    "Porto",
    "Bremen",
    "Aarhus",
    "Ghent",
    "Turin",
    "Leeds",
    "Malmo",
    "Bergen",
    "Basel",
    "Graz",
    "Split",
]
ACTS = [
    "moved to",
    "studied in",
    "works in",
    "was married in",
    "is afraid of",
    "keeps a house in",
    "writes about",
]


class Filled:
    """Random vectors while the store is filled, the model's afterwards."""

    def __init__(self, model: Embedder) -> None:
        self.fingerprint = model.fingerprint
        self.dimensions = model.dimensions
        self.gate = model.gate
        self.filling = True
        self._model = model
        self._chance = np.random.default_rng(7)

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text."""
        if not self.filling:
            return self._model.embed(texts)
        return [unit(self._chance.normal(size=self.dimensions).astype(np.float32)) for _ in texts]


def sentence(chance: random.Random, number: int) -> str:
    """Return something a user could have said."""
    subject, act, place = chance.choice(SUBJECTS), chance.choice(ACTS), chance.choice(PLACES)
    return f"My {subject} {act} {place} since {1950 + number % 70}, room {number}"


def question(chance: random.Random) -> str:
    """Return something a user could ask."""
    return f"Which {chance.choice(SUBJECTS)} of mine {chance.choice(ACTS)} {chance.choice(PLACES)}?"


def scope_of(number: int) -> Scope:
    """Return one of many users' scopes."""
    return Scope(project="bench", environment="test", user=f"user{number}")


def fill(engine: Engine, memories: int, scopes: int, chance: random.Random) -> None:
    """Store so many memories, as turns of one long conversation in each scope."""
    each = memories // scopes
    for scope in map(scope_of, range(scopes)):
        for start in range(0, each, BATCH):
            places = range(start, min(start + BATCH, each))
            engine.add(scope, [Statement(sentence(chance, place), kind="episode") for place in places])


def say(line: str) -> None:
    """Print one line of the result."""
    print(line)  # noqa: T201 -- a measuring script


def main(memories: int, questions: int, scopes: int) -> None:
    """Fill, ask, print."""
    with tempfile.TemporaryDirectory() as name:
        made: list[Filled] = []

        def embedder(folder: Path) -> Embedder:
            made.append(Filled(load(folder)))
            return made[0]

        engine = open_engine(Path(name), embedder)
        chance = random.Random(7)
        began = time.monotonic()
        fill(engine, memories, scopes, chance)
        say(f"{memories} memories in {scopes} scopes, in {time.monotonic() - began:.1f} s")
        made[0].filling = False
        measure(engine, questions, scopes, chance, how="alone")
        over = threading.Event()
        writer = threading.Thread(target=capture, args=(engine, over))
        writer.start()
        measure(engine, questions, scopes, chance, how="while others' calls are captured")
        over.set()
        writer.join()
        engine.close()


def measure(engine: Engine, questions: int, scopes: int, chance: random.Random, *, how: str) -> None:
    """Ask, and print what it took. CPU: of the whole process, so only without a neighbour is it the recall's."""
    cpu, wall = [], []
    for _ in range(questions):
        scope = scope_of(chance.randrange(scopes))
        cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
        found = engine.recall(scope, question(chance), budget=900)
        cpu.append(time.process_time_ns() - cpu_ns)
        wall.append(time.perf_counter_ns() - wall_ns)
        assert found.status != "error", found
    for what, times in (("cpu", sorted(cpu)), ("wall", sorted(wall))):
        shares = (50, 95, 99)
        line = "  ".join(f"p{share} {times[len(times) * share // 100] / 1e6:.2f}" for share in shares)
        say(f"recall {how}, {what} ms: {line}")


def capture(engine: Engine, over: threading.Event) -> None:
    """Capture calls of another user as fast as they are indexed."""
    other = Scope(project="bench", environment="test", user="another")
    chance = random.Random(8)
    for number in itertools.count():
        if over.is_set():
            return
        messages = [{"role": "user", "content": sentence(chance, number)}]
        call = Said(call_id=f"c{number}", scope=other, occurred_at_us=number, messages=messages)
        engine.capture([call])
        while engine.backlog() > AHEAD and not over.is_set():
            over.wait(0.005)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(*(numbers + [100_000, 300, 1000][len(numbers) :]))
