"""A real house whose embedder is changed: it goes on answering, and a kill -9 in the middle costs nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memory.embed import HashedWords
from memory.store.edge import EdgeIndexes
from memory.store.place import open_ledger
from tests.fakes.provider import Provider, Received, Script
from tests.fakes.tidegate import Tidegate, eventually

MEMORIES = 300
SMALL, LARGE = 16, 24
WORDS = HashedWords()


class Embeddings:
    """An endpoint with two models; the large one can be made to answer no more than so many texts."""

    def __init__(self) -> None:
        self.left = 0
        self.asked: list[str] = []

    def __call__(self, request: Received) -> Script:
        body = request.json()
        size = {"small": SMALL, "large": LARGE}[body["model"]]
        if size == LARGE:
            if self.left < len(body["input"]):
                return Script(status=503, body=b'{"error": {"message": "wait"}}')
            self.left -= len(body["input"])
            self.asked += body["input"]
        vectors = [vector[:size].tolist() for vector in WORDS.embed(body["input"])]
        data = [{"index": place, "embedding": vector} for place, vector in enumerate(vectors)]
        return Script(body=msgspec.json.encode({"data": data, "model": body["model"]}))


@pytest.fixture
def embeddings() -> Embeddings:
    return Embeddings()


@pytest.fixture
def provider(embeddings: Embeddings) -> Iterator[Provider]:
    with Provider(embeddings).in_thread() as made:
        yield made


def house(folder: Path, provider: Provider, model: str, dimensions: int) -> Tidegate:
    embedder = {"base_url": f"{provider.base_url}", "model": model, "api_key": "k", "dimensions": dimensions}
    return Tidegate(folder, {"memory": {"embedder": embedder, "upkeep": False}})


def running(tidegate: Tidegate) -> list[dict[str, Any]]:
    reply = tidegate.get("/api/memories/upkeep")
    return [row for row in reply.json()["running"] if row["job"] == "reindex"] if reply.status == 200 else []


def found(tidegate: Tidegate, query: str) -> list[str]:
    reply = tidegate.request("POST", "/api/memories/search", {"query": query, "user_id": "ada", "top_k": 3})
    return [one["memory"] for one in reply.json()["results"]] if reply.status == 200 else []


def add(tidegate: Tidegate, *texts: str) -> list[str]:
    body = {"messages": [{"role": "user", "content": text} for text in texts], "user_id": "ada"}
    reply = tidegate.request("POST", "/api/memories", body)
    assert reply.status == 200, reply.body
    return [one["id"] for one in reply.json()["results"]]


def command(tidegate: Tidegate, *words: str) -> subprocess.CompletedProcess[str]:
    said = [sys.executable, "-m", "gateway", "memory", *words, "--config", str(tidegate.config)]
    return subprocess.run(said, env=tidegate._env, capture_output=True, text=True, timeout=60, check=False)


def test_a_house_changes_its_embedder_while_it_answers_and_is_killed_meanwhile(
    tmp_path: Path, provider: Provider, embeddings: Embeddings
) -> None:
    with house(tmp_path, provider, "small", SMALL) as first:
        eventually(lambda: first.get("/api/memories/upkeep").status == 200, what="the memory")
        for start in range(0, MEMORIES, 100):
            add(first, *(f"number {start + place} of many things" for place in range(100)))
        (dog,) = add(first, "My dog is called Rex")

    second = house(tmp_path, provider, "large", LARGE).start()
    embeddings.left = 160
    row = eventually(
        lambda: next((row for row in running(second) if row["seen"] >= 100 and row["waits_for"]), None),
        what="half of it to be built",
    )
    assert row["answered_by"] == f"endpoint-small-{SMALL}"
    assert found(second, "how is my dog called?")[:1] == ["My dog is called Rex"]
    told = command(second, "progress")
    assert (told.returncode, "left; meanwhile endpoint-small-16 answer" in told.stdout) == (0, True)
    assert second.request("DELETE", f"/api/memories/{dog}?user_id=ada").status == 200
    second.kill("hub")
    embeddings.asked.clear()

    eventually(lambda: running(second), what="the hub to be back")
    assert found(second, "number 7 of many things")
    embeddings.left = 10_000
    ended = command(second, "reindex")
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "All memories are indexed."), ended
    assert running(second) == []
    assert len(embeddings.asked) <= MEMORIES - 100  # it went on where it was
    assert found(second, "how is my dog called?") != ["My dog is called Rex"]
    assert found(second, "number 7 of many things")
    assert second.stop() == 0

    checked = command(second, "check")
    assert (checked.returncode, checked.stdout) == (
        0,
        f"{MEMORIES} memories, {MEMORIES} points in the index.\n",
    )
    connections = open_ledger(second.data / "memory", "")
    prints = connections.read().execute("SELECT DISTINCT fingerprint FROM vectors").fetchall()
    connections.close()
    assert [row["fingerprint"] for row in prints] == [f"endpoint-large-{LARGE}"]
    indexes = EdgeIndexes(second.data / "memory" / "index")
    assert indexes.open(f"endpoint-small-{SMALL}", SMALL) is None
    indexes.close()
