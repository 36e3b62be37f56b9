from __future__ import annotations

import pytest

from memory.store.connection import within
from memory.store.sqlite_connections import SqliteConnections
from tests.fakes.memory_parts import ALICE


def test_a_statement_that_forgets_its_scope_does_not_run(tmp_path):
    connections = SqliteConnections(tmp_path / "m.sqlite3")
    with pytest.raises(AssertionError):
        within(connections.read(), ALICE, "SELECT * FROM memories")
    connections.close()
