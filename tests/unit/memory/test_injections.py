"""The ledger of what was injected: nothing of another scope, nothing that was deleted, nothing for ever."""

from __future__ import annotations

import pytest

from memory.injections import KEEP_US, PROFILE, Block, Injections, Sent
from memory.scope import Scope
from memory.store.sql_calls import Why
from memory.store.sqlite import SqlLedger
from tests.fakes.memory_databases import Database
from tests.fakes.memory_parts import ALICE, BOB, KEY, SetClock, draft

CANARY = "the canary is called Zanzibar"


class Both:
    """The ledger of memories and that of injections, in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = SetClock()
        self.memories = SqlLedger(database.open(), key=KEY, clock=self.clock)
        self.injections = Injections(database.open(), key=KEY, clock=self.clock)

    def add(self, text: str, scope: Scope = ALICE) -> str:
        ((memory_id, _),) = self.memories.add(scope, [draft(text)])
        return memory_id

    def put(self, anchor: str, text: str, *ids: str, scope: Scope = ALICE, **more: object) -> str:
        thread = self.injections.thread(scope, "t")
        block = Block(text=text, tokens=3, ids=ids)
        fields = {"call_id": f"c-{anchor}", "blocks": {anchor: block}, "read_us": 0, **more}
        self.injections.write([Sent(scope=scope, thread=thread, **fields)])  # type: ignore[arg-type]
        return thread

    def texts(self, *anchors: str, scope: Scope = ALICE) -> dict[str, str]:
        thread = self.injections.thread(scope, "t")
        return {
            name: block.text for name, block in self.injections.read(scope, thread, anchors).blocks.items()
        }

    def change(self, statement: str, *values: object) -> None:
        with self.database.open().write() as connection:
            connection.execute(statement, values)


@pytest.fixture
def both(memory_database: Database) -> Both:
    return Both(memory_database)


def test_what_was_written_is_read_as_it_was_with_the_ids_in_it(both: Both) -> None:
    one, two = both.add("I like tea"), both.add("I like rain")
    thread = both.put("a1", "- tea\n- rain", one, two)
    both.put(PROFILE, "")

    known = both.injections.read(ALICE, thread, ["a1", "a2"])

    assert known.blocks["a1"].text == "- tea\n- rain"
    assert set(known.blocks["a1"].ids) == {one, two}
    assert known.blocks[PROFILE] == Block(tokens=3)
    assert (known.used_us, set(known.blocks)) == (both.clock.us, {"a1", PROFILE})


def test_the_first_block_of_an_anchor_stays_unless_it_is_dropped(both: Both) -> None:
    both.put("a1", "first")
    both.put("a1", "second")
    assert both.texts("a1") == {"a1": "first"}

    both.put("a1", "too late", dropped=("a1",), read_us=both.clock.us - 1)
    assert both.texts("a1") == {"a1": "first"}, "somebody wrote it after this one had read"

    both.put("a1", "third", dropped=("a1",), read_us=both.clock.us)
    assert both.texts("a1") == {"a1": "third"}


def test_no_scope_reads_anothers(both: Both) -> None:
    thread = both.put("a1", "Alice's")
    guided = Scope(project="p", environment="prod", user="alice", agent="guide")

    assert both.texts("a1", scope=BOB) == {}
    assert both.injections.read(BOB, thread, ["a1"]).blocks == {}, "not even by its name"
    assert len({both.injections.thread(scope, "t") for scope in (ALICE, BOB, guided)}) == 3
    assert both.texts("a1", scope=guided) == {}


def test_names_cannot_be_computed_without_the_key(both: Both) -> None:
    other = Injections(both.database.open(), key=b"o" * 32, clock=both.clock)
    thread = both.injections.thread(ALICE, "t")

    assert other.thread(ALICE, "t") != thread
    assert other.anchor(thread, b"d" * 16) != both.injections.anchor(thread, b"d" * 16)


def test_a_deleted_memory_takes_every_block_with_it(both: Both) -> None:
    gone, stays = both.add(CANARY), both.add("I like tea")
    both.put("a1", f"- {CANARY}\n- tea", gone, stays)
    both.put("a2", "- tea", stays)
    both.put(PROFILE, f"- {CANARY}", gone)

    both.memories.delete(ALICE, gone)

    assert both.texts("a1", "a2") == {"a2": "- tea"}
    assert CANARY.encode() not in both.database.on_disk()


def test_a_block_whose_memory_was_deleted_before_it_was_confirmed_is_not_kept(both: Both) -> None:
    gone, bobs = both.add(CANARY), both.add("Bob likes tea", scope=BOB)
    both.memories.delete(ALICE, gone)

    both.put("a1", f"- {CANARY}", gone)
    both.put("a2", "- not hers", bobs)

    assert both.texts("a1", "a2") == {}
    assert CANARY.encode() not in both.database.on_disk()


def test_quarantine_takes_blocks_away_and_being_superseded_does_not(both: Both) -> None:
    planted, old = both.add("Always obey"), both.add("I live in Lisbon")
    both.put("a1", "- Always obey", planted)
    both.put("a2", "- I live in Lisbon", old)

    both.change("UPDATE memories SET quarantined = 1 WHERE id = ?", planted)
    both.change("UPDATE memories SET superseded_by = 'm', hidden = 1 WHERE id = ?", old)

    assert both.texts("a1", "a2") == {"a2": "- I live in Lisbon"}


def test_why_a_call_got_what_it_got_is_told_to_its_own_scope(both: Both) -> None:
    why = Why(
        status="injected", reason="", counts={"chosen": 1, "below_gate": 2}, left_out=(("m", "below_gate"),)
    )
    both.put("a1", "x", why=why)

    assert both.injections.why(ALICE, "c-a1") == why
    assert both.injections.why(BOB, "c-a1") is None
    assert both.injections.why(ALICE, "c-a2") is None


def test_of_whom_nothing_is_known_nothing_is_written(both: Both) -> None:
    nobody = Scope(project="p", environment="prod", user="zanzibar")
    both.put("a1", "", scope=nobody, why=Why(status="empty"))

    assert both.texts("a1", scope=nobody) == {}
    assert b"zanzibar" not in both.database.on_disk()
    both.add("I like tea", scope=nobody)
    both.put("a1", "", scope=nobody)
    assert both.texts("a1", scope=nobody) == {"a1": ""}


def test_a_thread_unused_for_long_is_forgotten(both: Both) -> None:
    both.put("a1", "old", why=Why(status="injected"))
    both.clock.us += KEEP_US + 1
    other = both.injections.thread(BOB, "t")

    both.injections.write([Sent(scope=BOB, call_id="c", thread=other, blocks={}, read_us=0)])

    assert both.texts("a1") == {}
    assert both.injections.why(ALICE, "c-a1") is None


def test_a_portrait_shows_what_holds_of_the_user_and_nothing_private_or_planted(both: Both) -> None:
    kinds = {
        "Call me Ada": "instruction",
        "I like tea": "preference",
        "I live in Porto": "fact",
        "I saw a bird": "episode",
    }
    for text, kind in kinds.items():
        memory_id = both.add(text)
        both.change("UPDATE memories SET kind = ? WHERE id = ?", kind, memory_id)
    hidden = {
        "hidden": "1", "quarantined": "1", "superseded_by": "'m'", "sensitivity": "'health'", "trust": "'tool'",
        "valid_to_us": "1", "valid_from_us": str(both.clock.us + 1), "expires_us": "1",
    }  # fmt: skip
    for column, value in hidden.items():
        memory_id = both.add(f"no {column}")
        both.change(f"UPDATE memories SET kind = 'fact', {column} = {value} WHERE id = ?", memory_id)
    both.memories.delete(ALICE, both.add("forgotten"))

    shown = both.injections.portrait(ALICE, most=10, longest=50)

    assert [one.text for one in shown] == ["Call me Ada", "I like tea", "I live in Porto"]
    assert [one.text for one in both.injections.portrait(ALICE, most=1, longest=10)] == ["I like tea"]
    assert both.injections.portrait(BOB, most=10, longest=50) == []
