"""When the hub tells rules, and what it keeps of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.control.audit import log
from gateway.control.database import Database
from gateway.control.records import Act
from gateway.control.records_thread import RecordsThread
from gateway.control.rule_publisher import RulePublisher
from gateway.rule_feed import rule_file
from tests.fakes.keys import HandClock


class Board:
    """Two kinds of rules, and what was told of them."""

    def __init__(self, folder: Path) -> None:
        self.records = RecordsThread(folder / "control.sqlite", "", HandClock())
        self.told: list[tuple[str, object]] = []
        self.rules: dict[str, list[str]] = {"limits": ["a"], "budgets": ["x"]}
        self.publisher = self.another(folder)

    def another(self, folder: Path) -> RulePublisher:
        """As after the hub's return."""
        made = RulePublisher(
            self.records,
            lambda topic, document: self.told.append((topic, msgspec.msgpack.decode(document))),  # type: ignore[call-overload]
            folder / "rules",
        )
        for topic in self.rules:
            made.add(topic, lambda _, topic=topic: self.rules[topic])  # type: ignore[misc]
        return made

    async def change(self, **rules: list[str]) -> None:
        """Write something into the records, as who changes rules does."""
        self.rules |= rules

        def write(database: Database) -> None:
            with database.write() as session:
                log(session, Act("me", 1), "some.change", "t", "p", {})

        await self.records.query(write)
        await self.publisher.look()


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Board]:
    made = Board(tmp_path)
    yield made
    await made.records.close()


async def test_nothing_is_told_or_made_before_there_are_records(board: Board) -> None:
    await board.publisher.look()

    assert board.told == []
    assert not board.records.there


async def test_all_kinds_are_told_once_and_then_only_what_changed(board: Board, tmp_path: Path) -> None:
    await board.change()
    await board.publisher.look()
    assert board.told == [("limits", ["a"]), ("budgets", ["x"])]

    await board.change(budgets=["x", "y"])
    await board.change()
    assert board.told[2:] == [("budgets", ["x", "y"])]
    file = rule_file(tmp_path / "rules", "budgets")
    assert msgspec.msgpack.decode(file.read_bytes()) == ["x", "y"]
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_hub_that_is_back_tells_everything_again(board: Board, tmp_path: Path) -> None:
    await board.change()
    again = board.another(tmp_path)
    await again.hasten()

    assert board.told[2:] == [("limits", ["a"]), ("budgets", ["x"])]
