from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from memory.calibration import calibrate
from memory.embed import unit
from memory.store.sqlite import SqliteLedger
from tests.fakes.memory_parts import ALICE, KEY, draft

DAY_US = 86_400_000_000


def filled(folder: Path, memories: int) -> SqliteLedger:
    chance = np.random.default_rng(7)
    ledger = SqliteLedger(folder / "memory.sqlite3", key=KEY)
    ledger.add(
        ALICE,
        [
            msgspec.structs.replace(draft(f"word{number}"), occurred_at_us=2 * DAY_US * number)
            for number in range(memories)
        ],
    )
    jobs = ledger.pending(memories, fingerprint="e")
    vectors = [unit(chance.normal(size=16).astype(np.float32)) for _ in jobs]
    ledger.indexed(list(zip(jobs, vectors, strict=True)), fingerprint="e")
    return ledger


def test_the_gate_is_found_and_kept(tmp_path):
    ledger = filled(tmp_path, 300)
    (found,) = calibrate(tmp_path)
    assert found.fingerprint == "e"
    assert found.pairs == 299
    assert found.dense is not None
    assert ledger.gate("e") == found.dense
    ledger.close()


def test_with_a_few_memories_nothing_changes(tmp_path):
    ledger = filled(tmp_path, 20)
    (found,) = calibrate(tmp_path)
    assert (found.pairs, found.dense, ledger.gate("e")) == (19, None, None)
    ledger.close()
