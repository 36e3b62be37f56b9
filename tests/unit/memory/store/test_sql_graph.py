from __future__ import annotations

from pathlib import Path

import pytest

from memory.records import Entity
from memory.store.connection import within
from memory.store.sql_graph import _CALLED, named
from tests.fakes.memory_parts import ALICE, BOB
from tests.fakes.tidied_memory import Tidied


@pytest.fixture
def house(tmp_path: Path) -> Tidied:
    made = Tidied()
    for number, scope in enumerate((ALICE, BOB)):
        made.claim(
            "Robert is called Bob",
            "Robert",
            "nickname",
            "Bob",
            scope=scope,
            message=number,
            entities=(Entity("Robert"),),
        )
    return made


@pytest.mark.parametrize("name", ["robert", "bob"])
def test_a_name_stands_for_the_entities_and_aliases_of_its_own_scope_only(house: Tidied, name: str) -> None:
    """Each half by itself: what comes after looks at memories of the scope anyway, and would hide a mistake here."""
    connection = house.ledger._connections.read()
    homes = {}
    for scope in (ALICE, BOB):
        found = within(
            connection, scope, f", called AS ({_CALLED}) SELECT id FROM called", {"names": f'["{name}"]'}
        )
        homes[scope] = {row["id"] for row in found}
        assert homes[scope]
        assert named(connection, scope, [name]) == [name]
    assert not homes[ALICE] & homes[BOB]
