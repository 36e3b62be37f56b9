"""Reads conversations in the background: takes a job that is due, has it read, applies what came out, ends it.

Every step is durable before the next begins, and each may be done twice: what a model said is kept before it is
applied, and applying the same again changes nothing. So a kill at any point loses nothing and doubles nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec

from memory.capture import text_of
from memory.clock import Clock
from memory.cues import cue_of
from memory.debounce import MOST_REFUSALS, pause_us
from memory.errors import BadAnswer, BadMemory, IndexAway, LedgerAway, ModelAway
from memory.jobs import JobState, JobStatus, Leased, Made, Submission
from memory.manager import MOST_KNOWN, Manager
from memory.pictures import pictures_of
from memory.records import Change, Line, Memory, Operation
from memory.scope import Scope
from memory.slots import slots_of
from memory.store.sql_jobs import SqliteJobs
from memory.verify import Known, Said, verbatim

logger = logging.getLogger(__name__)

T = TypeVar("T")

READERS = 4
"""Conversations that are read at once; a reader spends its time waiting for a model."""
_IDLE_S = 1.0
_FORGET_S = 3600.0
_EACH = 8
"""Memories looked up for each message."""
_SPEAKERS = ("user", "assistant", "tool")


class Stores(Protocol):
    """What reading needs of a memory; all of it may block."""

    def search(self, scope: Scope, query: str, *, limit: int, threshold: float) -> list[tuple[Memory, float]]:
        """Return memories and their scores, best first. Raises IndexAway."""
        ...

    def apply(
        self, scope: Scope, operations: Sequence[Operation], batch_id: str, *, actor: str = ""
    ) -> Sequence[Change]:
        """Carry out verified operations; the same ones again change nothing."""
        ...

    def update(
        self,
        scope: Scope,
        memory_id: str,
        text: str | None,
        *,
        metadata: dict[str, Any] | None = None,
        actor: str = "",
    ) -> Memory | None:
        """Change a memory's metadata."""
        ...

    def delete(self, scope: Scope, memory_id: str, *, actor: str = "") -> bool:
        """Delete a memory."""
        ...


