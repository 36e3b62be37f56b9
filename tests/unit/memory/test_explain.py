"""What went into a call, why, and where it comes from; told to its own scope."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from memory.explain import explain, explain_anywhere, uses
from memory.injections import Block, Injections, Sent
from memory.scope import Scope
from memory.store.sql_calls import Why
from memory.store.sqlite import SqlLedger
from tests.fakes.memory_databases import Database
from tests.fakes.memory_parts import ALICE, BOB, KEY, SetClock, draft
from tests.fakes.memory_reading import Reading, ScriptedModel, op, ops

NOW = "2023-11-14T22:13:20+00:00"


class Explained:
    """Both ledgers of one database."""

    def __init__(self, database: Database) -> None:
        self.clock = SetClock()
        self.database = database
        self.ledger = SqlLedger(database.open(), key=KEY, clock=self.clock)
        self.injections = Injections(database.open(), key=KEY, clock=self.clock)

    def remember(self, *texts: str, scope: Scope = ALICE) -> list[str]:
        drafts = [draft(text, call_id=f"said {text}") for text in texts]
        return [memory_id for memory_id, _ in self.ledger.add(scope, drafts)]

    def send(self, call_id: str, why: Why | None, *new: str, again: tuple[str, ...] = ()) -> None:
        thread = self.injections.thread(ALICE, "t")
        blocks = {call_id: Block(text="block", tokens=1, ids=new)}
        sent = Sent(
            scope=ALICE, call_id=call_id, thread=thread, blocks=blocks, read_us=1, why=why, again=again
        )
        self.injections.write([sent])
        self.ledger.confirm(ALICE, call_id, new)


@pytest.fixture
def explained(memory_database: Database) -> Explained:
    return Explained(memory_database)


def test_each_memory_of_a_call_is_told_with_its_score_its_rule_and_its_source(explained: Explained) -> None:
    tea, name, old, rain = explained.remember("tea", "name", "old", "rain")
    why = Why(
        status="injected",
        counts={"chosen": 1, "seen": 1, "below_gate": 4},
        left_out=((rain, "below_gate"), ("of nobody", "seen")),
        scores={tea: 0.75},
        profile=(name,),
    )
    explained.send("call", why, tea, again=(old, name))

    told = explain(explained.ledger, ALICE, "call")

    assert told is not None
    found = {one["memory"]: one for one in told["memories"]}
    assert {text: (one["part"], one.get("score")) for text, one in found.items()} == {
        "tea": ("recalled", 0.75),
        "name": ("profile", None),
        "old": ("replayed", None),
    }
    assert found["tea"]["used_at"] == NOW
    assert found["tea"]["rule"] == {"by": "verbatim", "event": "ADD"}
    (evidence,) = found["tea"]["evidence"]
    assert evidence == {"call_id": "said tea", "message_index": 0, "quote": "tea", "thread_id": "t"}
    assert told["left_out"] == [{"id": rain, "memory": "rain", "fate": "below_gate"}]
    assert (told["status"], told["candidates"]["below_gate"]) == ("injected", 4)


def test_a_call_of_which_nothing_was_noted_still_shows_what_went_into_it(explained: Explained) -> None:
    (tea,) = explained.remember("tea")
    explained.send("loop", None, again=(tea,))

    told = explain(explained.ledger, ALICE, "loop")

    assert told is not None
    assert (told["status"], [one["part"] for one in told["memories"]]) == ("unknown", ["unknown"])


def test_of_what_was_deleted_since_only_the_id_is_told(explained: Explained) -> None:
    (tea,) = explained.remember("tea")
    explained.send("call", Why(status="injected", scores={tea: 0.5}), tea)
    explained.ledger.delete(ALICE, tea)

    told = explain(explained.ledger, ALICE, "call")

    assert told is not None
    (one,) = told["memories"]
    assert one == {"id": tea, "is_deleted": True, "part": "recalled", "score": 0.5, "used_at": NOW}
    assert uses(explained.ledger, ALICE, tea, limit=9) is None


def test_another_scope_learns_nothing_of_the_call_or_the_memory(explained: Explained) -> None:
    (tea,) = explained.remember("tea")
    explained.send("call", Why(status="injected", left_out=((tea, "seen"),)), tea, again=(tea,))

    assert explain(explained.ledger, BOB, "call") is None
    assert uses(explained.ledger, BOB, tea, limit=9) is None
    assert explain(explained.ledger, ALICE, "another call") is None


def test_memories_of_others_are_not_noted_as_used_again(explained: Explained) -> None:
    (theirs,) = explained.remember("tea", scope=BOB)
    (mine,) = explained.remember("rain")
    explained.send("call", None, again=(theirs, mine))

    assert uses(explained.ledger, BOB, theirs, limit=9) == []
    assert uses(explained.ledger, ALICE, mine, limit=9) == [{"call_id": "call", "used_at": NOW}]


def test_the_calls_of_a_memory_are_told_latest_first(explained: Explained) -> None:
    (tea,) = explained.remember("tea")
    for number in range(3):
        explained.clock.us += 1_000_000
        explained.send(f"call {number}", None, tea)

    told = uses(explained.ledger, ALICE, tea, limit=2)

    assert told is not None
    assert [one["call_id"] for one in told] == ["call 2", "call 1"]


def test_whoever_runs_the_house_needs_no_scope(explained: Explained) -> None:
    (tea,) = explained.remember("tea")
    explained.send("call", Why(status="injected", scores={tea: 0.5}), tea)

    where = explained.database
    (told,) = explain_anywhere(where.folder, "call", ledger_url=where.url, sealer=where.sealer)

    assert [one["memory"] for one in told["memories"]] == ["tea"]
    assert explain_anywhere(where.folder, "no call", ledger_url=where.url, sealer=where.sealer) == []


def test_a_row_of_the_first_version_is_still_read(explained: Explained) -> None:
    explained.remember("tea")
    explained.send("call", Why(status="injected"))
    with explained.ledger._connections.write() as connection:
        short = msgspec.msgpack.encode(({"seen": 1}, (("m", "seen"),)))
        connection.execute("UPDATE recalls SET fates = ?", (short,))

    assert explained.ledger.calls.why(ALICE, "call") == Why(
        status="injected", counts={"seen": 1}, left_out=(("m", "seen"),)
    )


async def test_what_a_model_read_names_its_operation_and_its_job(tmp_path: Path) -> None:
    reading = Reading(tmp_path, ScriptedModel([ops(op("User lives in Rome", "I live in Rome"))]))
    try:
        reading.hear("I live in Rome", call_id="first")
        await reading.settle()
        (job,) = reading.jobs.page(ALICE, limit=5)
        (made,) = reading.found()
        reading.ledger.confirm(ALICE, "second", [made.id])

        told = explain(reading.ledger, ALICE, "second")
    finally:
        reading.close()

    assert told is not None
    (one,) = told["memories"]
    assert one["rule"] == {"by": "model", "event": "ADD", "operation": made.id, "job": job.id}
    (evidence,) = one["evidence"]
    assert (evidence["call_id"], evidence["quote"]) == ("first", "I live in Rome")
