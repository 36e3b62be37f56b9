"""Puts the jobs of one memory together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol

from memory.capture import Redact
from memory.clock import Clock
from memory.manager import Model
from memory.store.sql_upkeep import SqliteUpkeep
from memory.upkeep.jobs import Contradictions, Decay, Merge, Tools
from memory.upkeep.runner import Rests, Upkeep
from memory.upkeep.summaries import Applying, Summaries


class Stores(Applying, Protocol):
    """What upkeep needs of a memory: an `Engine`."""

    @property
    def fingerprint(self) -> str:
        """Of the embedder."""
        ...

    def expire(self, limit: int) -> int:
        """Delete some memories whose time is up; return how many."""
        ...

    def wake(self) -> None:
        """Have the index follow."""
        ...


def upkeep_of(
    engine: Stores,
    store: SqliteUpkeep,
    model: Model | None,
    *,
    clock: Clock,
    executor: Executor,
    redact: Redact = str,
    busy: Callable[[], bool] = bool,
    rests: Rests | None = None,
) -> Upkeep:
    """Return what looks after these stores, to be run; without a model nothing is told in short."""
    tools = Tools(store, store.reads, clock, engine.fingerprint)
    named = model is not None and bool(model.name)
    return Upkeep(
        store,
        [Merge(tools), Contradictions(tools), Decay(tools)],
        Summaries(tools, engine, model, redact=redact) if model is not None and named else None,
        engine.expire,
        clock=clock,
        executor=executor,
        busy=busy,
        wake=engine.wake,
        rests=rests,
    )
