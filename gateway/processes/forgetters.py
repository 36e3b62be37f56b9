"""What else than the ledger knows users, and how each of them forgets one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from gateway.places import Places
from gateway.processes.unix_http import ask
from gateway.recollection import MEMORY_API
from telemetry.upkeep.forgotten import Person

_PATIENCE_S = 60.0
_BUSY_S = 10.0
_THEIRS = "project = ? and environment = ? and user = ?"
_HELD = f"""delete from held_responses where (project, environment, id) in
 (select project, environment, id from responses where {_THEIRS})"""  # noqa: S608  # ours
_KEPT = f"delete from responses where {_THEIRS}"  # noqa: S608  # ours
_ANSWERS = f"delete from answers where key in (select key from answer_users where {_THEIRS})"  # noqa: S608  # ours
_ANSWER_USERS = "delete from answer_users where key not in (select key from answers)"


class _Deleted(msgspec.Struct):
    deleted: int = 0


def forgetters(places: Places, *, memory: bool) -> dict[str, Callable[[Person], int]]:
    """Return, by name, what takes a user out and says of how many things; each raises OSError."""
    found: dict[str, Callable[[Person], int]] = {
        "kept responses": partial(forget_responses, places.responses),
        "kept answers": partial(forget_answers, places.cache),
    }
    if memory or places.memory.exists():
        found["memories"] = partial(forget_memories, places.hub)
    return found


def forget_memories(hub: Path, person: Person) -> int:
    """Delete all that the hub remembers of a user."""
    principal = {"project": person.project, "environment": person.environment, "key_id": "erase"}
    status, body = ask(
        hub,
        "DELETE",
        f"{MEMORY_API}?{urlencode({'user_id': person.user})}",
        headers={"x-tidegate-principal": msgspec.json.encode(principal).decode()},
        timeout_s=_PATIENCE_S,
    )
    if status == 400:
        return 0  # no memory can be of a user with such an id
    if status != 200:
        raise OSError(f"the memory answered {status}; memory.enabled must be true while it has to forget")
    return msgspec.json.decode(body, type=_Deleted).deleted


def forget_responses(path: Path, person: Person) -> int:
    """Delete which responses are kept for a user, and what is held of them."""

    def forget(table: sqlite3.Connection, who: Sequence[str]) -> int:
        table.execute(_HELD, who)
        return table.execute(_KEPT, who).rowcount

    return _forget(path, person, forget, what="kept responses")


def forget_answers(path: Path, person: Person) -> int:
    """Delete the answers that were kept of a user's calls, or given to that user."""

    def forget(table: sqlite3.Connection, who: Sequence[str]) -> int:
        count = table.execute(_ANSWERS, who).rowcount
        table.execute(_ANSWER_USERS)
        return count

    return _forget(path, person, forget, what="kept answers")


def _forget(
    path: Path, person: Person, forget: Callable[[sqlite3.Connection, Sequence[str]], int], *, what: str
) -> int:
    """Do it in one transaction; nothing is left of it in the file when this returns."""
    if not path.exists():
        return 0
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_S)) as table:
            table.execute("pragma secure_delete = on")
            with table:
                count = forget(table, msgspec.structs.astuple(person))
            table.execute("pragma wal_checkpoint(truncate)")
            return count
    except sqlite3.Error as error:
        raise OSError(f"the {what}: {error}") from error
