"""The pooled HTTP client through which every call to a provider goes."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial

from gateway.clock import Clock
from gateway.dial import Dialer, Way
from gateway.errors import Unreachable
from gateway.http1.connection import Connection
from gateway.http1.reply import Reply, Stale, timed_out
from gateway.http1.request import head
from gateway.providers.base import Origin, Outgoing
from gateway.settings import Network, Timeouts

PROXY_WANTS_LOGIN = 407


class Upstream:
    """A `gateway.transport.Transport` over the network; belongs to one event loop.

    `max_idle` and `max_connections` count per origin; `idle_s` is how long an unused connection is kept.
    """

    def __init__(
        self,
        clock: Clock,
        network: Network,
        *,
        max_idle: int = 128,
        idle_s: float = 30,
        max_connections: int | None = None,
    ) -> None:
        self.clock = clock
        self.dialer = Dialer(network)
        self.max_idle = max_idle
        self.idle_s = idle_s
        self.max_connections = max_connections
        self.opened = 0
        """Connections made."""
        self.reused = 0
        """Requests that found a connection waiting."""
        self.retried = 0
        """Requests sent again because the waiting connection turned out dead."""
        self.closed = False
        self._pools: dict[Origin, Pool] = {}
        self._live: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None

    @property
    def open_now(self) -> int:
        """Connections that exist."""
        return len(self._live)

    def metrics(self) -> dict[str, int]:
        """Return the counters, for `/metrics`."""
        return {
            "connections_opened": self.opened,
            "connections_reused": self.reused,
            "connections_open": self.open_now,
            "stale_retries": self.retried,
        }

    async def open(self, outgoing: Outgoing, timeouts: Timeouts, *, stream: bool) -> Reply:
        """Send the request and wait for the answer's headers; raise UpstreamFailed."""
        pool = self._pools.get(outgoing.origin) or self._pool(outgoing.origin)
        way, now = pool.way, pool.loop.time()
        start = head(outgoing, way.host, way.prefix, way.proxy_header)
        total_at = now + timeouts.total_s
        connection = pool.take(self.idle_s, now)
        if connection is None:
            connection = await self._connect(pool, timeouts, total_at, now + timeouts.connect_s)
        if connection.carried:
            self.reused += 1
        while True:
            reply = connection.ask(outgoing, start, timeouts, total_at, stream=stream)
            try:
                if not (reply.asked or reply.over):
                    await connection.send(outgoing, start, reply)
                while not reply.status:
                    await reply.news()
                break
            except Stale:
                reply.close()
                if connection.carried == 1 or outgoing.parts is not None or self.closed:
                    raise
                self.retried += 1
                connect_at = pool.loop.time() + timeouts.connect_s
                connection = await self._connect(pool, timeouts, total_at, connect_at, fresh=True)
            except BaseException:
                reply.close()
                raise
        if reply.status == PROXY_WANTS_LOGIN and way.prefix and way.proxy is not None:
            reply.close()
            raise way.proxy.failed("wants a user and a password (407)")
        return reply

    async def close(self) -> None:
        """Close every connection; answers under way end with Unreachable."""
        self.closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for pool in self._pools.values():
            pool.wake_all()
        for connection in list(self._live):
            connection.fail(_stopping())
        if self._live:
            self._empty = asyncio.get_running_loop().create_future()
            await self._empty

    def _pool(self, origin: Origin) -> Pool:
        pool = self._pools[origin] = Pool(self.dialer.way(origin))
        return pool

    async def _connect(
        self, pool: Pool, timeouts: Timeouts, total_at: float, connect_at: float, *, fresh: bool = False
    ) -> Connection:
        """Return a connection nobody uses, a new one unless one came free; raise UpstreamFailed.

        `fresh` asks for a new one whatever the cap says.
        """
        try:
            async with asyncio.timeout_at(min(connect_at, total_at)):
                if not fresh and (waited := await self._room(pool)) is not None:
                    return waited
                return await self._dial(pool)
        except TimeoutError as error:
            if total_at < connect_at:
                late = timed_out("total", timeouts.total_s, pool.way.peer)
                late.retryable = True
            else:
                late = timed_out("connect", timeouts.connect_s, pool.way.peer)
            raise late from error

    def _take_back(self, pool: Pool, connection: Connection) -> None:
        """Keep a connection whose answer is done for the next request."""
        if self.closed or len(pool.idle) >= self.max_idle:
            connection.abort()
            return
        connection.idle_since = connection.loop.time()
        pool.idle.append(connection)
        if pool.waiting:
            pool.wake_one()
        if self._sweep is None:
            self._sweep = connection.loop.call_later(self.idle_s, self._expire)

    async def _room(self, pool: Pool) -> Connection | None:
        """Wait while the origin has all the connections it may have; return one if one was given back."""
        while self.max_connections is not None and pool.open >= self.max_connections:
            await pool.wait()
            if self.closed:
                break
            if (connection := pool.take(self.idle_s, pool.loop.time())) is not None:
                return connection
        return None

    async def _dial(self, pool: Pool) -> Connection:
        self._check_open()
        pool.open += 1
        try:
            connection = await self.dialer.connect(pool.way, lambda: Connection(pool.way.peer, self.clock))
        except BaseException:
            pool.shrink()
            raise
        self.opened += 1
        self._live.add(connection)

        connection.on_free = partial(self._take_back, pool)
        connection.on_lost = partial(self._forget, pool)
        if connection.lost:
            self._forget(pool, connection)
        if self.closed:
            connection.abort()
        self._check_open()
        return connection

    def _check_open(self) -> None:
        if self.closed:
            raise _stopping()

    def _forget(self, pool: Pool, connection: Connection) -> None:
        self._live.discard(connection)
        if connection in pool.idle:
            pool.idle.remove(connection)
        pool.shrink()
        if self._empty is not None and not self._live and not self._empty.done():
            self._empty.set_result(None)

    def _expire(self) -> None:
        """Close what nobody has used for `idle_s`; look again as long as anything is left."""
        self._sweep = None
        left = 0
        for pool in self._pools.values():
            left += pool.expire(self.idle_s)
        if left:
            self._sweep = asyncio.get_running_loop().call_later(self.idle_s, self._expire)


