"""How workers hear of keys: what is pushed, what is in the file, what is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.control.publisher import Publisher
from gateway.control.records import Act, Draft, Key, Rules, Secret
from gateway.control.records_thread import RecordsThread
from gateway.key_pages import PAGE_ROWS, PageFile, Position, Sealer, read_file
from gateway.keyring import Keyring
from gateway.link import CallFailed
from tests.fakes.keys import SEAL, SECOND, HandClock, digest

ME = Act("me", 1)


class Hub:
    """A hub's end, and a worker's keys that follow what it pushes."""

    def __init__(self, folder: Path, clock: HandClock) -> None:
        self.clock = clock
        self.file = folder / "keys.sealed"
        self.records = RecordsThread(folder / "control.sqlite", "", clock)
        self.pushed: list[bytes] = []
        self.asked = 0
        self.publisher = self.another(PageFile(self.file))

    def another(self, file: PageFile) -> Publisher:
        def push(_: str, page: object) -> None:
            assert isinstance(page, bytes)
            self.pushed.append(page)

        return Publisher(self.records, file, lambda: SEAL, push, self.clock)

    async def make(self, number: int) -> Key:
        secret = Secret(digest(f"tg-{number}").hex(), "tg-", 1)
        rules = Rules()
        draft = Draft(id=f"key_{number:05}", name="n", owner="", project="p", environment="e", rules=rules)
        return await self.records.do(lambda store: store.create(draft, secret, ME))

    async def asking(self) -> Keyring:
        """Return the keys of a worker that asked until it knew all, and listens from now on."""
        ring = Keyring({}, self.clock, certain=False)
        while not ring.certain:
            sealed = await self.publisher.since(msgspec.to_builtins(ring.position))
            assert sealed is not None
            assert ring.take(Sealer(SEAL).unseal(sealed))
            self.asked += 1
        self.pushed.clear()
        return ring

    def hear(self, ring: Keyring) -> Keyring:
        """Let the worker hear what was pushed since."""
        for sealed in self.pushed:
            assert ring.take(Sealer(SEAL).unseal(sealed))
        self.pushed.clear()
        return ring

    def starting(self) -> Keyring:
        """Return the keys of a worker that reads the file."""
        ring = Keyring({}, self.clock, certain=False)
        for page in read_file(self.file, Sealer(SEAL)):
            assert ring.take(page)
        return ring


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    made = Hub(tmp_path, HandClock())
    yield made
    await made.records.close()


def knows(ring: Keyring, *numbers: int) -> bool:
    return all(ring.find(digest(f"tg-{number}")) is not None for number in numbers)


async def test_without_records_nothing_is_made_or_pushed(hub: Hub) -> None:
    await hub.publisher.look()

    assert hub.pushed == []
    assert list(hub.file.parent.iterdir()) == []
    assert await hub.publisher.since(Position()) is None


async def test_a_change_is_pushed_and_in_the_file(hub: Hub) -> None:
    key = await hub.make(1)
    await hub.publisher.look()
    worker = await hub.asking()
    assert knows(worker, 1)
    assert knows(hub.starting(), 1)

    await hub.make(2)
    await hub.records.do(lambda store: store.revoke(key.id, ME))
    await hub.publisher.look()
    for ring in (hub.hear(worker), hub.starting()):
        assert knows(ring, 2)
        assert not knows(ring, 1)


async def test_a_worker_that_asks_gets_page_after_page(hub: Hub) -> None:
    for number in range(PAGE_ROWS + 5):
        await hub.make(number)
    worker = await hub.asking()

    assert hub.asked == 2
    assert knows(worker, *range(PAGE_ROWS + 5))
    await hub.publisher.look()
    assert knows(hub.starting(), *range(PAGE_ROWS + 5))


async def test_nothing_is_said_twice_but_now_and_then_that_it_is_still_so(hub: Hub) -> None:
    await hub.make(1)
    await hub.publisher.look()
    worker = await hub.asking()
    await hub.publisher.look()
    assert hub.pushed == []

    hub.clock.us += 31 * SECOND
    assert worker.age_s == hub.starting().age_s == 31
    await hub.publisher.look()
    assert len(hub.pushed) == 1
    assert hub.hear(worker).age_s == hub.starting().age_s == 0


async def test_a_hub_that_starts_writes_the_file_anew_and_a_cut_one_heals(hub: Hub) -> None:
    for number in range(3):
        await hub.make(number)
        await hub.publisher.look()
    hub.file.write_bytes(hub.file.read_bytes()[:-5])
    later = hub.another(PageFile(hub.file))
    await later.look()
    await hub.make(3)
    await later.look()

    assert knows(hub.starting(), 0, 1, 2, 3)


async def test_a_page_that_does_not_get_into_the_file_is_pushed_and_written_later(hub: Hub) -> None:
    await hub.make(1)
    await hub.publisher.look()
    worker = await hub.asking()
    away = hub.file.with_suffix(".away")
    hub.file.rename(away)
    hub.file.mkdir()  # as a disk that takes nothing
    (hub.file / "x").touch()
    key = await hub.make(2)
    await hub.publisher.look()
    assert knows(hub.hear(worker), 1, 2)

    (hub.file / "x").unlink()
    hub.file.rmdir()
    await hub.records.do(lambda store: store.revoke(key.id, ME))
    await hub.publisher.look()
    assert knows(hub.starting(), 1)
    assert not knows(hub.starting(), 2)


async def test_records_of_another_database_replace_what_was_known(hub: Hub, tmp_path: Path) -> None:
    await hub.make(1)
    await hub.publisher.look()
    (tmp_path / "other").mkdir()
    other = Hub(tmp_path / "other", hub.clock)
    other.publisher = other.another(PageFile(hub.file))
    await other.make(2)
    await other.publisher.look()

    assert knows(hub.starting(), 2)
    assert not knows(hub.starting(), 1)
    await other.records.close()


async def test_records_that_went_away_take_the_file_with_them(hub: Hub, tmp_path: Path) -> None:
    await hub.make(1)
    await hub.publisher.look()
    (tmp_path / "other").mkdir()
    other = Hub(tmp_path / "other", hub.clock)
    other.publisher = other.another(PageFile(hub.file))
    await other.publisher.look()

    assert not hub.file.exists()


async def test_a_question_that_makes_no_sense_is_refused(hub: Hub) -> None:
    await hub.make(1)
    with pytest.raises(CallFailed):
        await hub.publisher.since({"revision": "x"})
