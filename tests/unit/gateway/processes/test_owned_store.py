from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.link import CallFailed
from gateway.owned_ids import CLAIM, DROP, FIND, PUT, Owned, Question, Thing
from gateway.processes.owned_store import OwnedStore


def thing(name: str, provider: str = "openai") -> Thing:
    return Thing(provider=provider, id=name)


def owned(name: str, project: str = "p", **more: Any) -> Owned:
    return Owned(thing=thing(name), project=project, environment="prod", **more)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[OwnedStore]:
    made = OwnedStore(tmp_path / "data" / "owned.sqlite")
    yield made
    await made.close()


async def ask(store: OwnedStore, method: str, params: object) -> Any:
    return await store.handlers[method](msgspec.to_builtins(params))


async def find(store: OwnedStore, *ids: str, provider: str = "openai") -> list[Owned]:
    return list(await ask(store, FIND, Question(provider=provider, ids=list(ids))))


async def test_what_was_written_is_found_at_its_provider(store: OwnedStore) -> None:
    rows = [owned("a", key="k", call_id="c"), owned("b", batch="a", call_id="c")]
    assert await ask(store, PUT, rows)

    assert sorted(await find(store, "a", "b", "x"), key=lambda one: one.thing.id) == rows
    assert await find(store, "a", provider="other") == []


async def test_the_first_owner_stays(store: OwnedStore) -> None:
    await ask(store, PUT, [owned("a", "first")])
    await ask(store, PUT, [owned("a", "second")])

    assert (await find(store, "a"))[0].project == "first"


async def test_a_batch_is_claimed_once_and_its_output_never(store: OwnedStore) -> None:
    await ask(store, PUT, [owned("b", call_id="c"), owned("f", call_id="c", batch="b")])

    assert [await ask(store, CLAIM, thing("b")) for _ in range(2)] == [True, False]
    assert not await ask(store, CLAIM, thing("f"))


async def test_what_was_dropped_is_gone(store: OwnedStore) -> None:
    await ask(store, PUT, [owned("a")])

    assert await ask(store, DROP, thing("a"))
    assert await find(store, "a") == []
    assert not await ask(store, DROP, thing("a"))


async def test_it_is_there_after_a_restart(tmp_path: Path, store: OwnedStore) -> None:
    await ask(store, PUT, [owned("a")])
    again = OwnedStore(tmp_path / "data" / "owned.sqlite")

    assert len(await find(again, "a")) == 1
    await again.close()


@pytest.mark.parametrize("method", [PUT, FIND, CLAIM, DROP])
async def test_nonsense_is_refused(store: OwnedStore, method: str) -> None:
    with pytest.raises(CallFailed, match="bad_params"):
        await ask(store, method, {"provider": 7})
