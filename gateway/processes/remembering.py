"""Keeps the hub's memory open, and answers for it while it is not.

Opening takes from a fifth of a second to some seconds (the first time the model is made), so it is done beside
everything else, and again until it succeeds.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gateway.clock import Clock
from gateway.link import CallFailed
from gateway.link_server import Handler
from gateway.processes.house_model import HouseModel
from gateway.recollection import BUSY, CONFIRM, MEMORY_API, RECALL, Question, Recollection, Span, Used
from gateway.settings import Memory
from gateway.tasks import spawn
from gateway.transport import Transport
from memory.errors import BadScope, LedgerAway, MemoryFault
from memory.sealed import UNSEALED, Sealer
from telemetry.metrics import Registry

if TYPE_CHECKING:
    from gateway.processes.memories import Memories
    from memory.api import MemoryApi
    from memory.jobs import JobState

CAPTURE = "/internal/capture"
"""Where the telemetry process brings what users said. No worker relays it."""
WORKED = "/internal/memory-worked"
"""Where it asks what came of that: a `Span`."""

_AGAIN_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_LOOK_S = 1.0
MOST_RECALLS = 16
"""At once. One takes some 7 ms of the interpreter, so that one more would still wait when its caller gives up."""

_spans = msgspec.json.Decoder(Span)

Q = TypeVar("Q")
R = TypeVar("R")

logger = logging.getLogger(__name__)


class Counts(msgspec.Struct):
    """Since the hub began."""

    recalls: dict[str, int] = {}
    """By status: `injected`, `replayed`, `empty`, `error`; `away`: there was no answer; `busy`: there were too many."""
    captured_calls: int = 0
    captured_turns: int = 0
    capture_failures: int = 0
    last_success_us: int = 0
    """When a recall or a capture last went well, or the memory was opened."""


class Remembering:
    """The memory of one house. `folder` is its alone; `transport` reaches an embedding endpoint."""

    def __init__(
        self,
        folder: Path,
        settings: Memory,
        transport: Transport,
        clock: Clock,
        model: HouseModel | None = None,
        *,
        sealer: Sealer = UNSEALED,
    ) -> None:
        self.counts = Counts()
        self._backlog = 0
        self._jobs: dict[JobState, int] = {}
        self._recalling = 0
        self._folder = folder
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._model = model
        self._sealer = sealer
        self._reading: asyncio.Task[None] | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._tidied: dict[str, int] = {}
        self._reindexing: dict[str, Any] | None = None
        self._memories: Memories | None = None
        self._error = "opening"

    @property
    def handlers(self) -> dict[str, Handler]:
        """What workers may call over the link."""
        return {RECALL: self._recall, CONFIRM: self._confirm}

    async def open(self) -> None:
        """Return once the memory is open, however often that has to be tried."""
        tries = 0
        while True:
            why = ""
            try:
                memories = await asyncio.to_thread(_load)
                self._memories = await memories.open(
                    self._folder,
                    self._settings,
                    self._transport,
                    self._model,
                    sealer=self._sealer,
                    busy=lambda: self._recalling > 0,
                )
                self._reading = spawn(self._memories.read(), name="memory reading")
                self._tidying = spawn(self._memories.tidy(), name="memory upkeep")
            except MemoryFault as fault:
                self._error, why = fault.code, str(fault)
            except (OSError, sqlite3.Error) as error:
                self._error, why = type(error).__name__, str(error)
            except Exception as error:
                # An engine's own exception: the hub goes on without a memory, and tries again.
                logger.exception("memory_not_opened")
                self._error = type(error).__name__
            else:
                self._error = ""
                self._succeeded()
                logger.info("memory_open")
                return
            wait_s = _AGAIN_S[min(tries, len(_AGAIN_S) - 1)]
            logger.warning("memory_away", extra={"error": self._error, "why": why, "wait_s": wait_s})
            tries += 1
            await asyncio.sleep(wait_s)

    async def close(self) -> None:
        """Write everything and let go of the folder."""
        memories, self._memories, self._error = self._memories, None, "closed"
        for task in (self._reading, self._tidying):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        if self._model is not None:
            await self._model.close()
        if memories is not None:
            await memories.close()

    # for workers

    async def _recall(self, params: object) -> Recollection:
        if self._recalling >= MOST_RECALLS:
            self._count("busy")
            raise CallFailed(BUSY, f"{MOST_RECALLS} recalls are under way")
        self._recalling += 1
        try:
            found = await self._asked(params, Question, lambda memories, asked: memories.recall(asked))
        except CallFailed:
            self._count("away")
            raise
        finally:
            self._recalling -= 1
        self._count(found.status)
        if found.status != "error":
            self._succeeded()
        return found

    async def _confirm(self, params: object) -> int:
        return await self._asked(params, Used, lambda memories, used: memories.confirm(used))

    async def _asked(self, params: object, kind: type[Q], ask: Callable[[Memories, Q], Awaitable[R]]) -> R:
        if self._memories is None:
            code = "memory_opening" if self._error == "opening" else "memory_away"
            raise CallFailed(code, self._error)
        try:
            return await ask(self._memories, msgspec.convert(params, kind))
        except msgspec.ValidationError as error:
            raise CallFailed("invalid_params", str(error)) from error
        except (BadScope, LedgerAway) as error:
            raise CallFailed(error.code, str(error)) from error

    # over HTTP

    @property
    def api(self) -> MemoryApi | None:
        """What answers below `MEMORY_API`; None while the memory is away."""
        return self._memories.api if self._memories else None

    async def capture(self, body: bytes) -> int:
        """Store what these requests say: 200; 503 if they are to be brought again; 422 if that is no use."""
        memories = self._memories
        if memories is None:
            return 503
        try:
            captured = await memories.capture(body)
        except Exception as error:
            self.counts.capture_failures += 1
            if self._memories is None or _passes(error):
                logger.warning("memory_capture_waits", extra={"error": type(error).__name__})
                return 503
            logger.exception("memory_capture_refused")
            return 422
        self.counts.captured_calls += captured.calls
        self.counts.captured_turns += len(captured.added)
        self._succeeded()
        return 200

    async def worked(self, body: bytes) -> tuple[int, bytes]:
        """Say what came of what was captured: 200 and a `Worked`, 503, or 400."""
        if self._memories is None:
            return 503, b"{}"
        try:
            found = await self._memories.worked(_spans.decode(body))
        except (OSError, sqlite3.Error, LedgerAway):
            return 503, b"{}"
        except msgspec.MsgspecError:
            return 400, b"{}"
        return 200, msgspec.json.encode(found)

    # for people

    async def look(self) -> None:
        """See whether it is well, and how many memories wait to be indexed."""
        if self._memories is None:
            return
        try:
            async with asyncio.timeout(_LOOK_S):
                self._backlog = await self._memories.backlog()
                self._jobs = dict(await self._memories.jobs())
                self._tidied = await self._memories.tidied()
                self._reindexing = await self._memories.reindexing()
        except (OSError, sqlite3.Error, LedgerAway) as error:  # TimeoutError is an OSError
            self._error = type(error).__name__
        else:
            self._error = ""

    def health(self) -> dict[str, object]:
        """What `GET /health` says of it."""
        moment_us = self.counts.last_success_us
        last = datetime.fromtimestamp(moment_us / 1e6, UTC).isoformat(timespec="milliseconds")
        return {
            "ok": not self._error,
            "backlog": self._backlog,
            "jobs": self._jobs,
            "reindexing": self._reindexing,
            "last_success": last if moment_us else None,
            "error": self._error,
        }

    def measure(self, registry: Registry) -> None:
        """Add its metrics."""
        up = registry.gauge("tidegate_memory_up", "1 while the memory is open and well.")
        backlog = registry.gauge("tidegate_memory_backlog", "Memories that wait to be indexed.")
        jobs = registry.gauge("tidegate_memory_jobs", "Conversations to be read, and read.", ("state",))
        recalls = registry.counter("tidegate_memory_recalls_total", "Recalls.", ("status",))
        calls = registry.counter("tidegate_memory_captured_calls_total", "Requests taken from the journal.")
        turns = registry.counter("tidegate_memory_captured_turns_total", "Turns stored from them.")
        failures = registry.counter("tidegate_memory_capture_failures_total", "Batches not taken.")
        left = registry.gauge("tidegate_memory_reindex_left", "Memories that the next index still lacks.")
        tidied = registry.gauge("tidegate_memory_upkeep_changes", "Changes made by the upkeep.", ("job",))

        def refresh() -> None:
            up.set(int(not self._error))
            backlog.set(self._backlog)
            left.set(self._reindexing["left"] if self._reindexing else 0)
            for state, count in self._jobs.items():
                jobs.set(count, state)
            for status, count in self.counts.recalls.items():
                recalls.add(count - recalls.value(status), status)
            calls.add(self.counts.captured_calls - calls.value())
            turns.add(self.counts.captured_turns - turns.value())
            failures.add(self.counts.capture_failures - failures.value())
            for job, count in self._tidied.items():
                tidied.set(count, job)

        registry.before(refresh)

    def _count(self, status: str) -> None:
        self.counts.recalls[status] = self.counts.recalls.get(status, 0) + 1

    def _succeeded(self) -> None:
        self.counts.last_success_us = self._clock.now_us()


def owns(path: str) -> bool:
    """Whether the memory API answers this path."""
    return path == MEMORY_API or path.startswith(f"{MEMORY_API}/")


def _load() -> type[Memories]:
    from gateway.processes.memories import Memories  # noqa: PLC0415 - 40 MB, when the hub is ready already

    return Memories


def _passes(error: Exception) -> bool:
    """Whether the same may succeed later: a full disk, a locked or damaged file."""
    return (
        isinstance(error, OSError | sqlite3.OperationalError)
        or (isinstance(error, MemoryFault) and not isinstance(error, BadScope))
        or type(error) is sqlite3.DatabaseError
    )
