from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.link import CallFailed
from gateway.processes.response_store import KEEP_S, SWEEP, ResponseStore
from gateway.response_ids import CLAIM, DROP, GET, PUT, Kept, Name

NAME = Name(project="p", environment="prod", id="resp_1")
KEPT = Kept(
    name=NAME,
    deployment="openai/gpt-5",
    key="k",
    user="ada",
    thread="t",
    uncounted=True,
    shown=("m-1", "m-2"),
)


class SetClock:
    def __init__(self) -> None:
        self.s = 1_000_000

    def now_us(self) -> int:
        return self.s * 1_000_000

    def monotonic_ns(self) -> int:
        return self.s * 1_000_000_000


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def store(tmp_path: Path, clock: SetClock) -> AsyncIterator[ResponseStore]:
    made = ResponseStore(tmp_path / "data" / "responses.sqlite", clock)
    yield made
    await made.close()


async def ask(store: ResponseStore, method: str, params: object) -> object:
    """Ask as over the link: what arrives are plain maps."""
    return await store.handlers[method](msgspec.to_builtins(params))


def rows(tmp_path: Path) -> int:
    tables = ("responses", "shown_memories")
    with sqlite3.connect(tmp_path / "data" / "responses.sqlite") as table:
        counts = [int(table.execute(f"select count(*) from {name}").fetchone()[0]) for name in tables]
    assert counts[0] == counts[1]
    return counts[0]


async def test_what_was_written_is_found(store: ResponseStore) -> None:
    assert await ask(store, PUT, KEPT) is True

    assert await ask(store, GET, NAME) == KEPT


@pytest.mark.parametrize("other", [{"project": "q"}, {"environment": "test"}, {"id": "resp_2"}])
async def test_nobody_else_finds_it(store: ResponseStore, other: dict[str, str]) -> None:
    await ask(store, PUT, KEPT)

    assert await ask(store, GET, msgspec.structs.replace(NAME, **other)) is None


async def test_the_same_id_may_belong_to_several(store: ResponseStore) -> None:
    theirs = msgspec.structs.replace(
        KEPT, name=msgspec.structs.replace(NAME, project="q"), deployment="other/m"
    )
    await ask(store, PUT, KEPT)
    await ask(store, PUT, theirs)

    assert await ask(store, GET, NAME) == KEPT
    assert await ask(store, GET, theirs.name) == theirs


async def test_usage_is_claimed_once(store: ResponseStore) -> None:
    await ask(store, PUT, KEPT)

    assert [await ask(store, CLAIM, NAME) for _ in range(3)] == [True, False, False]
    assert await ask(store, GET, NAME) == msgspec.structs.replace(KEPT, uncounted=False)


async def test_what_was_dropped_is_gone(store: ResponseStore) -> None:
    await ask(store, PUT, KEPT)

    assert await ask(store, DROP, NAME) is True
    assert await ask(store, DROP, NAME) is False
    assert await ask(store, GET, NAME) is None


async def test_it_is_there_after_a_restart(tmp_path: Path, store: ResponseStore, clock: SetClock) -> None:
    await ask(store, PUT, KEPT)
    again = ResponseStore(tmp_path / "data" / "responses.sqlite", clock)

    assert await ask(again, GET, NAME) == KEPT
    await again.close()


async def test_it_expires_and_is_swept_some_rows_at_a_time(
    tmp_path: Path, store: ResponseStore, clock: SetClock
) -> None:
    names = [msgspec.structs.replace(NAME, id=f"resp_old_{i}") for i in range(SWEEP + 3)]
    for name in names:
        await ask(store, PUT, msgspec.structs.replace(KEPT, name=name))
    clock.s += KEEP_S
    assert await ask(store, GET, names[0]) is None

    await ask(store, PUT, KEPT)
    assert rows(tmp_path) == 4
    await ask(store, PUT, KEPT)
    assert rows(tmp_path) == 1


async def test_a_file_that_cannot_be_used_fails_the_call_and_is_tried_again(
    tmp_path: Path, store: ResponseStore
) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(CallFailed, match="responses_away"):
        await ask(store, PUT, KEPT)

    (tmp_path / "data").unlink()
    assert await ask(store, PUT, KEPT) is True


async def test_nonsense_is_refused(store: ResponseStore) -> None:
    with pytest.raises(CallFailed, match="bad_params"):
        await ask(store, GET, {"id": 7})
