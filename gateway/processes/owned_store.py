"""Where the hub writes down whose a thing is that a provider keeps for all."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.link import CallFailed
from gateway.link_server import Handler
from gateway.owned_ids import CLAIM, DROP, FIND, PUT, Owned, Question, Thing
from gateway.processes.table_file import TableFile

MOST_ASKED = 20_000
"""Ids in one question: a page of a list has at most 10,000. Source: OpenAI's API reference, list files (2026-11)."""

_SCHEMA = """
create table if not exists owned (
    provider text not null,
    id text not null,
    project text not null,
    environment text not null,
    key text not null,
    call_id text not null,
    batch text not null,
    uncounted integer not null,
    primary key (provider, id)
) without rowid;
"""
_PUT = "insert or ignore into owned values (?, ?, ?, ?, ?, ?, ?, ?)"
_FIND = """select id, project, environment, key, call_id, batch from owned
    where provider = ? and id in (select value from json_each(?))"""
_CLAIM = "update owned set uncounted = 0 where provider = ? and id = ? and uncounted"
_DROP = "delete from owned where provider = ? and id = ?"

T = TypeVar("T")


class OwnedStore:
    """A table in a file of its own, asked from a thread of its own. A row stays until its thing is deleted."""

    def __init__(self, path: Path) -> None:
        self._table = TableFile(path, _SCHEMA, name="owned")

    @property
    def handlers(self) -> dict[str, Handler]:
        """What workers may call over the link."""
        return {PUT: self._put, FIND: self._find, CLAIM: self._claim, DROP: self._drop}

    async def close(self) -> None:
        """Finish what is asked already and let go of the file."""
        await self._table.close()

    async def _put(self, params: object) -> bool:
        rows = [
            (
                *(one.thing.provider, one.thing.id, one.project, one.environment),
                *(one.key, one.call_id, one.batch, bool(one.call_id and not one.batch)),
            )
            for one in _read(params, list[Owned])
        ]
        return await self._table.do(lambda table: table.executemany(_PUT, rows) is not None)

    async def _find(self, params: object) -> list[Owned]:
        asked = _read(params, Question)
        ids = msgspec.json.encode(asked.ids[:MOST_ASKED]).decode()
        rows = await self._table.do(lambda table: table.execute(_FIND, (asked.provider, ids)).fetchall())
        return [_owned(asked.provider, row) for row in rows]

    async def _claim(self, params: object) -> bool:
        thing = _read(params, Thing)
        return await self._table.do(
            lambda table: table.execute(_CLAIM, (thing.provider, thing.id)).rowcount > 0
        )

    async def _drop(self, params: object) -> bool:
        thing = _read(params, Thing)
        return await self._table.do(
            lambda table: table.execute(_DROP, (thing.provider, thing.id)).rowcount > 0
        )


def _owned(provider: str, row: sqlite3.Row) -> Owned:
    thing_id, project, environment, key, call_id, batch = row
    return Owned(
        thing=Thing(provider=provider, id=thing_id),
        project=project,
        environment=environment,
        key=key,
        call_id=call_id,
        batch=batch,
    )


def _read(params: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise CallFailed("bad_params", str(error)) from error
