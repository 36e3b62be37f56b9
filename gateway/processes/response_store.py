"""Where the hub writes down which deployment keeps which response."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.clock import Clock
from gateway.link import CallFailed
from gateway.link_server import Handler
from gateway.processes.table_file import TableFile
from gateway.response_ids import CLAIM, DROP, GET, PUT, Kept, Name
from telemetry.sealed import UNSEALED, Sealer

KEEP_S = 30 * 24 * 3600
"""As long as OpenAI keeps a response. Source: its guide "Your data", application state of /v1/responses (2026-11)."""
SWEEP = 64
"""Expired rows that one insert takes away at most, so that none waits long."""

_SCHEMA = """
create table if not exists responses (
    project text not null,
    environment text not null,
    id text not null,
    deployment text not null,
    key text not null,
    user text not null,
    thread text not null,
    uncounted integer not null,
    expires integer not null,
    primary key (project, environment, id)
) without rowid;
create index if not exists responses_by_expiry on responses (expires);
create table if not exists held_responses (
    project text not null,
    environment text not null,
    id text not null,
    held blob not null,
    primary key (project, environment, id)
);
create table if not exists shown_memories (
    project text not null,
    environment text not null,
    id text not null,
    ids text not null,
    primary key (project, environment, id)
);
"""
_PUT = "insert or replace into responses values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_HOLD = "insert or replace into held_responses values (?, ?, ?, ?)"
_SHOW = "insert or replace into shown_memories values (?, ?, ?, ?)"
_GET = (
    "select deployment, key, user, thread, uncounted, held, ids from responses"
    " left join held_responses using (project, environment, id)"
    " left join shown_memories using (project, environment, id)"
    " where project = ? and environment = ? and id = ? and expires > ?"
)
_CLAIM = "update responses set uncounted = 0 where project = ? and environment = ? and id = ? and uncounted"
_EXPIRED = "select project, environment, id from responses where expires <= ? limit ?"
_DROP = "delete from responses where project = ? and environment = ? and id = ?"
_LET_GO = (
    "delete from held_responses where project = ? and environment = ? and id = ?",
    "delete from shown_memories where project = ? and environment = ? and id = ?",
)

T = TypeVar("T")


class ResponseStore:
    """A table in a file of its own, asked from a thread of its own. The file is made when it is first needed."""

    def __init__(self, path: Path, clock: Clock, *, sealer: Sealer = UNSEALED) -> None:
        self._table = TableFile(path, _SCHEMA, name="responses")
        self._clock = clock
        self._sealer = sealer

    @property
    def handlers(self) -> dict[str, Handler]:
        """What workers may call over the link."""
        return {PUT: self._put, GET: self._get, CLAIM: self._claim, DROP: self._drop}

    async def close(self) -> None:
        """Finish what is asked already and let go of the file."""
        await self._table.close()

    async def _put(self, params: object) -> bool:
        kept = _read(params, Kept)
        now = self._now_s()
        row = (*_key(kept.name), kept.deployment, kept.key, kept.user, kept.thread)

        def put(table: sqlite3.Connection) -> bool:
            table.execute(_PUT, (*row, kept.uncounted, now + KEEP_S))
            if kept.held:
                table.execute(_HOLD, (*_key(kept.name), self._sealer.seal(kept.name.project, kept.held)))
            if kept.shown:
                table.execute(_SHOW, (*_key(kept.name), " ".join(kept.shown)))
            expired = table.execute(_EXPIRED, (now, SWEEP)).fetchall()
            table.executemany(_DROP, expired)
            for let_go in _LET_GO:
                table.executemany(let_go, expired)
            return True

        return await self._table.do(put)

    async def _get(self, params: object) -> Kept | None:
        name = _read(params, Name)
        now = self._now_s()
        row = await self._table.do(lambda table: table.execute(_GET, (*_key(name), now)).fetchone())
        if row is None:
            return None
        deployment, key, user, thread, uncounted, held, shown = row
        return Kept(
            name=name,
            deployment=deployment,
            key=key,
            user=user,
            thread=thread,
            uncounted=bool(uncounted),
            held=self._sealer.open(held or b""),
            shown=tuple((shown or "").split()),
        )

    async def _claim(self, params: object) -> bool:
        name = _read(params, Name)
        return await self._table.do(lambda table: table.execute(_CLAIM, _key(name)).rowcount > 0)

    async def _drop(self, params: object) -> bool:
        name = _read(params, Name)

        def drop(table: sqlite3.Connection) -> bool:
            for let_go in _LET_GO:
                table.execute(let_go, _key(name))
            return table.execute(_DROP, _key(name)).rowcount > 0

        return await self._table.do(drop)

    def _now_s(self) -> int:
        return self._clock.now_us() // 1_000_000


def _key(name: Name) -> tuple[str, str, str]:
    return name.project, name.environment, name.id


def _read(params: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise CallFailed("bad_params", str(error)) from error
