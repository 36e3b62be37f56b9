"""What is still to be read, as values: what a job is made of, and how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from memory.records import Line, Operation
from memory.scope import Scope

PICTURE = "picture"
"""Role of a turn that is one."""
JobState = Literal["waiting", "working", "done", "dead"]
"""`waiting` also means: failed, and to be tried again; `dead`: given up."""
Task = Literal["facts", "procedure"]
"""What is made of the messages: facts, or one summary of how a run went."""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that somebody handed over to be remembered."""

    scope: Scope
    lines: Sequence[Line]
    occurred_at_us: int
    pictures: Sequence[str] = ()
    """URLs, of data too."""
    task: Task = "facts"
    metadata: dict[str, Any] = {}
    instructions: str = ""
    """What to look for besides, in words for the model."""
    actor: str = ""


class JobTurn(msgspec.Struct, frozen=True, kw_only=True):
    """One message that a job reads."""

    memory_id: str
    """Of the memory that holds it word for word; empty if there is none."""
    call_id: str
    message_index: int
    event_id: str
    role: str
    text: str
    occurred_at_us: int
    before: Sequence[Line] = ()
    """What was said just before, to understand it by."""


class Leased(msgspec.Struct, frozen=True, kw_only=True):
    """A job in somebody's hands."""

    number: int
    lease: str
    id: str
    scope: Scope
    thread_id: str
    task: Task
    attempts: int
    refusals: int
    instructions: str
    actor: str
    metadata: dict[str, Any]
    turns: Sequence[JobTurn]
    pictures: Sequence[JobTurn] = ()
    """Their text is a URL."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a model makes of a job."""

    operations: list[Operation]
    """All of it verified, or the words that were said."""
    proposed: int = 0
    """Operations in the model's first answer."""
    grounded: int = 0
    """Those of them that stood up to what was said."""


class Effect(msgspec.Struct, frozen=True):
    """What became of one memory."""

    id: str
    event: str
    """ADD, UPDATE, SUPERSEDE, DELETE or NONE."""


class JobStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job has come; it holds no word of what was said."""

    id: str
    state: JobState
    task: Task = "facts"
    thread_id: str = ""
    turns: int = 0
    attempts: int = 0
    refusals: int = 0
    """Answers of a model that could not be used."""
    created_at_us: int = 0
    updated_at_us: int = 0
    due_at_us: int = 0
    """When it is tried, or tried again."""
    error: str = ""
    """Why the last attempt failed: a code."""
    outcome: str = ""
    """Of a job that is done: `extracted`, `no_cue`, `rules` (no model is set up), `erased`."""
    effects: tuple[Effect, ...] = ()


class Worked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the conversations that a span of time brought; of many, the latest."""

    jobs: int
    states: dict[JobState, int]
    outcomes: dict[str, int]
    """Of those that are done: `extracted`, `rules`, `no_cue`, `erased`."""
    failing: int
    """Waiting after an attempt that failed."""
    refused: int
    """Answers of models that could not be used."""
    proposed: int
    """Operations in the first answers of models."""
    grounded: int
    """Those of them that stood up to what was said."""
    events: dict[str, int]
    """What became of memories: ADD, UPDATE, ...; NONE, MERGE: it was known already."""
    took_us: list[float]
    """From the first turn to the memory, median, 90, 95 and 99 percent; empty if nothing is done."""


def job_row(status: JobStatus) -> dict[str, Any]:
    """Return a job as the API shows it."""
    row: dict[str, Any] = msgspec.to_builtins(status)
    for name in ("created_at", "updated_at", "due_at"):
        at_us = row.pop(f"{name}_us")
        row[name] = datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat()
    return row
