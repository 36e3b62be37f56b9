"""Memory for asynchronous callers, with Mem0's names and shapes.

Everything that blocks runs in a few threads: SQLite, index and ONNX release the interpreter while
they work, so the loop stays quick.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from memory.capture import Redact, text_of
from memory.embed import Embedder
from memory.engine import Engine, key_of
from memory.errors import BadMemory
from memory.records import Captured, Memory, Recall, Said, Trust, Version
from memory.scope import Scope
from memory.store.edge import EdgeIndex
from memory.store.sqlite import SqliteLedger

T = TypeVar("T")

DEFAULT_TOP_K = 20
MAX_TOP_K = 1000
DEFAULT_THRESHOLD = 0.1
DEFAULT_BUDGET = 900
"""Tokens of a recalled block."""
_RECALLS = 2
_OTHERS = 3
_ROLES: Mapping[str, Trust] = {"user": "user", "assistant": "assistant", "tool": "tool"}
_IDENTITY = {"user_id": "user", "agent_id": "agent", "run_id": "run"}


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
        self, engine: Engine, threads: Threads, *, project: str = "default", environment: str = "prod"
    ) -> None:
        self._engine = engine
        self._threads = threads
        self._project = project
        self._environment = environment

    @classmethod
    async def open(
        cls, folder: Path, embedder: Callable[[Path], Embedder], *, redact: Redact = str
    ) -> AsyncMemory:
        """Open or make the stores in `folder`; `embedder` is called off the loop, with a folder for its files."""
        threads = Threads()
        opening = threads.others.submit(open_engine, folder, embedder, redact=redact)
        try:
            engine = await asyncio.wrap_future(opening)
        except BaseException:
            opening.add_done_callback(_close_unwanted)
            threads.close(wait=False)
            raise
        return cls(engine, threads)

    def within(self, project: str, environment: str) -> AsyncMemory:
        """Return the memories of another project or environment, over the same stores."""
        return AsyncMemory(self._engine, self._threads, project=project, environment=environment)

    async def close(self) -> None:
        """Write everything and let go of the folder; for all views over these stores."""
        # SQLite crashes if a connection is closed under a thread that uses it.
        await asyncio.to_thread(self._threads.close)
        await asyncio.to_thread(self._engine.close)

    # Mem0's methods

    async def add(
        self,
        messages: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        user_id: str = "",
        agent_id: str = "",
        run_id: str = "",
        metadata: dict[str, Any] | None = None,
        actor: str = "",
    ) -> dict[str, Any]:
        """Store each message as it is, system prompts left out.

        Returns `{"results": [{"id", "memory", "event"}]}`; the event is `NONE` for what was known.
        """
        scope = self._scope(user_id, agent_id, run_id)
        texts = _texts(messages)
        stored = await self._off_loop(partial(self._engine.add, scope, texts, metadata=metadata, actor=actor))
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
        """Return `{"results": [...]}`, best first, each with a score from 0 to 1."""
        scope = self._scope(user_id, agent_id, run_id, filters)
        if not query.strip():
            raise BadMemory("the query is empty", param="query")
        limit = _limit(top_k)
        found = await self._off_loop(
            partial(self._engine.search, scope, query, limit=limit, threshold=threshold)
        )
        return {"results": [{**row_of(memory), "score": round(score, 4)} for memory, score in found]}

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
    ) -> dict[str, Any]:
        """Return `{"results": [...]}`, newest first."""
        scope = self._scope(user_id, agent_id, run_id, filters)
        if offset < 0:
            raise BadMemory("offset must not be negative", param="offset")
        page = partial(self._engine.ledger.page, scope, limit=_limit(top_k), offset=offset)
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
        return [_version_row(version) for version in versions]

    # the gateway's methods

    async def recall(
        self, scope: Scope, query: str, *, budget: int = DEFAULT_BUDGET, window: Iterable[str] = ()
    ) -> Recall:
        """Return what to inject; a failure is a status. The deadline is the caller's."""
        asking = partial(self._engine.recall, scope, query, budget=budget, window=window)
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

    def _scope(
        self, user_id: str, agent_id: str, run_id: str, filters: Mapping[str, Any] | None = None
    ) -> Scope:
        named = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        for name, value in (filters or {}).items():
            if name not in _IDENTITY or named[name] not in ("", value):
                raise BadMemory(
                    f"filters takes user_id, agent_id and run_id, each once; not {name!r}", param="filters"
                )
            named[name] = value
        ids = {_IDENTITY[name]: value for name, value in named.items()}
        return Scope(project=self._project, environment=self._environment, **ids)

    async def _off_loop(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads.others, call)


def open_engine(folder: Path, embedder: Callable[[Path], Embedder], *, redact: Redact = str) -> Engine:
    """Open the stores in `folder`, heal them, and start following. Raises StoreBusy, EmbedderAway."""
    model = embedder(folder / "models")
    index = EdgeIndex(folder / "index", fingerprint=model.fingerprint, dimensions=model.dimensions)
    with contextlib.ExitStack() as opened:
        opened.callback(index.close)
        ledger = SqliteLedger(folder / "memory.sqlite3")
        opened.callback(ledger.close)
        engine = Engine(ledger, index, model, key=key_of(folder), redact=redact)
        engine.start()
        opened.pop_all()  # it is the engine that closes them now
    return engine


def _close_unwanted(opening: Future[Engine]) -> None:
    """Close what was opened for a caller who did not wait for it."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def row_of(memory: Memory) -> dict[str, Any]:
    """Return a memory as Mem0 shows it."""
    row: dict[str, Any] = {
        "id": memory.id,
        "memory": memory.text,
        "metadata": memory.metadata,
        "created_at": _moment(memory.created_at_us),
        "updated_at": _moment(memory.updated_at_us),
        "role": memory.trust,
    }
    scope = memory.scope
    ids = {"user_id": scope.user, "agent_id": scope.agent, "run_id": scope.run}
    return row | {name: value for name, value in ids.items() if value}


def _version_row(version: Version) -> dict[str, Any]:
    return {
        "id": f"{version.memory_id}:{version.version}",
        "memory_id": version.memory_id,
        "old_memory": version.old_text,
        "new_memory": version.new_text,
        "event": version.event,
        "created_at": _moment(version.at_us),
        "is_deleted": version.event == "DELETE",
    }


def _moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat()


def _limit(top_k: int) -> int:
    if not 1 <= top_k <= MAX_TOP_K:
        raise BadMemory(f"top_k must be 1 to {MAX_TOP_K}", param="top_k")
    return top_k


def _texts(messages: str | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> list[tuple[str, Trust]]:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    elif isinstance(messages, Mapping):
        messages = [messages]
    texts: list[tuple[str, Trust]] = []
    for message in messages:
        trust = _ROLES.get(message.get("role", "user"))
        if trust is not None and (text := text_of(message.get("content"))):
            texts.append((text, trust))
    if not texts:
        raise BadMemory("there is no text in these messages", param="messages")
    return texts
