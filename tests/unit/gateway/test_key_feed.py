"""How a worker's keys follow a hub that pushes, is asked, goes away and comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.key_feed import KeyFeed
from gateway.key_pages import SINCE, TOPIC, KeyRow, Page, PageFile, Position, Sealer
from gateway.keyring import Keyring
from gateway.link import CallFailed, LinkClient
from gateway.link_server import LinkServer
from gateway.processes.doors import bind_unix
from tests.fakes.keys import SEAL, HandClock, digest, page, row
from tests.fakes.waiting import until


class Hub:
    """Answers from a list of changes, one revision each, two to a page; `away` makes it fail."""

    def __init__(self) -> None:
        self.changes: list[KeyRow] | None = []
        self.asked: list[Position] = []
        self.away = False
        self.server = LinkServer({SINCE: self.since})

    async def since(self, params: object) -> bytes | None:
        known = msgspec.convert(params, Position)
        self.asked.append(known)
        if self.away:
            raise CallFailed("control_away", "Postgres: nobody is there")
        if self.changes is None:
            return None
        after = known.revision if known.epoch == "e" else 0
        rows = self.changes[after : after + 2]
        return self.sealed(page(after, after + len(rows), *rows, more=after + len(rows) < len(self.changes)))

    def push(self, one: Page) -> None:
        self.server.publish(TOPIC, self.sealed(one))

    def sealed(self, one: Page) -> bytes:
        return Sealer(SEAL).seal(one)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    made = Hub()
    await made.server.listen(bind_unix(tmp_path / "link.sock"))
    yield made
    await made.server.close()


@pytest.fixture
async def ring(tmp_path: Path, hub: Hub) -> AsyncIterator[Keyring]:
    keyring = Keyring({}, HandClock(), certain=False)
    link = LinkClient(str(tmp_path / "link.sock"))
    feed = KeyFeed(link, keyring, lambda: SEAL, tmp_path / "keys.sealed")
    feed.read_file()
    link.start()
    await feed.wait_certain(0 if hub.away else 10)
    yield keyring
    await link.close()


def knows(ring: Keyring, *secrets: str) -> bool:
    return all(ring.find(digest(secret)) is not None for secret in secrets)


@pytest.fixture
def three(hub: Hub) -> Hub:
    hub.changes = [row("k1", "a"), row("k2", "b"), row("k3", "c")]
    return hub


async def test_it_asks_until_it_knows_everything(three: Hub, ring: Keyring) -> None:
    assert knows(ring, "a", "b", "c")
    assert [known.revision for known in three.asked] == [0, 2]


async def test_what_is_pushed_counts_without_a_question(three: Hub, ring: Keyring) -> None:
    three.push(page(3, 4, row("k1", "a", revoked=True)))
    await until(lambda: not knows(ring, "a"))
    assert len(three.asked) == 2


async def test_a_gap_is_asked_for(three: Hub, ring: Keyring) -> None:
    assert three.changes is not None
    three.changes += [row("k4", "d"), row("k5", "e")]
    three.push(page(4, 5, row("k5", "e")))
    await until(lambda: knows(ring, "d", "e"))


async def test_a_page_of_nobody_knows_who_changes_nothing(three: Hub, ring: Keyring) -> None:
    three.server.publish(TOPIC, Sealer(b"x" * 32).seal(page(3, 4, row("k1", "a", revoked=True))))
    three.push(page(3, 4, row("k9", "z")))
    await until(lambda: knows(ring, "z"))
    assert knows(ring, "a")


@pytest.fixture
def keyless(hub: Hub) -> Hub:
    hub.changes = None
    return hub


async def test_a_hub_that_never_issued_a_key_says_so(keyless: Hub, ring: Keyring) -> None:
    assert ring.certain
    assert not ring.issued
    assert len(keyless.asked) == 1


@pytest.fixture
def left(hub: Hub, tmp_path: Path) -> Hub:
    """A hub that left a file, and whose database is away."""
    PageFile(tmp_path / "keys.sealed").rewrite([hub.sealed(page(0, 1, row("k1", "a")))])
    hub.away = True
    return hub


async def test_a_worker_begins_with_the_file_and_goes_on_once_the_hub_can_answer(
    left: Hub, ring: Keyring
) -> None:
    assert knows(ring, "a")
    await until(lambda: bool(left.asked))
    left.away = False
    left.changes = [row("k1", "a"), row("k1", "a", revoked=True)]
    left.push(page(2, 2))
    await until(lambda: not knows(ring, "a"))
