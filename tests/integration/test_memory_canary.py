"""Nothing of one tenant reaches another, whatever is done through whichever door; and this watch is awake."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from qdrant_edge import Filter

from memory.scope import Scope
from memory.store import connection, edge
from tests.fakes.hostile import FILTERS, IDS
from tests.fakes.tenants import Watched
from tests.fakes.watch import TENANTS, Crossing

OPERATIONS = 10_000
FAST = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
"""Nothing here is about disks."""
SEED = 20261122


@asynccontextmanager
async def watched(seed: int) -> AsyncIterator[Watched]:
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        async with Watched(Path(folder), seed) as world:
            yield world


async def test_nothing_of_one_tenant_reaches_another() -> None:
    async with watched(SEED) as world:
        await world.run(OPERATIONS // 20)
        assert world.watch.seen > OPERATIONS // 40, "nobody is told even what is their own"


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_of_one_tenant_reaches_another_for_long(seed: int) -> None:
    async with watched(seed) as world:
        await world.run(OPERATIONS)
        assert world.watch.seen > OPERATIONS


# --- the watch sees it when a predicate is gone ------------------------------------------------------------------


def without(pattern: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Return what takes a condition out of the statement that decides what is visible."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        mutant, count = re.subn(pattern, "1 = 1", connection._VISIBLE)
        assert count == 1
        monkeypatch.setattr(connection, "_VISIBLE", mutant)

    return patch


def without_index_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "_within", lambda scope: Filter(must=[]))


def without_project_in_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Scope.owner

    def blind(scope: Scope) -> str:
        return whole(
            Scope(project="p", environment="prod", user=scope.user, agent=scope.agent, run=scope.run)
        )

    monkeypatch.setattr(Scope, "owner", blind)


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "tenant": without(r"project = .*(?=\) $)"),
    "project": without(r"project = :scope_project"),
    "environment": without(r"environment = :scope_environment"),
    "user": without(r'"?user"? = :scope_user'),
    "agent": without(r"\([^()]*(?:\([^()]*\))?[^()]*agent = :scope_agent\)"),
    "run": without(r"\([^()]*(?:\([^()]*\))?[^()]*run = :scope_run\)"),
    "index": without_index_filter,
    "index project": without_project_in_the_index,
}


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_without_a_predicate_the_watch_turns_red(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[mutant](monkeypatch)
    async with watched(SEED) as world:
        with pytest.raises(Crossing):
            await world.run(OPERATIONS // 20)


# --- ids and filters that are to reach further ------------------------------------------------------------------


async def test_no_id_and_no_filter_reaches_beyond_its_scope() -> None:
    async with watched(SEED) as world:
        await world.run(60)
        before = world.watch.state()
        for ids in ({name: one} for one in IDS for name in ("user_id", "agent_id", "run_id")):
            statuses = await world.as_nobody(TENANTS[0], ids)
            assert set(statuses) <= {200, 400, 404}, ids
        for filters in FILTERS:
            assert set(await world.with_filters(TENANTS[0], filters)) <= {200, 400}, filters
        assert world.watch.state() == before, "somebody's memories were changed in nobody's name"


@pytest.mark.parametrize("one", ["*", "", " ", "alice ", "\u200balice", "alice\n", "a" * 256])
async def test_an_id_that_could_be_taken_for_another_is_refused(one: str) -> None:
    async with watched(SEED) as world:
        assert set(await world.as_nobody(TENANTS[0], {"user_id": one})) == {400}
