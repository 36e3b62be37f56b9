from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from memory.embed import HashedWords
from memory.store import sql_gates as gates
from memory.store.connection import Connections
from memory.store.sqlite import SqliteLedger
from memory.store.sqlite_connections import SqliteConnections
from tests.fakes.memory_parts import ALICE, BOB, KEY, SetClock, draft

DAY_US = 86_400_000_000
MODEL = HashedWords()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    made = SqliteLedger(tmp_path / "memory.sqlite3", key=KEY, clock=SetClock())
    yield made
    made.close()


def embedded(ledger: SqliteLedger, *texts: str) -> None:
    for scope in (ALICE, BOB):
        drafts = [
            msgspec.structs.replace(draft(text), occurred_at_us=3 * DAY_US * number)
            for number, text in enumerate(texts)
        ]
        ledger.add(scope, drafts)
    jobs = ledger.pending(1000, fingerprint=MODEL.fingerprint)
    vectors = MODEL.embed([job.memory.text for job in jobs if job.memory is not None])
    ledger.indexed(list(zip(jobs, vectors, strict=True)), fingerprint=MODEL.fingerprint)


@pytest.fixture
def connections(tmp_path: Path) -> Iterator[Connections]:
    made = SqliteConnections(tmp_path / "memory.sqlite3")
    yield made
    made.close()


def test_what_was_calibrated_is_kept_for_its_embedder(ledger, connections):
    assert ledger.gate("a") is None
    for dense in (0.4, 0.5):
        with connections.write() as connection:
            gates.set_gate(connection, "a", dense, 300, 1)
    assert (ledger.gate("a"), ledger.gate("b")) == (0.5, None)


def test_pairs_have_no_word_in_common(ledger, connections):
    embedded(ledger, "green tea", "blue boat", "red wine")
    pairs = gates.unrelated(connections.read(), MODEL.fingerprint, 100)
    assert len(pairs) == 4  # two neighbours in each of two scopes, whatever the order
    assert all(abs(float(one @ other)) < 0.2 for one, other in pairs)
    assert gates.fingerprints(connections.read()) == [MODEL.fingerprint]


def test_memories_that_share_a_word_are_no_pair(ledger, connections):
    embedded(ledger, "green tea", "more tea")
    assert gates.unrelated(connections.read(), MODEL.fingerprint, 100) == []


def test_vectors_are_seen_from_their_scopes_mean(ledger, connections):
    embedded(ledger, "green tea", "blue boat")
    (one, other), *_ = gates.unrelated(connections.read(), MODEL.fingerprint, 100)
    for plain in MODEL.embed(["green tea", "blue boat"]):
        assert not np.allclose(one, plain)
        assert not np.allclose(other, plain)
