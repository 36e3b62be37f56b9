"""The hub's store of answers: bounded, sealed where it should be, and without those who were erased."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from gateway.cache.words import GET, PUT, Kept, Wanted
from gateway.master_key import master_key
from gateway.processes.answer_store import AnswerStore
from gateway.processes.forgetters import forget_answers
from gateway.seals import Seals
from gateway.settings import Encryption
from telemetry.upkeep.forgotten import Forgotten, Person
from tests.fakes.keys import SECOND, HandClock

HOUR_US = 3600 * SECOND
Make = Callable[..., AnswerStore]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def make(tmp_path: Path, clock: HandClock) -> AsyncIterator[Make]:
    made: list[AnswerStore] = []

    forgotten = Forgotten(tmp_path / "forgotten.json", tmp_path / "forgotten.key")

    def new(*, max_bytes: int = 1 << 20, sealed: tuple[str, ...] = ()) -> AnswerStore:
        seals = Seals(Encryption(projects=sealed), lambda: master_key(tmp_path, {}))
        path = tmp_path / "cache.sqlite"
        made.append(AnswerStore(path, clock, max_bytes=max_bytes, sealer=seals, forgotten=forgotten.names))
        return made[-1]

    yield new
    for store in made:
        await store.close()


def holds(folder: Path, word: bytes) -> bool:
    """Say whether the word stands in one of the store's files."""
    return any(word in path.read_bytes() for path in folder.glob("cache.sqlite*"))


def wanted(key: bytes = b"k" * 32, user: str = "ada") -> Wanted:
    return Wanted(key=key, project="p", environment="prod", user=user)


def kept(clock: HandClock, body: bytes = b"answer", key: bytes = b"k" * 32, user: str = "ada") -> Kept:
    now = clock.now_us()
    return Kept(
        wanted=wanted(key, user),
        content_type="application/json",
        body=body,
        cost_nano_usd=7,
        made_us=now,
        expires_us=now + HOUR_US,
    )


async def put(store: AnswerStore, one: Kept) -> None:
    assert await store.handlers[PUT](msgspec.to_builtins(one, builtin_types=(bytes,))) is True


async def get(store: AnswerStore, asked: Wanted) -> Kept | None:
    found = await store.handlers[GET](msgspec.to_builtins(asked, builtin_types=(bytes,)))
    assert found is None or isinstance(found, Kept)
    return found


async def test_an_answer_is_given_again_until_its_time_is_over(make: Make, clock: HandClock) -> None:
    store = make()
    assert await get(store, wanted()) is None
    await put(store, kept(clock))
    found = await get(store, wanted(user="bob"))
    assert found is not None
    assert (found.body, found.cost_nano_usd, found.content_type) == (b"answer", 7, "application/json")
    clock.us += 3600 * SECOND
    assert await get(store, wanted()) is None


async def test_the_newest_answers_stay_when_there_is_no_more_room(make: Make, clock: HandClock) -> None:
    store = make(max_bytes=10_000)
    for number in range(20):
        clock.us += 1 * SECOND
        await put(store, kept(clock, b"x" * 1000, key=bytes([number]) * 32))
    there = [number for number in range(20) if await get(store, wanted(bytes([number]) * 32))]
    assert there == list(range(10, 20))


async def test_words_of_a_sealed_project_do_not_lie_in_the_file(
    make: Make, clock: HandClock, tmp_path: Path
) -> None:
    store = make(sealed=("p",))
    await put(store, kept(clock, b"canary in a coal mine"))
    found = await get(store, wanted())
    assert found is not None
    assert found.body == b"canary in a coal mine"
    assert not holds(tmp_path, b"canary")
    (tmp_path / "master-key").unlink()
    assert await get(make(sealed=("p",)), wanted()) is None


async def test_who_is_erased_takes_along_every_answer_they_had_a_part_in(
    make: Make, clock: HandClock, tmp_path: Path
) -> None:
    store = make()
    await put(store, kept(clock, b"of ada", b"a" * 32))
    await put(store, kept(clock, b"of bob, given to ada", b"b" * 32, user="bob"))
    await put(store, kept(clock, b"of bob alone", b"c" * 32, user="bob"))
    await get(store, wanted(b"b" * 32, user="ada"))

    path = tmp_path / "cache.sqlite"
    assert forget_answers(path, Person(project="q", environment="prod", user="ada")) == 0
    assert forget_answers(path, Person(project="p", environment="prod", user="ada")) == 2

    assert await get(store, wanted(b"a" * 32)) is None
    assert await get(store, wanted(b"b" * 32)) is None
    assert await get(store, wanted(b"c" * 32, user="bob")) is not None
    assert not holds(tmp_path, b"ada")
    assert forget_answers(tmp_path / "none", Person(project="p", environment="prod", user="ada")) == 0


async def test_of_who_was_erased_no_answer_is_kept_until_taken_in_again(
    make: Make, clock: HandClock, tmp_path: Path
) -> None:
    store = make()
    erased = Forgotten(tmp_path / "forgotten.json", tmp_path / "forgotten.key")
    ada = Person(project="p", environment="prod", user="ada")
    erased.add(ada, 1)

    assert await store.handlers[PUT](msgspec.to_builtins(kept(clock, b"answer-1"))) is False
    assert not holds(tmp_path, b"answer-1")
    assert await store.handlers[PUT](msgspec.to_builtins(kept(clock, user="bob"))) is True
    await store.handlers[GET](msgspec.to_builtins(wanted()))
    assert not holds(tmp_path, b"ada")

    erased.remove(ada)
    assert await store.handlers[PUT](msgspec.to_builtins(kept(clock))) is True
