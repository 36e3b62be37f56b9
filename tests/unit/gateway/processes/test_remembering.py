"""The hub's memory before it is open, when it cannot be opened, and when its disk fails."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from typing_extensions import override

from gateway.clock import SystemClock
from gateway.link import CallFailed
from gateway.processes.memories import Memories
from gateway.processes.remembering import MOST_RECALLS, Remembering, owns
from gateway.recollection import CONFIRM, RECALL, Asker, Question, Recollection, Used
from gateway.settings import Embedder, Memory, Network
from gateway.tasks import spawn
from gateway.upstream import Upstream
from memory.records import Captured
from memory.sealed import UNSEALED, Sealer
from telemetry.metrics import Registry
from telemetry.records import Payload
from tests.fakes.postgres import Postgres
from tests.fakes.provider import Provider
from tests.fakes.remembered import Embeddings
from tests.fakes.sealed import sealer
from tests.fakes.waiting import until

ASKER = Asker(project="p", environment="prod", user_id="alice")
QUESTION = msgspec.to_builtins(Question(asker=ASKER, query="What is my dog called?"))


class Parts:
    """Makes the memory of a folder, and closes what was made."""

    def __init__(self, folder: Path, provider: Provider, ledger_url: str = "") -> None:
        self.made: list[Remembering] = []
        self.folder = folder
        self._upstream = Upstream(SystemClock(), Network())
        embedder = Embedder(base_url=f"{provider.base_url}/v1", model="words", dimensions=384)
        self._settings = Memory(embedder=embedder, ledger_url=ledger_url)

    def make(self, sealer: Sealer = UNSEALED) -> Remembering:
        made = Remembering(self.folder, self._settings, self._upstream, SystemClock(), sealer=sealer)
        self.made.append(made)
        return made

    async def close(self) -> None:
        for one in self.made:
            await one.close()
        await self._upstream.close()


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with Provider(Embeddings()) as provider:
        made = Parts(tmp_path / "memory", provider)
        yield made
        await made.close()


class Failing(Memories):
    """Takes nothing."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    @override
    async def capture(self, body: bytes) -> Captured:
        raise self._error

    @override
    async def close(self) -> None:
        pass


def said(user: str) -> bytes:
    body = msgspec.json.encode({"messages": [{"role": "user", "content": "My dog is called Rex"}]})
    one = Payload(
        call_id="c", project="p", environment="prod", started_at_us=1, surface="openai.chat", body=body
    )
    return msgspec.msgpack.encode([msgspec.structs.replace(one, user_id=user)])


def number(remembering: Remembering, metric: str) -> str:
    registry = Registry()
    remembering.measure(registry)
    (line,) = [line for line in registry.text().splitlines() if line.startswith(metric)]
    return line.rpartition(" ")[2]


async def test_while_it_opens_workers_are_told_and_the_capture_is_to_come_again(parts: Parts) -> None:
    remembering = parts.make()
    for method in (RECALL, CONFIRM):
        with pytest.raises(CallFailed) as failed:
            await remembering.handlers[method](QUESTION)
        assert failed.value.code == "memory_opening"
    assert await remembering.capture(said("alice")) == 503
    assert remembering.api is None
    await remembering.look()
    assert remembering.health() == {
        "ok": False,
        "backlog": 0,
        "jobs": {},
        "reindexing": None,
        "last_success": None,
        "error": "opening",
    }
    assert number(remembering, "tidegate_memory_up") == "0"


async def test_open_it_captures_recalls_and_counts(parts: Parts) -> None:
    remembering = parts.make()
    await remembering.open()
    assert await remembering.capture(said("alice")) == 200

    async with asyncio.timeout(10):
        await remembering.look()
        while remembering.health()["backlog"]:
            await remembering.look()
    found = await remembering.handlers[RECALL](QUESTION)
    assert isinstance(found, Recollection)
    assert "Rex" in found.block
    used = msgspec.to_builtins(Used(asker=ASKER, call_id="c2", ids=found.ids))
    assert await remembering.handlers[CONFIRM](used) == 1
    health = remembering.health()
    assert (health["ok"], health["error"]) == (True, "")
    assert str(health["last_success"]).startswith("20")
    assert number(remembering, 'tidegate_memory_recalls_total{status="injected"}') == "1"
    assert number(remembering, "tidegate_memory_captured_turns_total") == "1"


async def test_a_question_that_makes_no_sense_is_refused(parts: Parts) -> None:
    remembering = parts.make()
    await remembering.open()
    nobody = msgspec.to_builtins(Question(asker=Asker(project="p", environment="prod"), query="x"))
    for params, code in (
        (None, "invalid_params"),
        ({"query": 1}, "invalid_params"),
        (nobody, "scope_missing"),
    ):
        with pytest.raises(CallFailed) as failed:
            await remembering.handlers[RECALL](params)
        assert failed.value.code == code


