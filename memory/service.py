"""Memory for asynchronous callers, with Mem0's names and shapes.

Everything that blocks runs in a few threads: SQLite, index and ONNX release the interpreter while
they work, so the loop stays quick.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from memory.capture import Redact
from memory.clock import SystemClock
from memory.embed import Embedder
from memory.engine import Engine
from memory.errors import BadMemory, NotAllowed
from memory.explain import explain, uses
from memory.extraction import Extraction
from memory.extractor import Extractor
from memory.filters import EVERYTHING, Condition, read
from memory.given import Messages, given, listed, moment_of
from memory.jobs import Worked, job_row
from memory.local import FindFormer, former_here
from memory.manager import Manager, Model
from memory.opening import FindIndexes, open_engine
from memory.records import Captured, Moment, Recall, Said
from memory.rows import relation_row, row_of, version_row
from memory.scope import Scope
from memory.sealed import UNSEALED, Sealer
from memory.store.sql_jobs import SqliteJobs
from memory.store.sqlite import SqlLedger
from memory.upkeep.opening import upkeep_of
from memory.upkeep.progress import progress
from memory.upkeep.runner import Upkeep

T = TypeVar("T")

DEFAULT_TOP_K = 20
MAX_TOP_K = 1000
DEFAULT_THRESHOLD = 0.1
DEFAULT_EDGES = 200
DEFAULT_BUDGET = 900
"""Tokens of a recalled block."""
_RECALLS = 2
_OTHERS = 3


class Threads:
    """Where the blocking work is done. Recalls have threads of their own: they wait for no import or erasure."""

    def __init__(self) -> None:
        self.recalls = ThreadPoolExecutor(_RECALLS, thread_name_prefix="memory recall")
        self.others = ThreadPoolExecutor(_OTHERS, thread_name_prefix="memory")

    def close(self, *, wait: bool = True) -> None:
        """Take no more work; return once that in hand is done, if asked to wait."""
        self.recalls.shutdown(wait)
        self.others.shutdown(wait)


class AsyncMemory:
    """Memories of one project and environment; `within` gives another one over the same stores.

    Ids of user, agent and run are keywords of every method, and at least one of them is required: an id of a
    memory alone opens nothing. Raises BadScope, BadMemory, IndexAway.
    """

    def __init__(
        self,
        engine: Engine,
        threads: Threads,
        *,
        project: str = "default",
        environment: str = "prod",
        users: tuple[str, ...] = (),
        extractor: Extractor | None = None,
    ) -> None:
        self._engine = engine
        self._threads = threads
        self._project = project
        self._environment = environment
        self._users = users
        self._extractor = extractor

    @classmethod
    async def open(
        cls,
        folder: Path,
        embedder: Callable[[Path], Embedder],
        *,
        redact: Redact = str,
        indexes: FindIndexes | None = None,
        former: FindFormer = former_here,
        ledger_url: str = "",
        sealer: Sealer = UNSEALED,
    ) -> AsyncMemory:
        """Open or make the stores in `folder`; `embedder` is called off the loop, with a folder for its files.

        `indexes`: reaches those that do not lie in the folder. `former`: makes the embedder of a fingerprint, while memories
        are embedded anew. `ledger_url`: of a server that has the ledger.
        `sealer`: of what lies sealed in it.
        """
        threads = Threads()
        opening = threads.others.submit(
            open_engine,
            folder,
            embedder,
            redact=redact,
            indexes=indexes,
            former=former,
            ledger_url=ledger_url,
            sealer=sealer,
        )
        try:
            engine = await asyncio.wrap_future(opening)
        except BaseException:
            opening.add_done_callback(_close_unwanted)
            threads.close(wait=False)
            raise
        return cls(engine, threads)

    def within(self, project: str, environment: str, *, users: tuple[str, ...] = ()) -> AsyncMemory:
        """Return the memories of another project or environment, over the same stores.

        `users`: patterns like `team-*`; then only a user who fits one may be asked for. Empty: everybody.
        """
        return AsyncMemory(
            self._engine,
            self._threads,
            project=project,
            environment=environment,
            users=users,
            extractor=self._extractor,
        )

    async def jobs(
        self, *, user_id: str = "", agent_id: str = "", run_id: str = "", job_id: str = "", limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return how far the reading of what was said has come, newest first; or of one job."""
        scope = self._scope(user_id, agent_id, run_id)
        page = partial(self._jobs.page, scope, limit=_limit(limit), job_id=job_id)
        return [job_row(status) for status in await self._off_loop(page)]

    async def worked(self, from_us: int, to_us: int, *, everybodys: bool = False) -> Worked:
        """Return what came of the reading that a span of time brought, here or in all projects."""
        place = None if everybodys else (self._project, self._environment)
        return await self._off_loop(partial(self._jobs.worked, place, from_us, to_us))

    @property
    def _jobs(self) -> SqliteJobs:
        return self._ledger.jobs

    @property
    def _ledger(self) -> SqlLedger:
        ledger = self._engine.ledger
        assert isinstance(ledger, SqlLedger), "the only ledger with jobs and calls so far"
        return ledger

    def extraction(self, manager: Manager | None, *, redact: Redact = str) -> Extraction:
        """Return who reads what is captured in these stores, to be run; without a manager rules do it.

        With one, what is added is read too.
        """
        extraction = Extraction(
            self._engine,
            self._jobs,
            manager,
            clock=SystemClock(),
            executor=self._threads.others,
            redact=redact,
        )
        self._extractor = None if manager is None else extraction
        return extraction

    def upkeep(self, model: Model | None, *, redact: Redact = str, busy: Callable[[], bool] = bool) -> Upkeep:
        """Return what looks after these stores, to be run; `busy`: somebody is waiting for an answer now."""
        executor, store = self._threads.others, self._ledger.upkeep
        return upkeep_of(
            self._engine, store, model, clock=SystemClock(), executor=executor, redact=redact, busy=busy
        )

    async def upkeep_progress(self) -> dict[str, Any]:
        """Return `{"running": [...], "last": [...], "counts": {...}}` of the background work of these stores."""
        return await self._off_loop(lambda: progress(self._ledger.upkeep, self._engine.reindexing()))

    async def reindex(self) -> None:
        """Have the index built anew beside the one that answers, which it replaces in the end."""
        await self._off_loop(self._engine.reindex)

    async def close(self) -> None:
        """Write everything and let go of the folder; for all views over these stores."""
        # SQLite crashes if a connection is closed under a thread that uses it.
        await asyncio.to_thread(self._threads.close)
        await asyncio.to_thread(self._engine.close)

    # Mem0's methods

    async def add(
        self,
        messages: Messages,
        *,
        user_id: str = "",
        agent_id: str = "",
        run_id: str = "",
        metadata: dict[str, Any] | None = None,
        infer: bool = False,
        timestamp: float | str | None = None,
        expires_at: float | str | None = None,
        instructions: str = "",
        procedural: bool = False,
        actor: str = "",
    ) -> dict[str, Any]:
        """Remember messages, system prompts left out; `name` of a message is who said it.

        With `infer`, if there is an extractor, they are read in the background: returns
        `{"results": [], "status": "PENDING", "event_id"}`. Without, each is stored as it is: returns
        `{"results": [{"id", "memory", "event"}]}`, the event `NONE` for what was known. `timestamp`: when it was
        said; a message's own `timestamp` or `created_at` goes before it. `expires_at`: when it is deleted.
        """
        scope = self._scope(user_id, agent_id, run_id)
        texts = given(messages, timestamp=timestamp, metadata=metadata)
        if infer and self._extractor is not None:
            extracting = partial(
                self._extractor.extract,
                scope,
                listed(messages),
                occurred_at_us=texts[0].occurred_at_us or time.time_ns() // 1000,
                metadata=metadata or {},
                actor=actor,
                instructions=instructions,
                procedural=procedural,
            )
            return {"results": [], "status": "PENDING", "event_id": await self._off_loop(extracting)}
        expires_at_us = 0 if expires_at is None else moment_of(expires_at)
        storing = partial(
            self._engine.add, scope, texts, metadata=metadata, expires_at_us=expires_at_us, actor=actor
        )
        stored = await self._off_loop(storing)
        return {
            "results": [
                {"id": memory_id, "memory": text, "event": "ADD" if new else "NONE"}
                for memory_id, text, new in stored
            ]
        }

    async def search(
        self,
        query: str,
        *,
        user_id: str = "",
        agent_id: str = "",
        run_id: str = "",
        filters: Mapping[str, Any] | None = None,
        top_k: int = DEFAULT_TOP_K,
        threshold: float = DEFAULT_THRESHOLD,
    ) -> dict[str, Any]:
        """Return `{"results": [...], "relations": [...]}`: best first, each with a score from 0 to 1.

        `relations`: the edges of what was found, and of what shares an entity with it; nothing found has none.
        """
        scope, condition = self._asked(user_id, agent_id, run_id, filters)
        if not query.strip():
            raise BadMemory("the query is empty", param="query")
        limit = _limit(top_k)
        most = limit if condition == EVERYTHING else MAX_TOP_K
        searching = partial(self._engine.search, scope, query, limit=most, threshold=threshold)
        found = await self._off_loop(searching)
        if condition != EVERYTHING:
            choosing = partial(self._engine.ledger.among, scope, [one.id for one, _ in found], condition)
            chosen = await self._off_loop(choosing)
            found = [(memory, score) for memory, score in found if memory.id in chosen][:limit]
        results = [{**row_of(memory), "score": round(score, 4)} for memory, score in found]
        if not results:
            return {"results": []}
        edges = await self._off_loop(
            partial(self._engine.ledger.edges, scope, [memory.id for memory, _ in found])
        )
        return {"results": results, "relations": [relation_row(edge) for edge in edges]}

    async def get(
        self, memory_id: str, *, user_id: str = "", agent_id: str = "", run_id: str = ""
    ) -> dict[str, Any] | None:
        """Return the memory, or None if there is none of this id in this scope."""
        scope = self._scope(user_id, agent_id, run_id)
        found = await self._off_loop(partial(self._engine.get, scope, memory_id))
        return None if found is None else row_of(found)

    async def get_all(
        self,
        *,
        user_id: str = "",
        agent_id: str = "",
        run_id: str = "",
        filters: Mapping[str, Any] | None = None,
        top_k: int = DEFAULT_TOP_K,
        offset: int = 0,
        as_of: float | str | None = None,
        superseded: bool = False,
    ) -> dict[str, Any]:
        """Return `{"results": [...]}`, newest first: what holds now, or held at `as_of`.

        `superseded`: also what was replaced or does not hold yet. `filters`: see `memory.filters`.
        """
        scope, condition = self._asked(user_id, agent_id, run_id, filters)
        if offset < 0:
            raise BadMemory("offset must not be negative", param="offset")
        page = partial(
            self._engine.ledger.page,
            scope,
            limit=_limit(top_k),
            offset=offset,
            moment=_when(as_of, superseded=superseded),
            condition=condition,
        )
        return {"results": [row_of(memory) for memory in await self._off_loop(page)]}

    async def update(
        self,
        memory_id: str,
        text: str | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        user_id: str = "",
        agent_id: str = "",
        run_id: str = "",
        actor: str = "",
    ) -> dict[str, Any] | None:
        """Change text, metadata or both; return the memory, or None if there is none in this scope."""
        scope = self._scope(user_id, agent_id, run_id)
        if text is None and metadata is None:
            raise BadMemory("give a text, metadata, or both", param="text")
        change = partial(self._engine.update, scope, memory_id, text, metadata=metadata, actor=actor)
        changed = await self._off_loop(change)
        return None if changed is None else row_of(changed)

    async def delete(
        self, memory_id: str, *, user_id: str = "", agent_id: str = "", run_id: str = "", actor: str = ""
    ) -> bool:
        """Delete it, every word of it; False if there is none of this id in this scope."""
        scope = self._scope(user_id, agent_id, run_id)
        return await self._off_loop(partial(self._engine.delete, scope, memory_id, actor=actor))

    async def delete_all(
        self, *, user_id: str = "", agent_id: str = "", run_id: str = "", actor: str = ""
    ) -> int:
        """Delete everything the scope sees; return how much it was."""
        scope = self._scope(user_id, agent_id, run_id)
        return await self._off_loop(partial(self._engine.delete_all, scope, actor=actor))

    async def history(
        self, memory_id: str, *, user_id: str = "", agent_id: str = "", run_id: str = ""
    ) -> list[dict[str, Any]]:
        """Return every version, oldest first; empty if there is none of this id in this scope."""
        scope = self._scope(user_id, agent_id, run_id)
        versions = await self._off_loop(partial(self._engine.ledger.history, scope, memory_id))
        return [version_row(version) for version in versions]

    async def uses(
        self,
        memory_id: str,
        *,
        user_id: str = "",
        agent_id: str = "",
        run_id: str = "",
        limit: int = DEFAULT_TOP_K,
    ) -> list[dict[str, Any]] | None:
        """Return the calls a memory went into, latest first; None if there is none of this id in this scope."""
        scope = self._scope(user_id, agent_id, run_id)
        return await self._off_loop(partial(uses, self._ledger, scope, memory_id, limit=_limit(limit)))

    async def explain(
        self, call_id: str, *, user_id: str = "", agent_id: str = "", run_id: str = ""
    ) -> dict[str, Any] | None:
        """Return what went into a call and why, as `memory.explain` tells it; None if this scope knows nothing of it."""
        scope = self._scope(user_id, agent_id, run_id)
        return await self._off_loop(partial(explain, self._ledger, scope, call_id))

    async def graph(
        self,
        *,
        user_id: str = "",
        agent_id: str = "",
        run_id: str = "",
        limit: int = DEFAULT_EDGES,
        as_of: float | str | None = None,
        superseded: bool = False,
    ) -> dict[str, Any]:
        """Return `{"nodes": [{"name", "type"}], "edges": [{"source", "relationship", "target", ...}]}`, newest first."""
        scope = self._scope(user_id, agent_id, run_id)
        when = _when(as_of, superseded=superseded)
        reading = partial(self._engine.ledger.graph, scope, limit=_limit(limit), moment=when)
        found = await self._off_loop(reading)
        nodes = [{"name": node.name, "type": node.type} for node in found.nodes]
        return {"nodes": nodes, "edges": [relation_row(edge) for edge in found.edges]}

    # the gateway's methods

    async def recall(
        self,
        scope: Scope,
        query: str,
        *,
        budget: int = DEFAULT_BUDGET,
        window: Iterable[str] = (),
        seen: Collection[str] = (),
    ) -> Recall:
        """Return what to inject; a failure is a status. The deadline is the caller's."""
        asking = partial(self._engine.recall, scope, query, budget=budget, window=window, seen=seen)
        return await asyncio.get_running_loop().run_in_executor(self._threads.recalls, asking)

    async def confirm(self, scope: Scope, call_id: str, ids: Collection[str]) -> int:
        """Note that these memories went into this call."""
        return await self._off_loop(partial(self._engine.confirm, scope, call_id, ids))

    async def capture(self, batch: Sequence[Said]) -> Captured:
        """Store what users said; durable when this returns, harmless when repeated."""
        return await self._off_loop(partial(self._engine.capture, batch))

    async def backlog(self) -> int:
        """Return how many memories wait to be indexed."""
        return await self._off_loop(self._engine.backlog)

    def _scope(self, user_id: str, agent_id: str, run_id: str) -> Scope:
        if self._users and not any(fnmatchcase(user_id, pattern) for pattern in self._users):
            whom = f"the user {user_id!r}" if user_id else "all users: name one (user_id)"
            raise NotAllowed(f"this key may not ask for {whom}", param="user_id")
        return Scope(
            project=self._project, environment=self._environment, user=user_id, agent=agent_id, run=run_id
        )

    def _asked(
        self, user_id: str, agent_id: str, run_id: str, filters: Mapping[str, Any] | None
    ) -> tuple[Scope, Condition]:
        """Return the scope that is named beside and inside the filters, and the rest of them."""
        inside, condition = read(filters)
        named = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        for name, value in inside.items():
            if named[name] not in ("", value):
                raise BadMemory(f"{name} is named twice, and not the same", param="filters")
            named[name] = value
        return self._scope(**named), condition

    async def _off_loop(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads.others, call)


def _close_unwanted(opening: Future[Engine]) -> None:
    """Close what was opened for a caller who did not wait for it."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _when(as_of: float | str | None, *, superseded: bool) -> Moment:
    return Moment(0 if as_of is None else moment_of(as_of), superseded)


def _limit(top_k: int) -> int:
    if not 1 <= top_k <= MAX_TOP_K:
        raise BadMemory(f"top_k must be 1 to {MAX_TOP_K}", param="top_k")
    return top_k
