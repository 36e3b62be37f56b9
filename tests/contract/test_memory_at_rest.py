"""Words of a sealed project lie readable in no table, whatever is done with them; ids, numbers and times do.

That everything else works as it does without seals is shown by the other suites: they run over a sealed ledger too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from memory.errors import WrongKey
from memory.injections import PROFILE, Block, Injections, Sent
from memory.jobs import Made, Submission
from memory.records import NOW, Entity, Evidence, Line, Moment, Operation
from memory.scope import Scope
from memory.sealed import UNSEALED, Sealer
from memory.store.postgres import SCHEMA
from memory.store.sqlite import SqlLedger
from tests.contract.test_memory_apply import EVER, carry_out, texts
from tests.fakes.memory_databases import Database, empty
from tests.fakes.memory_parts import ALICE, KEY, SetClock, draft, turns
from tests.fakes.sealed import sealer
from tests.unit.memory.test_apply import lives, op

OPEN = Scope(project="open", environment="prod", user="alice")
LATER = 3600 * 1_000_000
PICTURE = "data:image/png;base64,canarypixels"
SEALED = b"sealed:1:"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Where the project of Alice is sealed, and the open one is not."""
    url = ""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        empty(url)
    made = Database(tmp_path, url, sealer("p"))
    yield made
    made.close()


def ledger_of(database: Database, opener: Sealer | None = None) -> SqlLedger:
    database.sealer = opener or database.sealer
    return SqlLedger(database.open(), key=KEY, clock=SetClock())


def lying(database: Database) -> bytes:
    """Return all that whoever has the disk can read."""
    if not database.url:
        return b"".join(path.read_bytes() for path in database.folder.rglob("*") if path.is_file())
    with psycopg.connect(database.url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (SCHEMA,))
        rows = [
            row
            for (name,) in tables.fetchall()
            for row in connection.execute(f"SELECT * FROM {SCHEMA}.{name}".encode())
        ]
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
    )


def fill(database: Database, scope: Scope) -> tuple[SqlLedger, Injections]:
    """Put a canary wherever words go."""
    ledger = ledger_of(database)
    injections = Injections(database.open(), key=KEY, clock=SetClock())
    one = msgspec.structs.replace(
        draft("canary tea", call_id="c"), entities=(Entity("Canary Ltd", "canary kind"),)
    )
    ledger.add(scope, [one])
    ledger.update(scope, one.id, draft("canary coffee"))
    (heard,) = turns("canary said", call_id="c2")
    shown = msgspec.structs.replace(heard, before=(Line("assistant", "canary before"),), pictures=(PICTURE,))
    ledger.capture(scope, "t", [shown], key=KEY)
    submission = Submission(
        scope=scope, lines=[Line("user", "canary line")], occurred_at_us=5, instructions="canary wish"
    )
    ledger.jobs.submit(submission, SetClock().us)
    _keep(ledger, "canary made of it")
    home = op(
        "Canary Ltd has its canary seat in Canaria 1234567890",
        7,
        call_id="c3",
        triple=("Canary Ltd", "lives in", "canaria"),
    )
    called = op("Canary Ltd is a canary", 8, call_id="c4", triple=("Canary Ltd", "aka", "canary bird"))
    carry_out(ledger, home, called, scope=scope)
    thread = injections.thread(scope, "t")
    blocks = {
        "a": Block(text="- canary block", tokens=3, ids=(one.id,)),
        PROFILE: Block(text="canary profile", tokens=3, ids=(one.id,)),
    }
    injections.write([Sent(scope=scope, call_id="c5", thread=thread, blocks=blocks, read_us=0)])
    return ledger, injections


def _keep(ledger: SqlLedger, text: str) -> None:
    job = ledger.jobs.lease(SetClock().us + LATER)
    assert job is not None
    evidence = (Evidence(call_id="c", message_index=0, quote="canary quote"),)
    made = [Operation(op="ADD", evidence=evidence, occurred_at_us=1, text=text)]
    assert ledger.jobs.keep(job, b"content", Made(operations=made), 1)
    assert ledger.jobs.kept(job, b"content") == made


def test_no_word_of_a_sealed_project_lies_readable_wherever_words_go(database: Database) -> None:
    fill(database, ALICE)
    found = lying(database).lower()
    assert SEALED in found
    for word in (b"canar", b"coffee", b"1234567890", b"lives in"):
        assert word not in found


def test_a_plain_project_beside_it_stays_plain(database: Database) -> None:
    fill(database, OPEN)
    found = lying(database)
    assert SEALED not in found
    for text in ("canary coffee", "canary said", "canary before", "canary line", "canary wish", PICTURE):
        assert text.encode() in found
    assert b"- canary block" in found