class Extraction:
    """The jobs of one memory and who works them off. Without a `manager` rules read instead of a model."""

    def __init__(
        self,
        stores: Stores,
        jobs: SqliteJobs,
        manager: Manager | None,
        *,
        clock: Clock,
        executor: Executor,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._stores = stores
        self._jobs = jobs
        self._manager = manager
        self._clock = clock
        self._executor = executor
        self._redact = redact

    def extract(
        self,
        scope: Scope,
        messages: Sequence[Mapping[str, Any]],
        *,
        occurred_at_us: int,
        metadata: Mapping[str, Any],
        actor: str,
        instructions: str = "",
        procedural: bool = False,
    ) -> str:
        """Note the messages, durably, and return the id of the job; may block on disk, never on a model."""
        given = Submission(
            scope=scope,
            lines=[Line(role, self._redact(text)) for role, text in _lines(messages)],
            occurred_at_us=occurred_at_us,
            pictures=pictures_of(messages),
            task="procedure" if procedural else "facts",
            metadata=dict(metadata),
            instructions=self._redact(instructions),
            actor=actor,
        )
        if not given.lines and not given.pictures:
            raise BadMemory("there is no text in these messages", param="messages")
        return self._jobs.submit(given, self._clock.now_us())

    async def run(self) -> None:
        """Work off jobs until cancelled."""
        await self._tidied(self._jobs.release_all)  # should that fail, leases end by themselves
        async with asyncio.TaskGroup() as readers:
            readers.create_task(self._forget())
            for _ in range(READERS):
                readers.create_task(self._read_on())

    async def step(self) -> bool:
        """Work on the next job that is due; False if there is none."""
        now_us = self._clock.now_us()
        if not await self._off_loop(partial(self._jobs.any_due, now_us)):
            return False
        job = await self._off_loop(partial(self._jobs.lease, now_us))
        if job is None:
            return False
        try:
            outcome, changes = await self._worked(job)
        except ModelAway as error:
            await self._later(job, error.code, refused=False)
        except BadAnswer as error:
            logger.warning("memory_answer_refused", extra={"job": job.id, "attempts": job.attempts})
            await self._later(job, error.code, refused=True)
        except IndexAway as error:
            await self._later(job, error.code, refused=False)
        else:
            await self._end(job, outcome, changes)
        return True

    async def jobs(self, scope: Scope, *, limit: int, job_id: str = "") -> list[JobStatus]:
        """Return the jobs this scope sees, newest first, or the one with this id."""
        return await self._off_loop(partial(self._jobs.page, scope, limit=limit, job_id=job_id))

    async def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in which state."""
        return await self._off_loop(self._jobs.counts)

    async def _read_on(self) -> None:
        while True:
            try:
                if await self.step():
                    continue
            except LedgerAway as error:
                logger.warning("memory_extraction_waits", extra={"error": error.code})
            except Exception:
                # a full disk or a bug must not end the reader; its job comes back when the lease is over
                logger.exception("memory_extraction_failed")
            await asyncio.sleep(_IDLE_S)

    async def _forget(self) -> None:
        while True:
            await self._tidied(partial(self._jobs.purge, self._clock.now_us()))
            await asyncio.sleep(_FORGET_S)

    async def _tidied(self, work: Callable[[], None]) -> bool:
        try:
            await self._off_loop(work)
        except (OSError, sqlite3.Error, LedgerAway):
            logger.exception("memory_jobs_not_tidied")
            return False
        return True

    async def _worked(self, job: Leased) -> tuple[str, Sequence[Change]]:
        if not job.turns and not job.pictures:
            return "erased", ()
        if not job.pictures and not _shows_a_cue(job):
            return "no_cue", ()
        if self._manager is None:
            return "rules", await self._apply_rules(job)
        content = content_of(job, self._manager.version)
        operations = await self._off_loop(partial(self._jobs.kept, job, content))
        if operations is None:
            made = await self._asked(job, self._manager)
            if not await self._off_loop(partial(self._jobs.keep, job, content, made, self._clock.now_us())):
                return "erased", ()
            operations = made.operations
        return "extracted", await self._apply(job, operations, content.hex())

    async def _asked(self, job: Leased, manager: Manager) -> Made:
        known = await self._off_loop(partial(self._known, job))
        try:
            made = await manager.read(job, known) if _shows_a_cue(job) else Made(operations=[])
            made.operations.extend(await manager.look(job))
        except ModelAway:
            await self._apply_rules(job)  # until the model has time, they must do
            raise
        return made

    def _known(self, job: Leased) -> list[Known]:
        """Return memories that the messages may be about, those of the conversation itself left out."""
        found: dict[str, tuple[float, str]] = {}
        for turn in job.turns:
            hits = self._stores.search(job.scope, turn.text, limit=4 * _EACH, threshold=0.0)
            facts = [(memory, score) for memory, score in hits if memory.kind != "episode"]
            for memory, score in facts[:_EACH]:
                found[memory.id] = max(found.get(memory.id, (0.0, "")), (score, memory.text))
        best = sorted(found.items(), key=lambda one: (-one[1][0], one[0]))[:MOST_KNOWN]
        return [Known(memory_id, text) for memory_id, (_, text) in sorted(best)]

    async def _apply_rules(self, job: Leased) -> Sequence[Change]:
        return await self._apply(job, await self._off_loop(partial(rules_of, job)), "rules")

    async def _apply(self, job: Leased, operations: Sequence[Operation], content: str) -> Sequence[Change]:
        if not operations or not await self._off_loop(partial(self._jobs.is_held, job)):
            return ()
        batch_id = f"{job.id}:{content}"
        return await self._off_loop(partial(self._carry_out, job, operations, batch_id))

    def _carry_out(self, job: Leased, operations: Sequence[Operation], batch_id: str) -> Sequence[Change]:
        changes = self._stores.apply(job.scope, operations, batch_id, actor=job.actor)
        for change in changes if job.metadata else ():
            if change.event == "ADD":
                self._stores.update(job.scope, change.memory_id, None, metadata=job.metadata, actor=job.actor)
        return changes

    async def _end(self, job: Leased, outcome: str, changes: Sequence[Change]) -> None:
        finish = partial(self._jobs.finish, job, outcome, changes, self._clock.now_us())
        if not await self._off_loop(finish):
            # something it had read was erased meanwhile, so what came of it goes too
            for change in changes:
                if change.event == "ADD":
                    await self._off_loop(
                        partial(self._stores.delete, job.scope, change.memory_id, actor="erasure")
                    )

    async def _later(self, job: Leased, error: str, *, refused: bool) -> None:
        now_us = self._clock.now_us()
        if refused and job.refusals + 1 >= MOST_REFUSALS:
            logger.error("memory_job_dead", extra={"job": job.id, "error": error})
            await self._off_loop(partial(self._jobs.bury, job, error, now_us))
            return
        until_us = now_us + pause_us(job.attempts)
        postpone = partial(self._jobs.postpone, job, error, until_us=until_us, refused=refused, now_us=now_us)
        await self._off_loop(postpone)

    async def _off_loop(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def rules_of(job: Leased) -> list[Operation]:
    """Return what can be told without a model: slots, and words that no memory holds yet."""
    operations = [operation for turn in job.turns for operation in slots_of(turn, job.thread_id)]
    for turn in job.turns:
        if not turn.memory_id and turn.role == "user":
            said = Said(
                call_id=turn.call_id,
                message_index=turn.message_index,
                role=turn.role,
                text=turn.text,
                occurred_at_us=turn.occurred_at_us,
                thread_id=job.thread_id,
            )
            operations.append(verbatim(said.whole(), said))
    return operations


def _shows_a_cue(job: Leased) -> bool:
    """Say whether it is worth a model's time; what somebody handed over always is."""
    return any(not turn.memory_id or cue_of(turn.text).worth for turn in job.turns)


def content_of(job: Leased, version: bytes) -> bytes:
    """Name what a model is asked: the same for every attempt at the same words under the same settings."""
    turns = (*job.turns, *job.pictures)
    read = [(turn.call_id, turn.message_index, turn.role, turn.text, turn.occurred_at_us) for turn in turns]
    asked = msgspec.json.encode([job.id, job.task, job.instructions, read])
    return hashlib.blake2b(version + asked, digest_size=16).digest()


def _lines(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    found = []
    for message in messages:
        role = message.get("role", "user")
        if role in _SPEAKERS and (text := text_of(message.get("content"))):
            found.append((role, text))
    return found
