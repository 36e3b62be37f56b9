"""Brings the ledger's tables to the form this version expects: numbered files, each applied once.

`0001_spans.sql` is for a single store, `0001_spans.clustered.sql` for replicas. A file that was
applied is history: to change a table, add the next number.
"""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path

import msgspec

from telemetry.store.base import Store

MIGRATIONS = Path(__file__).parent / "migrations"

_NAME = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z0-9_]+)(?P<clustered>\.clustered)?\.sql")
_APPLIED = """CREATE TABLE IF NOT EXISTS migrations{on}
(number UInt32, name String, checksum String, applied_at DateTime DEFAULT now())
ENGINE = {engine} ORDER BY number"""
_REPLICATED = "ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')"
_ON_CLUSTER = " ON CLUSTER '{cluster}'"

logger = logging.getLogger(__name__)


class MigrationError(Exception):
    """The tables and this version do not fit together; the message says what to do."""


class Migration(msgspec.Struct, frozen=True):
    """One numbered file."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """What is recorded when it was applied."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """The file's statements, each ended by a semicolon at the end of a line."""
        parts = re.split(r";[ \t]*(?:\n|$)", self.text)
        return [part.strip() for part in parts if part.strip()]


def load(folder: Path = MIGRATIONS, *, clustered: bool = False) -> list[Migration]:
    """Read the folder's migrations in order; raise MigrationError for gaps and strange names."""
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: a migration is called 0001_what_it_does.sql")
        if bool(match["clustered"]) is not clustered:
            continue
        number = int(match["number"])
        if number in found:
            raise MigrationError(f"{path.name}: number {number} is taken by {found[number].name}")
        found[number] = Migration(number, match["name"], path.read_text())
    if sorted(found) != list(range(1, len(found) + 1)):
        raise MigrationError(f"migrations are numbered 1, 2, 3 ... without a gap, not {sorted(found)}")
    return [found[number] for number in sorted(found)]


def migrate(store: Store, folder: Path = MIGRATIONS, *, clustered: bool = False) -> list[str]:
    """Apply what is missing and return its names; raise MigrationError before touching anything that differs.

    Statements say IF NOT EXISTS: one that was cut short, or that two hosts start at once, may run again.
    """
    wanted = load(folder, clustered=clustered)
    engine, on = (_REPLICATED, _ON_CLUSTER) if clustered else ("MergeTree", "")
    store.command(_APPLIED.replace("{on}", on).replace("{engine}", engine))
    rows = store.lookup("SELECT DISTINCT number, name, checksum FROM migrations ORDER BY number", {})
    applied = {int(row["number"]): row for row in rows}
    for migration in wanted:
        row = applied.get(migration.number)
        if row is not None and row["checksum"] != migration.checksum:
            raise MigrationError(
                f"migration {migration.number:04d}_{migration.name} was changed after it was applied as "
                f"{row['name']!r}: restore the file and put the change into a new one"
            )
    newer = [number for number in applied if number > len(wanted)]
    if newer:
        raise MigrationError(
            f"the ledger has migrations up to {max(newer)}, this version knows {len(wanted)}: "
            "it was written by a newer Tidegate; upgrade this one"
        )
    return [_apply(store, migration) for migration in wanted if migration.number not in applied]


def _apply(store: Store, migration: Migration) -> str:
    for statement in migration.statements:
        store.command(statement)
    # Both values are made here, of digits and [a-z0-9_].
    store.command(
        "INSERT INTO migrations (number, name, checksum) "  # noqa: S608
        f"VALUES ({migration.number}, '{migration.name}', '{migration.checksum}')"
    )
    logger.info("migration_applied", extra={"migration": f"{migration.number:04d}_{migration.name}"})
    return migration.name
