"""How long a worker waits for a recall: alone, and while the house takes in calls and people read its ledger.

    python -m tests.bench.recall_in_house [memories] [questions]

Asked over the hub's own link, with the local model, in a whole house. The promise: with everything else going on,
p95 stays within twice what it is alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec

from gateway.link import LinkClient
from gateway.processes.doors import run_folder
from gateway.processes.unix_http import ask
from gateway.recollection import RECALL, Asker, Question, Recollection
from tests.bench.recall import BATCH, question, say, sentence
from tests.fakes.tidegate import Tidegate, eventually

ASKER = Asker(project="default", environment="prod", user_id="asker")
PATIENCE_S = 5.0


def fill(house: Tidegate, memories: int, chance: random.Random) -> None:
    """Add so many memories of one user."""
    for start in range(0, memories, BATCH):
        texts = [sentence(chance, number) for number in range(start, min(start + BATCH, memories))]
        messages = [{"role": "user", "content": text} for text in texts]
        reply = house.request("POST", "/api/memories", {"messages": messages, "user_id": "asker"})
        assert reply.status == 200, reply.body


def is_idle(house: Tidegate) -> bool:
    """Whether the memory is open and has indexed everything."""
    _, body = ask(run_folder(house.data) / "hub.sock", "GET", "/health", timeout_s=PATIENCE_S)
    memory: dict[str, Any] = msgspec.json.decode(body)["memory"]
    return bool(memory["ok"]) and not memory["backlog"]


async def measure(house: Tidegate, questions: int, how: str) -> None:
    """Ask one question after the other, and print how long the answers took."""
    link = LinkClient(str(run_folder(house.data) / "link.sock"))
    link.start()
    assert await link.wait_connected(PATIENCE_S)
    chance = random.Random(9)
    took = []
    for _ in range(questions):
        asked = Question(asker=ASKER, query=question(chance))
        began = time.perf_counter()
        told = await link.call(RECALL, asked, timeout_s=PATIENCE_S)
        took.append((time.perf_counter() - began) * 1000)
        assert msgspec.convert(told, Recollection).status != "error"
        await asyncio.sleep(0.01)
    await link.close()
    took.sort()
    shares = (50, 95, 99)
    say(
        f"recall {how}, ms: "
        + "  ".join(f"p{share} {took[len(took) * share // 100]:.1f}" for share in shares)
    )


def call(port: int, user: str) -> None:
    """Make calls one after the other; what a user says is recalled for and remembered, too."""
    connection, chance, number = HTTPConnection("127.0.0.1", port), random.Random(user), 0
    headers = {"content-type": "application/json"} | ({"x-tidegate-user-id": user} if user else {})
    while True:
        number += 1
        message = {"role": "user", "content": sentence(chance, number)}
        body = msgspec.json.encode({"model": "sandbox/echo", "messages": [message]})
        connection.request("POST", "/v1/chat/completions", body, headers)
        connection.getresponse().read()


def read(port: int) -> None:
    """Keep the ledger busy with a page whose search finds nothing, and so looks everywhere."""
    connection = HTTPConnection("127.0.0.1", port)
    while True:
        connection.request("GET", "/?text=nothing-like-this")
        connection.getresponse().read()


@contextlib.contextmanager
def busy(port: int, users: Sequence[str]) -> Iterator[None]:
    """Make calls and read, in processes of their own: they must not hold the interpreter of whoever measures."""
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=call, args=(port, user)) for user in users]
    others.append(spawn.Process(target=read, args=(port,)))
    for process in others:
        process.start()
    try:
        yield
    finally:
        for process in others:
            process.terminate()
            process.join()


def main(memories: int, questions: int) -> None:
    """Fill, ask, print."""
    with (
        tempfile.TemporaryDirectory() as name,
        Tidegate(Path(name), {"memory": {"enabled": True}}) as house,
    ):
        eventually(lambda: is_idle(house), what="the memory")
        fill(house, memories, random.Random(7))
        eventually(lambda: is_idle(house), what="the index")
        asyncio.run(measure(house, questions, "alone"))
        with busy(house.port, ["", ""]):
            asyncio.run(measure(house, questions, "while calls are taken in and read"))
        with busy(house.port, ["caller-1", "caller-2"]):
            asyncio.run(measure(house, questions, "while those of other users are remembered as well"))


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(*(numbers + [2_000, 300][len(numbers) :]))