def test_all_of_it_is_read_as_it_was(database: Database) -> None:
    _, injections = fill(database, ALICE)
    ledger = ledger_of(database)
    assert texts(ledger) == [
        "Canary Ltd has its canary seat in Canaria 1234567890",
        "Canary Ltd is a canary",
        "canary coffee",
        "canary said",
    ]
    (one,) = (one for one in ledger.page(ALICE, limit=9) if one.text == "canary coffee")
    assert [(v.old_text, v.new_text) for v in ledger.history(ALICE, one.id)] == [
        (None, "canary tea"),
        ("canary tea", "canary coffee"),
    ]
    assert [proof.quote for proof in ledger.evidence(ALICE, one.id)] == ["canary tea"]
    drawn = ledger.graph(ALICE, limit=9)
    assert {node.name for node in drawn.nodes} == {"Canary Ltd", "canaria", "canary bird"}
    assert {(edge.relationship, edge.target) for edge in drawn.edges} == {
        ("lives in", "canaria"),
        ("aka", "canary bird"),
    }
    assert ledger.named(ALICE, ["canaria", "canary bird", "nobody"]) == ["canaria", "canary bird"]
    assert len(ledger.about(ALICE, ["canary bird"])) == 2
    thread = injections.thread(ALICE, "t")
    blocks = injections.read(ALICE, thread, ["a"]).blocks
    assert {name: block.text for name, block in blocks.items()} == {
        "a": "- canary block",
        PROFILE: "canary profile",
    }
    jobs = [ledger.jobs.lease(SetClock().us + 2 * LATER) for _ in range(2)]
    words = {turn.text for job in jobs if job for turn in (*job.turns, *job.pictures)}
    assert words == {"canary said", "canary line", PICTURE}
    assert {job.instructions for job in jobs if job} == {"", "canary wish"}
    assert [line.text for job in jobs if job for turn in job.turns for line in turn.before] == [
        "canary before"
    ]


def test_what_was_plain_and_what_was_sealed_belong_together_both_ways(database: Database) -> None:
    carry_out(ledger_of(database, sealer()), lives("Berlin", 1, call_id="c1"))
    carry_out(ledger_of(database, sealer("p")), lives("Paris", 5, call_id="c2"))
    assert b"Alice lives in Berlin" in lying(database)
    assert b"Alice lives in Paris" not in lying(database)
    ledger = ledger_of(database, sealer())
    carry_out(ledger, lives("Rome", 9, call_id="c3"))
    assert texts(ledger) == ["Alice lives in Rome"]
    assert texts(ledger, moment=Moment(as_of_us=6)) == ["Alice lives in Paris"]
    assert len(texts(ledger, moment=EVER)) == 3
    assert ledger.named(ALICE, ["berlin", "paris", "rome"]) == ["berlin", "paris", "rome"]
    assert len(ledger.about(ALICE, ["alice"], moment=EVER)) == 3
    assert {edge.target for edge in ledger.graph(ALICE, limit=9, moment=EVER).edges} == {
        "Berlin",
        "Paris",
        "Rome",
    }
    assert b"Alice lives in Rome" in lying(database)


@pytest.mark.parametrize("other", [sealer("p", key=b"n" * 32), UNSEALED], ids=["another key", "no key"])
def test_without_the_key_nothing_is_opened_at_all(database: Database, other: Sealer) -> None:
    ledger_of(database).add(ALICE, [draft("I like tea")])
    with pytest.raises(WrongKey, match="'p'"):
        ledger_of(database, other)
    assert texts(ledger_of(database, sealer())) == ["I like tea"]


def test_another_key_is_no_fault_where_nothing_was_sealed(database: Database) -> None:
    ledger_of(database).add(OPEN, [draft("I like tea")])
    assert texts(ledger_of(database, sealer("p", key=b"n" * 32)), OPEN) == ["I like tea"]


def test_what_is_erased_is_gone_and_stays_away(database: Database) -> None:
    ledger, injections = fill(database, ALICE)
    (heard,) = turns("canary said", call_id="c6")
    assert ledger.delete_all(ALICE) == 4
    assert "canary" not in database.held().lower()  # which opens what is sealed
    assert ledger.capture(ALICE, "t", [heard], key=KEY) == []
    assert texts(ledger) == []
    assert injections.portrait(ALICE, most=9, longest=99) == []


def test_a_write_that_was_rolled_back_has_sealed_nothing_and_the_next_one_has(database: Database) -> None:
    ledger = ledger_of(database)
    one, other = draft("I like tea"), draft("I like rain")
    with pytest.raises(Exception, match=r"(?i)unique"):
        ledger.add(ALICE, [one, msgspec.structs.replace(other, id=one.id)])
    database.sealer = UNSEALED
    assert texts(ledger_of(database)) == []
    ledger.add(ALICE, [one])
    with pytest.raises(WrongKey):
        ledger_of(database)


def test_long_memories_are_left_out_of_a_portrait_by_what_they_say(database: Database) -> None:
    ledger = ledger_of(database)
    long, short = draft("I like tea " * 20), draft("I like rain")
    ledger.add(ALICE, [msgspec.structs.replace(one, kind="preference") for one in (long, short)])
    injections = Injections(database.open(), key=KEY, clock=SetClock())
    assert [one.text for one in injections.portrait(ALICE, most=9, longest=50)] == ["I like rain"]


def test_turns_are_seen_by_nobody_else_for_being_sealed(database: Database) -> None:
    ledger, _ = fill(database, ALICE)
    assert ledger.page(OPEN, limit=9, moment=NOW) == []
    assert ledger.named(OPEN, ["canaria"]) == []