class Pool:
    """The connections to one origin: the idle ones newest last, and a count of all."""

    __slots__ = ("idle", "loop", "open", "waiting", "way")

    def __init__(self, way: Way) -> None:
        self.way = way
        self.loop = asyncio.get_running_loop()
        self.idle: list[Connection] = []
        self.open = 0
        self.waiting: deque[asyncio.Future[None]] = deque()

    def take(self, idle_s: float, now: float) -> Connection | None:
        """Return the connection used last, if one is alive and young enough; `now` is the loop's time."""
        while self.idle:
            connection = self.idle.pop()
            if connection.usable:
                if now - connection.idle_since <= idle_s:
                    return connection
                connection.abort()
        return None

    def expire(self, idle_s: float) -> int:
        """Close the connections idle for too long; return how many are left."""
        for connection in list(self.idle):
            if connection.loop.time() - connection.idle_since >= idle_s:
                connection.abort()
                self.idle.remove(connection)
        return len(self.idle)

    async def wait(self) -> None:
        """Wait for a turn."""
        turn = self.loop.create_future()
        self.waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.wake_one()
            else:
                self.waiting.remove(turn)
            raise

    def wake_one(self) -> None:
        """Let the one who has waited longest look again."""
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def wake_all(self) -> None:
        """Let everybody look again."""
        while self.waiting:
            self.wake_one()

    def shrink(self) -> None:
        """One connection fewer: somebody may open another."""
        self.open -= 1
        self.wake_one()


def _stopping() -> Unreachable:
    return Unreachable("the gateway is stopping", retryable=False)
