from __future__ import annotations

from memory.store.connection import as_list
from memory.store.sql_claims import _CLAIMS, _RELATED, settle_again
from tests.fakes.memory_parts import ALICE, BOB
from tests.fakes.tidied_memory import Tidied


def test_each_statement_that_gathers_claims_stays_in_its_scope() -> None:
    """Each by itself: one of them refuses what the other one lets through, and would hide a mistake in it."""
    house = Tidied()
    for number, scope in enumerate((ALICE, BOB)):
        house.claim("user lives in Rome", "user", "lives in", "Rome", scope=scope, message=number)
    connection = house.ledger._connections.read()
    rows = connection.execute("SELECT * FROM claims ORDER BY scope_id").fetchall()
    asked = {
        "ids": as_list([row["id"] for row in rows]),
        "same": as_list([rows[0]["same"]]),
        "slots": as_list([rows[0]["slot"]]),
        "targets": as_list([row["id"] for row in rows]),
    }
    for row in rows:
        own = {**asked, "scope": row["scope_id"]}
        assert [found["id"] for found in connection.execute(_CLAIMS, own)] == [row["id"]]
        assert [found["id"] for found in connection.execute(_RELATED, own)] == [row["id"]]


def test_claims_of_another_scope_settle_nothing() -> None:
    house = Tidied()
    house.claim("user lives in Rome", "user", "lives in", "Rome", scope=BOB)
    before = house.view()
    with house.ledger._connections.write() as connection:
        (claim,) = connection.execute("SELECT id, scope_id FROM claims").fetchall()
        assert settle_again(connection, claim["scope_id"] + 1, [claim["id"]], 9) == []
    assert house.view() == before
