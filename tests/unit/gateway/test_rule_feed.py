"""How rules come to a worker: from the file, with the link, and at each change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from gateway.link import LinkClient
from gateway.link_server import LinkServer
from gateway.processes.doors import bind_unix
from gateway.rule_feed import RuleFeed, rule_file
from tests.fakes.waiting import until

Rules = tuple[str, ...]
Worker = tuple[RuleFeed[Rules], list[Rules], LinkClient]
encode = msgspec.msgpack.encode


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[LinkServer]:
    made = LinkServer({})
    await made.listen(bind_unix(tmp_path / "link.sock"))
    yield made
    await made.close()


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Callable[[], Worker]]:
    links: list[LinkClient] = []

    def make() -> Worker:
        link = LinkClient(str(tmp_path / "link.sock"))
        links.append(link)
        taken: list[Rules] = []
        return RuleFeed(link, "rules", msgspec.msgpack.Decoder(Rules), taken.append, tmp_path), taken, link

    yield make
    for link in links:
        await link.close()


async def test_a_worker_hears_what_is_known_when_it_connects_and_each_change(
    hub: LinkServer, worker: Callable[[], Worker]
) -> None:
    hub.publish("rules", encode(("a",)))
    feed, taken, link = worker()
    link.start()
    await feed.wait_heard(10)
    assert taken == [("a",)]

    hub.publish("rules", encode(("b", "c")))
    await until(lambda: len(taken) == 2)
    assert taken[1] == ("b", "c")


async def test_without_a_hub_a_worker_begins_with_what_the_last_one_said(
    tmp_path: Path, worker: Callable[[], Worker]
) -> None:
    feed, taken, _ = worker()
    feed.read_file()
    await feed.wait_heard(0)
    assert taken == []

    rule_file(tmp_path, "rules").write_bytes(encode(("a",)))
    feed.read_file()
    await feed.wait_heard(10)
    assert taken == [("a",)]


async def test_rules_that_make_no_sense_leave_those_that_are_known(
    tmp_path: Path, worker: Callable[[], Worker], caplog: pytest.LogCaptureFixture
) -> None:
    rule_file(tmp_path, "rules").write_bytes(encode({"a": 1}))
    feed, taken, _ = worker()
    feed.read_file()

    assert taken == []
    assert [record.message for record in caplog.records] == ["rules_refused"]
