"""Migrations are applied once, in order, and never changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from typing_extensions import override

from telemetry.migrate import MIGRATIONS, MigrationError, load, migrate
from telemetry.rows import TABLES
from telemetry.store.base import Parameter, Row
from tests.fakes.memory_ledger import MemoryLedger


class Recorder(MemoryLedger):
    """Understands just enough SQL to remember what was applied."""

    @override
    def lookup(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
        found = [re.search(r"VALUES \((\d+), '(\w+)', '(\w+)'\)", command) for command in self.commands]
        return [{"number": int(match[1]), "name": match[2], "checksum": match[3]} for match in found if match]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text(
        "-- why\nCREATE TABLE a (x String);\n\nCREATE TABLE b (y String);\n"
    )
    (tmp_path / "0001_first.clustered.sql").write_text("CREATE TABLE a ON CLUSTER '{cluster}' (x String);\n")
    (tmp_path / "0002_second.sql").write_text("ALTER TABLE a ADD COLUMN z String")
    (tmp_path / "0002_second.clustered.sql").write_text(
        "ALTER TABLE a ON CLUSTER '{cluster}' ADD COLUMN z String"
    )
    return tmp_path


def test_what_is_missing_is_applied_once_and_in_order(folder: Path) -> None:
    store = Recorder()
    assert migrate(store, folder) == ["first", "second"]
    assert migrate(store, folder) == []
    applied = [
        command
        for command in store.commands
        if "INTO migrations" not in command and "migrations" not in command
    ]
    assert [command.splitlines()[-1] for command in applied] == [
        "CREATE TABLE a (x String)",
        "CREATE TABLE b (y String)",
        "ALTER TABLE a ADD COLUMN z String",
    ]


def test_a_later_version_adds_only_its_own(folder: Path) -> None:
    store = Recorder()
    migrate(store, folder)
    (folder / "0003_third.sql").write_text("SELECT 1;")
    assert migrate(store, folder) == ["third"]


def test_a_changed_file_stops_before_anything_is_touched(folder: Path) -> None:
    store = Recorder()
    migrate(store, folder)
    (folder / "0002_second.sql").write_text("ALTER TABLE a ADD COLUMN other String")
    (folder / "0003_third.sql").write_text("SELECT 1;")
    before = len(store.commands)
    with pytest.raises(MigrationError, match="0002_second was changed after it was applied"):
        migrate(store, folder)
    assert len(store.commands) == before + 1  # only the question whether the table of migrations is there


def test_a_ledger_of_a_newer_version_is_left_alone(folder: Path) -> None:
    store = Recorder()
    migrate(store, folder)
    (folder / "0002_second.sql").unlink()
    with pytest.raises(MigrationError, match="newer Tidegate"):
        migrate(store, folder)


@pytest.mark.parametrize(
    ("name", "problem"), [("0004_gap.sql", "gap"), ("notes.sql", "is called"), ("0001_again.sql", "taken")]
)
def test_numbers_have_no_gap_and_no_twin(folder: Path, name: str, problem: str) -> None:
    (folder / name).write_text("SELECT 1;")
    with pytest.raises(MigrationError, match=problem):
        load(folder)


def test_clusters_get_the_files_beside(folder: Path) -> None:
    store = Recorder()
    migrate(store, folder, clustered=True)
    assert all("ON CLUSTER" in command for command in store.commands if not command.startswith("INSERT"))


def columns(text: str) -> str:
    """A file without what makes it clustered."""
    text = text.replace(" ON CLUSTER '{cluster}'", "")
    text = re.sub(r"Replicated(\w+)\([^)]*\)", r"\1", text)
    return re.sub(r"(?:non_)?replicated_deduplication_window\w* = \d+(?:, )?", "", text)


def test_clustered_and_plain_files_say_the_same_but_for_the_engine() -> None:
    plain, clustered = load(), load(clustered=True)
    assert [columns(one.text) for one in plain] == [columns(one.text) for one in clustered]
    for migration in clustered:
        for statement in migration.statements:
            assert "ON CLUSTER '{cluster}'" in statement


def test_every_column_we_fill_is_in_a_migration() -> None:
    text = "\n".join(path.read_text() for path in MIGRATIONS.glob("*.sql") if "clustered" not in path.name)
    for table in TABLES.values():
        declared = re.search(rf"CREATE TABLE IF NOT EXISTS {table.name}\n\((.*?)\n\)", text, re.DOTALL)
        assert declared is not None
        names = re.findall(r"^    (\w+) +[A-Z]", declared[1], re.MULTILINE)
        for added in re.findall(rf"ALTER TABLE {table.name}\n(.*?);", text, re.DOTALL):
            names += re.findall(r"ADD COLUMN IF NOT EXISTS (\w+)", added)
        assert set(names) - set(table.columns) <= {"ingested_at"}
        assert set(table.columns) <= set(names)
