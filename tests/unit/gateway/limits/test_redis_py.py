"""What redis-py is made to connect to, and that it never tries again by itself."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gateway.limits.redis import RedisAway
from gateway.limits.redis_limiter import SCRIPTS
from gateway.limits.redis_py import RedisPyLine, connect
from tests.fakes import redis
from tests.fakes.waiting import until


def kwargs(url: str) -> dict[str, Any]:
    return dict(connect(url).connection_pool.connection_kwargs)


def test_urls_with_tls_and_of_sentinels_are_understood() -> None:
    plain = kwargs("rediss://ada:pw@r.example:7000/3")
    assert (plain["host"], plain["port"], plain["db"], plain["username"]) == ("r.example", 7000, 3, "ada")
    assert connect("rediss://r.example").connection_pool.connection_class.__name__ == "SSLConnection"
    pool: Any = connect("redis+sentinel://:p%40w@a:1,b:2/main/4").connection_pool
    assert (pool.service_name, pool.connection_kwargs["db"], pool.connection_kwargs["password"]) == (
        "main",
        4,
        "p@w",
    )
    assert [one.connection_pool.connection_kwargs["port"] for one in pool.sentinel_manager.sentinels] == [
        1,
        2,
    ]


def test_nothing_is_tried_twice() -> None:
    assert kwargs("rediss://r.example")["retry"].get_retries() == 0


async def test_a_redis_that_hangs_dies_and_returns_holds_nobody_up() -> None:
    if not redis.PROGRAM:
        pytest.skip("Redis is not installed")
    with redis.running() as server:
        line = RedisPyLine(server.url, SCRIPTS)
        ups: list[int] = []
        line.when_up(lambda: ups.append(1))
        line.start()
        await until(lambda: bool(ups))
        server.freeze()
        began = time.monotonic()
        for _ in range(5):
            with pytest.raises(RedisAway):
                await line.ask(SCRIPTS[0], b"")
        assert time.monotonic() - began < 0.3
        server.thaw()
        await until(lambda: line._up)
        server.stop()
        with pytest.raises(RedisAway):
            await line.ask(SCRIPTS[0], b"")
        server.start()
        await until(lambda: len(ups) >= 3)
        await line.close()
