"""The tables as numbered steps, each applied once, whole or not at all.

`0001_what_it_adds.sql` is for every database; beside it, `.sqlite.sql` or `.postgres.sql` has what only that one needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

Dialect = Literal["sqlite", "postgres"]

_FOLDER = Path(__file__).with_name("migrations")


class Step(msgspec.Struct, frozen=True):
    """One number's statements."""

    number: int
    shared: str
    own: str
    """What comes after them, for one database only."""


def steps(dialect: Dialect, *, after: int) -> list[Step]:
    """Return the steps that are missing, in order; raise RuntimeError if there are more than this program knows."""
    known = sorted(_FOLDER.glob("*.sql"))
    found = []
    for path in known:
        if "." not in path.stem:
            own = path.with_suffix(f".{dialect}.sql")
            text = own.read_text(encoding="utf-8") if own in known else ""
            found.append(Step(int(path.name[:4]), path.read_text(encoding="utf-8"), text))
    if after > found[-1].number:
        raise RuntimeError(f"the memory ledger is of a newer version ({after}) than this program knows")
    return [step for step in found if step.number > after]
