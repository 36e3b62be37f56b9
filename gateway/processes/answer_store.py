"""Where the hub keeps answers that are given again, for all workers of the host."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.cache.words import GET, PUT, Kept, Wanted
from gateway.clock import Clock
from gateway.link import CallFailed
from gateway.link_server import Handler
from gateway.processes.table_file import TableFile
from telemetry.sealed import PREFIX, Sealer
from telemetry.upkeep.forgotten import Person

T = TypeVar("T")

SWEEP = 64
"""Answers that make room for one at most, so that none waits long."""
_COUNT_EVERY = 256
"""After so many new ones their sizes are added up again: an erasure may have taken some away."""

_SCHEMA = """
create table if not exists answers (
    key blob not null primary key,
    project text not null,
    content_type text not null,
    body blob not null,
    cost integer not null,
    made integer not null,
    expires integer not null
) without rowid;
create index if not exists answers_by_age on answers (made, length(body));
create index if not exists answers_by_expiry on answers (expires);
create table if not exists answer_users (
    project text not null,
    environment text not null,
    user text not null,
    key blob not null,
    primary key (project, environment, user, key)
) without rowid;
create index if not exists answer_users_by_key on answer_users (key);
"""
_GET = "select content_type, body, cost, made, expires from answers where key = ? and expires > ?"
_PUT = "insert or replace into answers values (?, ?, ?, ?, ?, ?, ?)"
_WHOSE = "insert or ignore into answer_users values (?, ?, ?, ?)"
_EXPIRED = "select key, length(body) from answers where expires <= ? limit ?"
_OLDEST = "select key, length(body) from answers order by made limit ?"
_DROP = "delete from answers where key = ?"
_NOBODYS = "delete from answer_users where key = ?"
_SIZE = "select coalesce(sum(length(body)), 0) from answers"


def _nobody(_: Person) -> bool:
    return False


class AnswerStore:
    """Keeps at most `max_bytes` of answers, the newest ones, and none of users who were `forgotten`."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        max_bytes: int,
        sealer: Sealer,
        forgotten: Callable[[Person], bool] = _nobody,
    ) -> None:
        self._table = TableFile(path, _SCHEMA, name="cache")
        self._clock = clock
        self._max_bytes = max_bytes
        self._sealer = sealer
        self._forgotten = forgotten
        self._size = 0
        self._puts = 0

    @property
    def handlers(self) -> dict[str, Handler]:
        """What workers may call over the link."""
        return {GET: self._get, PUT: self._put}

    async def close(self) -> None:
        """Finish what is asked already and let go of the file."""
        await self._table.close()

    async def _get(self, params: object) -> Kept | None:
        wanted = _read(params, Wanted)
        now = self._clock.now_us()

        def get(table: sqlite3.Connection) -> Kept | None:
            row = table.execute(_GET, (wanted.key, now)).fetchone()
            if row is None:
                return None
            content_type, body, cost, made, expires = row
            body = self._sealer.open(body)
            if body.startswith(PREFIX):  # under an earlier master key
                return None
            self._say_whose(table, wanted)
            return Kept(
                wanted=wanted,
                content_type=content_type,
                body=body,
                cost_nano_usd=cost,
                made_us=made,
                expires_us=expires,
            )

        return await self._table.do(get)

    async def _put(self, params: object) -> bool:
        kept = _read(params, Kept)
        wanted = kept.wanted

        def put(table: sqlite3.Connection) -> bool:
            if self._is_forgotten(wanted):
                return False
            body = self._sealer.seal(wanted.project, kept.body)
            self._make_room(table, len(body))
            row = (wanted.key, wanted.project, kept.content_type, body, kept.cost_nano_usd)
            table.execute(_PUT, (*row, kept.made_us, kept.expires_us))
            self._say_whose(table, wanted)
            return True

        return await self._table.do(put)

    def _say_whose(self, table: sqlite3.Connection, wanted: Wanted) -> None:
        if wanted.user and not self._is_forgotten(wanted):
            table.execute(_WHOSE, (wanted.project, wanted.environment, wanted.user, wanted.key))

    def _is_forgotten(self, wanted: Wanted) -> bool:
        return self._forgotten(
            Person(project=wanted.project, environment=wanted.environment, user=wanted.user)
        )

    def _make_room(self, table: sqlite3.Connection, size: int) -> None:
        """Take away what has expired, then the oldest until there is room."""
        if self._puts % _COUNT_EVERY == 0:
            (self._size,) = table.execute(_SIZE).fetchone()
        self._puts += 1
        gone = table.execute(_EXPIRED, (self._clock.now_us(), SWEEP)).fetchall()
        self._drop(table, gone)
        self._size += size
        while self._size > self._max_bytes:
            oldest = table.execute(_OLDEST, (SWEEP,)).fetchall()
            if not oldest:
                break
            over = self._size - self._max_bytes
            wanted = [row for at, row in enumerate(oldest) if sum(length for _, length in oldest[:at]) < over]
            self._drop(table, wanted)

    def _drop(self, table: sqlite3.Connection, rows: list[tuple[bytes, int]]) -> None:
        keys = [(key,) for key, _ in rows]
        table.executemany(_DROP, keys)
        table.executemany(_NOBODYS, keys)
        self._size -= sum(length for _, length in rows)


def _read(params: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise CallFailed("bad_params", str(error)) from error
