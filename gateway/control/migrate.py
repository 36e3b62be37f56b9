"""Brings the tables to the form this version expects: numbered files, each applied once, in one transaction.

`0001_keys.sql` is for every database; `.sqlite.sql` and `.postgres.sql` for the one. A file that was applied is
history: to change a table, add the next number.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path

import msgspec

from gateway.control.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"

_NAME = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z0-9_]+)(?:\.(?P<dialect>sqlite|postgres))?\.sql")
_APPLIED = """create table if not exists migrations
(number integer primary key, name text not null, checksum text not null, applied_us bigint not null)"""
_BEGIN = "insert into control (one, epoch, revision) values (1, ?, 0) on conflict do nothing"


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
        """Its statements, each ended by a semicolon at the end of a line."""
        parts = re.split(r";[ \t]*(?:\n|$)", self.text)
        return [part.strip() for part in parts if part.strip()]


def load(dialect: str, folder: Path = MIGRATIONS) -> list[Migration]:
    """Read what is meant for this database, in order; raise MigrationError for gaps and strange names."""
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: a migration is called 0001_what_it_does.sql")
        if match["dialect"] not in (None, dialect):
            continue
        number = int(match["number"])
        if number in found:
            raise MigrationError(f"{path.name}: number {number} is taken by {found[number].name}")
        found[number] = Migration(number, match["name"], path.read_text(encoding="utf-8"))
    if sorted(found) != list(range(1, len(found) + 1)):
        raise MigrationError(f"migrations are numbered 1, 2, 3 ... without a gap, not {sorted(found)}")
    return [found[number] for number in sorted(found)]


def migrate(database: Database, now_us: int, folder: Path = MIGRATIONS) -> list[str]:
    """Apply what is missing and return its names; raise MigrationError for tables of another version, ControlAway."""
    wanted = load(database.dialect, folder)
    done = []
    with database.write() as session:
        session.run(_APPLIED)
        rows = session.run("select number, name, checksum from migrations order by number")
        applied = {int(number): (str(name), str(checksum)) for number, name, checksum in rows}
        if len(applied) > len(wanted):
            raise MigrationError(
                f"the control records were changed by a newer version ({applied[max(applied)][0]}): use that one"
            )
        for migration in wanted:
            before = applied.get(migration.number)
            if before is None:
                for statement in migration.statements:
                    session.run(statement)
                row = (migration.number, migration.name, migration.checksum, now_us)
                session.run("insert into migrations values (?, ?, ?, ?)", *row)
                done.append(migration.name)
            elif before[1] != migration.checksum:
                raise MigrationError(
                    f"migration {migration.number:04} was applied as {before[0]!r} with other statements: "
                    "these control records belong to another version"
                )
        session.run(_BEGIN, secrets.token_hex(8))
    return done
