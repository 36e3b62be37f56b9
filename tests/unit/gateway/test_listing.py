"""Model lists are asked for, kept and announced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec

from gateway.errors import Unreachable
from gateway.listing import ListingSource, ModelLists, Models
from gateway.providers.base import Headers, Origin, Outgoing
from gateway.settings import Timeouts
from gateway.tasks import spawn


class Whole:
    """An answer that has arrived."""

    reused = False
    connected_ns = 0
    first_byte_ns = 0
    whole = None
    on_part: Callable[[bytes], bool] | None = None

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.headers: Headers = []
        self._body = body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def read(self, limit: int = 1024) -> bytes:
        return self._body[:limit]

    def close(self) -> None:
        pass


class Answering:
    """A transport: host -> status and body; None is nobody there."""

    def __init__(self) -> None:
        self.hosts: dict[str, tuple[int, bytes] | None] = {}
        self.asked: list[str] = []

    async def open(self, outgoing: Outgoing, timeouts: Timeouts, *, stream: bool) -> Whole:
        self.asked.append(outgoing.origin.host)
        await asyncio.sleep(0)
        answer = self.hosts.get(outgoing.origin.host)
        if answer is None:
            raise Unreachable("nobody there")
        return Whole(*answer)


def _source(name: str) -> ListingSource:
    return ListingSource(name, Outgoing("GET", Origin("https", name, 443), "/v1/models", [], b""))


def _listed(*ids: str) -> tuple[int, bytes]:
    return 200, msgspec.json.encode({"object": "list", "data": [{"id": one, "owned_by": "x"} for one in ids]})


async def test_every_source_is_asked_and_the_whole_announced_once() -> None:
    transport, heard = Answering(), list[Models]()
    transport.hosts = {"openai": _listed("gpt-5", "gpt-4o"), "groq": _listed("llama")}
    lists = ModelLists([_source("openai"), _source("groq")], transport, heard.append)
    await lists.refresh()
    assert heard == [{"openai": ["gpt-5", "gpt-4o"], "groq": ["llama"]}]
    await lists.refresh()
    assert len(heard) == 1
    assert len(transport.asked) == 4


async def test_a_source_that_fails_keeps_its_old_list_and_the_others_move_on() -> None:
    transport, heard = Answering(), list[Models]()
    transport.hosts = {"a": _listed("a1"), "b": _listed("b1")}
    lists = ModelLists([_source("a"), _source("b")], transport, heard.append)
    await lists.refresh()
    failures: list[tuple[int, bytes] | None] = [
        None,
        (500, b"oops"),
        (401, _listed("x")[1]),
        (200, b"<html>"),
        (200, b'{"data": [{"name": "no id"}]}'),
        (200, b'{"data":[],' + b" " * 5_000_000 + b'"x":1}'),
    ]
    for number, failure in enumerate(failures):
        transport.hosts = {"a": failure, "b": _listed(f"b{number}")}
        await lists.refresh()
        assert lists.models == {"a": ["a1"], "b": [f"b{number}"]}


async def test_geminis_list_has_a_shape_of_its_own() -> None:
    transport, heard = Answering(), list[Models]()
    body = b'{"models": [{"name": "models/gemini-2.5-flash", "version": "001"}], "nextPageToken": "x"}'
    transport.hosts = {"gemini": (200, body), "odd": (200, b"{}")}
    await ModelLists([_source("gemini"), _source("odd")], transport, heard.append).refresh()
    assert heard == [{"gemini": ["gemini-2.5-flash"]}]


async def test_it_asks_at_once_and_then_again() -> None:
    transport, heard = Answering(), asyncio.Queue[Models]()
    transport.hosts = {"a": _listed("a1")}
    lists = ModelLists([_source("a")], transport, heard.put_nowait)
    running = spawn(lists.run(every_s=0.001), name="lists")
    async with asyncio.timeout(5):
        assert await heard.get() == {"a": ["a1"]}
        transport.hosts = {"a": _listed("a2")}
        assert await heard.get() == {"a": ["a2"]}
    running.cancel()