async def test_a_folder_that_is_taken_is_tried_again_until_it_is_free(parts: Parts) -> None:
    first, second = parts.make(), parts.make()
    await first.open()
    opening = spawn(second.open(), name="second")
    await until(lambda: second.health()["error"] == "store_busy")
    with pytest.raises(CallFailed) as failed:
        await second.handlers[RECALL](QUESTION)
    assert failed.value.code == "memory_away"
    await first.close()
    await asyncio.wait_for(opening, 10)
    assert second.health()["ok"]
    with pytest.raises(CallFailed, match="closed"):
        await first.handlers[RECALL](QUESTION)


async def test_with_its_ledger_away_calls_go_on_without_and_the_capture_comes_again(
    tmp_path: Path, postgres_server: Postgres, postgres_database: str
) -> None:
    async with Provider(Embeddings()) as provider:
        parts = Parts(tmp_path, provider, postgres_database)
        remembering = parts.make()
        await remembering.open()

        with postgres_server.away():
            assert await remembering.capture(said("alice")) == 503
            with pytest.raises(CallFailed) as failed:
                await remembering.handlers[RECALL](QUESTION)
            assert failed.value.code == "ledger_unavailable"
            await remembering.look()
            assert remembering.health()["error"] == "LedgerAway"

        statuses = [503]
        while statuses[-1] == 503 and len(statuses) < 200:
            await asyncio.sleep(0.05)
            statuses.append(await remembering.capture(said("alice")))
        assert statuses[-1] == 200
        found = await remembering.handlers[RECALL](QUESTION)
        assert isinstance(found, Recollection)
        assert "Rex" in found.block
        await remembering.look()
        assert remembering.health()["ok"]
        await parts.close()


async def test_why_the_memory_does_not_open_is_in_the_log(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    parts.folder.write_text("no folder")

    opening = spawn(parts.make().open(), name="opening")
    await until(lambda: "memory_away" in caplog.messages)
    opening.cancel()

    (said,) = {record.__dict__["why"] for record in caplog.records if record.message == "memory_away"}
    assert f"Not a directory: '{parts.folder}" in said


async def test_a_ledger_that_is_damaged_keeps_nothing_locked_and_is_said(parts: Parts) -> None:
    parts.folder.mkdir()
    ledger = parts.folder / "memory.sqlite3"
    ledger.write_bytes(b"this is no database" * 100)
    remembering = parts.make()
    opening = spawn(remembering.open(), name="opening")
    await until(lambda: remembering.health()["error"] == "DatabaseError")
    ledger.unlink()
    await asyncio.wait_for(opening, 10)
    assert remembering.health()["ok"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (sqlite3.OperationalError("database or disk is full"), 503),
        (sqlite3.DatabaseError("database disk image is malformed"), 503),
        (OSError(28, "No space left on device"), 503),
        (sqlite3.IntegrityError("NOT NULL constraint failed"), 422),
        (ValueError("what nobody foresaw"), 422),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_failed_capture_is_to_come_again_unless_that_is_no_use(
    parts: Parts, error: Exception, status: int
) -> None:
    remembering = parts.make()
    remembering._memories = Failing(error)
    assert await remembering.capture(said("alice")) == status
    assert remembering.counts.capture_failures == 1


async def test_a_call_that_cannot_be_anybodys_is_refused_for_good(parts: Parts) -> None:
    remembering = parts.make()
    await remembering.open()
    assert await remembering.capture(said("*")) == 422
    assert await remembering.capture(b"no msgpack") == 422


async def test_a_capture_that_the_end_cut_off_is_to_come_again(parts: Parts) -> None:
    remembering = parts.make()
    await remembering.open()
    taking = spawn(remembering.capture(said("alice")), name="capture")
    await asyncio.sleep(0)
    await remembering.close()
    assert await taking in {200, 503}
    assert await remembering.capture(said("alice")) == 503


def test_the_memory_api_owns_its_path_and_all_below() -> None:
    paths = ["/api/memories", "/api/memories/", "/api/memories/x", "/api/memoriesx", "/api"]
    assert [owns(path) for path in paths] == [True, True, True, False, False]


async def test_more_recalls_than_can_be_answered_in_time_are_refused_at_once(parts: Parts) -> None:
    remembering = parts.make()
    await remembering.open()
    recall = remembering.handlers[RECALL]

    answers = await asyncio.gather(
        *(recall(QUESTION) for _ in range(MOST_RECALLS + 9)), return_exceptions=True
    )

    refused = [answer for answer in answers if isinstance(answer, CallFailed)]
    assert [error.code for error in refused] == ["memory_busy"] * 9
    assert remembering.counts.recalls == {"busy": 9, "empty": MOST_RECALLS}
    assert isinstance(await recall(QUESTION), Recollection)


async def test_with_another_master_key_it_says_so_and_stays_away(parts: Parts) -> None:
    first = parts.make(sealer("p"))
    await first.open()
    assert await first.capture(said("alice")) == 200
    await first.close()
    second = parts.make(sealer("p", key=b"n" * 32))
    opening = spawn(second.open(), name="opening")
    await until(lambda: second.health()["error"] == "wrong_master_key", "the fault")
    assert await second.capture(said("alice")) == 503
    opening.cancel()
