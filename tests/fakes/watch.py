"""Who watches that nothing of one tenant reaches another: it knows what was written by whom."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memory.scope import Scope, sees

TENANTS = tuple(
    Scope(project=project, environment=environment, user=user, agent=agent, run=run)
    for project, environment, user, agent, run in (
        ("p", "prod", "alice", "", ""),
        ("p", "prod", "bob", "", ""),
        ("q", "prod", "alice", "", ""),
        ("p", "test", "alice", "", ""),
        ("p", "prod", "alice", "guide", ""),
        ("p", "prod", "alice", "coach", ""),
        ("p", "prod", "alice", "guide", "r1"),
        ("p", "prod", "alice", "guide", "r2"),
        ("q", "prod", "alice", "guide", "r1"),
        ("p", "prod", "", "guide", ""),
        ("p", "prod", "", "guide", "r1"),
        ("p", "prod", "", "", "r1"),
        ("p", "test", "", "", "r1"),
        ("p", "prod", "", "alice", ""),
        ("p", "prod", "", "", "alice"),
    )
)
_SECRET = re.compile(rb"secret(\d+)x")
_STATES = (
    "SELECT scope_id, count(*), sum(version), sum(deleted), sum(hidden), sum(quarantined), sum(proof_count),"
    " total(valid_to_us), sum(length(text)), sum(length(metadata)) FROM memories GROUP BY scope_id",
    "SELECT scope_id, count(*), sum(spent) FROM claims GROUP BY scope_id",
    "SELECT scope_id, count(*), group_concat(state), sum(turns) FROM jobs GROUP BY scope_id",
    "SELECT scope_id, count(*) FROM recalls GROUP BY scope_id",
    "SELECT scope_id, count(*) FROM threads GROUP BY scope_id",
    "SELECT m.scope_id, count(*) FROM uses u JOIN memories m ON m.id = u.memory_id GROUP BY m.scope_id",
    "SELECT m.scope_id, count(*) FROM edges e JOIN memories m ON m.id = e.memory_id GROUP BY m.scope_id",
    "SELECT m.scope_id, count(*) FROM evidence e JOIN memories m ON m.id = e.memory_id GROUP BY m.scope_id",
)
"""What each scope has, in numbers that change with any change. What was injected is not here: a block goes with the
first of its memories that goes, and whoever deletes that need not see the whole conversation."""


class Crossing(AssertionError):
    """Something of one tenant reached another."""


class Watch:
    """Over one ledger's file. Every tenant writes its own `secret` into all it says."""

    def __init__(self, path: Path) -> None:
        self._rows = sqlite3.connect(path)
        self._scopes: dict[int, Scope] = {}
        self._owners: dict[str, Scope] = {}
        self._known: dict[str, list[str]] = {"memory": [], "job": [], "call": []}
        self.seen = 0
        """How many own secrets came back: a watch over nothing would see no crossing either."""

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

    def note(self, scope: Scope, kind: str, *ids: str) -> None:
        """Remember whose these are."""
        for one in ids:
            if one and one not in self._owners:
                self._owners[one] = scope
                self._known[kind].append(one)

    def owner(self, one: str) -> Scope | None:
        """Return whose it is."""
        return self._owners.get(one)

    def any(self, kind: str, chance: random.Random) -> str:
        """Return an id of a memory, job or call, of whomever it is."""
        known = self._known[kind]
        return chance.choice(known) if known else "none"

    def told(self, reader: Scope | None, answer: bytes) -> None:
        """Look for secrets in an answer; None may be told none at all."""
        for number in map(int, _SECRET.findall(answer)):
            if reader is None or not sees(reader, TENANTS[number]):
                raise Crossing(f"{reader} was told a secret of {TENANTS[number]}")
            self.seen += 1

    def named(self, reader: Scope, ids: Sequence[str]) -> None:
        """Look for ids of others."""
        for one in ids:
            owner = self._owners.get(one)
            if owner is not None and not sees(reader, owner):
                raise Crossing(f"{reader} was told of {one} of {owner}")

    def owed(self) -> list[Scope]:
        """Return the scopes of which something is still to be read."""
        rows = self._rows.execute("SELECT DISTINCT scope_id FROM jobs WHERE state IN ('waiting', 'working')")
        return [self._scopes[number] for (number,) in rows if number in self._scopes]

    def state(self) -> dict[int, list[tuple[Any, ...]]]:
        """Return what each scope has, by its number."""
        for number, *names in self._rows.execute(
            'SELECT id, project, environment, "user", agent, run FROM scopes'
        ):
            fields = dict(zip(Scope.__struct_fields__, names, strict=True))
            self._scopes.setdefault(number, Scope(**fields))
        found: dict[int, list[tuple[Any, ...]]] = {}
        for place, statement in enumerate(_STATES):
            for row in self._rows.execute(statement):
                found.setdefault(row[0], []).append((place, *row[1:]))
        return found

    def unchanged(self, before: Mapping[int, object], writers: Sequence[Scope]) -> None:
        """Nothing may have changed but in scopes that one of these sees."""
        after = self.state()
        for number in before.keys() | after.keys():
            owner = self._scopes[number]
            if before.get(number) != after.get(number) and not any(sees(one, owner) for one in writers):
                raise Crossing(
                    f"{writers} changed something of {owner}: {before.get(number)} -> {after.get(number)}"
                )
