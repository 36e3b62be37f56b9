"""The pool's order and its queue, without a socket."""

from __future__ import annotations

import asyncio

import pytest
from typing_extensions import override

from gateway.clock import SystemClock
from gateway.dial import Way
from gateway.http1.connection import Connection
from gateway.providers.base import Origin
from gateway.settings import Network
from gateway.tasks import spawn
from gateway.upstream import Pool, Upstream


class Idle(Connection):
    """A connection that is alive until it is aborted."""

    def __init__(self, *, since: float = 0.0) -> None:
        super().__init__("api.test", SystemClock())
        self.idle_since = self.loop.time() - since
        self.connection_made(asyncio.Transport())
        self.gone = False

    @property
    @override
    def usable(self) -> bool:
        return not self.gone

    @override
    def abort(self) -> None:
        self.gone = True


def pool() -> Pool:
    return Pool(Way(Origin("http", "api.test", 80), host=b"api.test"))


async def test_the_newest_idle_connection_is_taken_first() -> None:
    idle = pool()
    old, new = Idle(since=5), Idle(since=1)
    idle.idle += [old, new]

    now = idle.loop.time()
    assert [idle.take(30, now), idle.take(30, now), idle.take(30, now)] == [new, old, None]


async def test_dead_and_old_connections_are_passed_over() -> None:
    idle = pool()
    young, old, dead = Idle(since=1), Idle(since=31), Idle(since=1)
    dead.gone = True
    idle.idle += [young, old, dead]

    assert idle.take(30, idle.loop.time()) is young
    assert old.gone


async def test_expiring_closes_only_the_old() -> None:
    idle = pool()
    old, young = Idle(since=31), Idle(since=1)
    idle.idle += [old, young]

    assert idle.expire(30) == 1

    assert (old.gone, young.gone) == (True, False)
    assert idle.idle == [young]


async def test_those_who_wait_are_woken_in_order_and_a_turn_given_up_is_passed_on() -> None:
    idle = pool()
    waiting = [spawn(idle.wait(), name=f"wait {number}") for number in range(3)]
    await asyncio.sleep(0)

    idle.wake_one()
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    await waiting[1]
    assert not waiting[2].done()

    idle.wake_all()
    await waiting[2]


async def test_a_new_client_has_counted_nothing() -> None:
    upstream = Upstream(SystemClock(), Network())

    assert set(upstream.metrics().values()) == {0}

    await upstream.close()
