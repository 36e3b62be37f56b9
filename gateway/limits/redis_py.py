"""Redis where our own connection does not speak: TLS, Sentinel, and whatever else redis-py knows a URL for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from gateway.limits.base import PATIENCE_S
from gateway.limits.redis import RedisAway, Script
from gateway.tasks import spawn

if TYPE_CHECKING:
    from redis.asyncio import Redis

_LOOK_EVERY_S = 0.25
_ANSWER_S = 1.0
_MOST_WAITING = 10_000

Waiting = asyncio.Future[bytes] | None


class RedisPyLine:
    """A `ScriptLine` over redis-py. Whatever is asked meanwhile goes together, in its order."""

    def __init__(self, url: str, scripts: Sequence[Script], *, patience_s: float = PATIENCE_S) -> None:
        self._url = url
        self._scripts = scripts
        self._patience_s = patience_s
        self._up = False
        self._on_up: list[Callable[[], None]] = []
        self._unsent: asyncio.Queue[tuple[Script, bytes, Waiting]] = asyncio.Queue(_MOST_WAITING)
        self._keeper: asyncio.Task[None] | None = None

    async def ask(self, script: Script, document: bytes) -> bytes:
        """Return the script's answer. Raises RedisAway."""
        if not self._up or self._unsent.full():
            raise RedisAway("Redis is not connected")
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._unsent.put_nowait((script, document, waiting))
        try:
            async with asyncio.timeout(self._patience_s):
                return await waiting
        except TimeoutError as error:
            self._up = False
            raise RedisAway("Redis does not answer") from error

    def tell(self, script: Script, document: bytes) -> None:
        """Run it, and let nobody wait; nothing happens while Redis is away."""
        if self._up and not self._unsent.full():
            self._unsent.put_nowait((script, document, None))

    def when_up(self, callback: Callable[[], None]) -> None:
        """Call back whenever Redis can be asked again."""
        self._on_up.append(callback)

    def start(self) -> None:
        """Begin to connect, in the background and for ever."""
        self._keeper = spawn(self._keep(), name="redis")

    async def close(self) -> None:
        """Hang up for good."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    async def _keep(self) -> None:
        from redis.exceptions import RedisError  # noqa: PLC0415 - as below

        client = connect(self._url)
        try:
            while True:
                try:
                    async with asyncio.timeout(_ANSWER_S):
                        for script in self._scripts:
                            await client.script_load(script.text)
                    self._up = True
                    for callback in self._on_up:
                        callback()
                    while self._up:
                        await self._send_all(client)
                except (RedisError, OSError, TimeoutError):
                    self._up = False
                    await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            await client.aclose()

    async def _send_all(self, client: Redis) -> None:
        """Send what waits to be sent. Raises RedisError, OSError, TimeoutError."""
        batch = [await self._unsent.get()]
        while not self._unsent.empty():
            batch.append(self._unsent.get_nowait())
        batch = [one for one in batch if one[2] is None or not one[2].done()]  # whom somebody still waits for
        if not batch:
            return
        answers: list[Any] = [RedisAway("Redis does not answer")] * len(batch)
        try:
            async with asyncio.timeout(_ANSWER_S), client.pipeline(transaction=False) as pipe:
                for script, document, _ in batch:
                    pipe.evalsha(script.sha, 1, script.prefix, document)
                answers = await pipe.execute(raise_on_error=False)
        finally:
            for (_, _, waiting), answer in zip(batch, answers, strict=True):
                if waiting is not None and not waiting.done():
                    _tell(waiting, answer)
        for answer in answers:
            if isinstance(answer, Exception):  # another begin may help: it makes the scripts known again
                raise answer


def _tell(waiting: asyncio.Future[bytes], answer: object) -> None:
    if isinstance(answer, bytes):
        waiting.set_result(answer)
    else:
        waiting.set_exception(RedisAway(str(answer)))


def connect(url: str) -> Redis:
    """Return a client for `rediss://...`, or for `redis+sentinel://user:password@host:26379,host:26379/name/0`.

    It never tries again by itself: a dead Redis would cost seconds.
    """
    # Not at the top: most have no Redis, and the others need not load its client.
    from redis.asyncio import Redis  # noqa: PLC0415
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.asyncio.sentinel import Sentinel  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    often: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "socket_connect_timeout": 1}
    parts = urlsplit(url)
    if parts.scheme != "redis+sentinel":
        return Redis.from_url(url, **often)
    letting_in, _, hosts = parts.netloc.rpartition("@")
    user, _, password = letting_in.partition(":")
    name, _, database = parts.path.strip("/").partition("/")
    places = [(host, int(port)) for host, _, port in (one.rpartition(":") for one in hosts.split(","))]
    sentinel = Sentinel(places, **often)  # type: ignore[no-untyped-call]
    master: Redis = sentinel.master_for(
        unquote(name),
        db=int(database or 0),
        username=unquote(user) or None,
        password=unquote(password) or None,
        **often,
    )
    return master
