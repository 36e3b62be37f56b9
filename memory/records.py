"""The values this package stores and returns. Times are microseconds since 1970 (UTC)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from memory.scope import Scope

Vector = NDArray[np.float32]
"""Of length one."""
Event = Literal["ADD", "UPDATE", "DELETE", "SUPERSEDE", "RETRACT", "MERGE", "RESTORE", "NONE"]
"""SUPERSEDE, RETRACT and MERGE end a memory without changing a word of it; RESTORE takes that back."""
Trust = Literal["user", "assistant", "tool", "document"]
Operator = Literal["ADD", "UPDATE", "SUPERSEDE", "DELETE", "NONE"]
Kind = Literal["fact", "preference", "event", "plan", "instruction", "episode", "procedure"]
Terms = dict[int, int]
"""Hashed terms of a text and how often each occurs."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Where a memory comes from."""

    call_id: str
    message_index: int
    quote: str
    """The exact words; empty once the memory was deleted."""
    thread_id: str = ""


class Entity(msgspec.Struct, frozen=True):
    """Somebody or something a memory is about."""

    name: str
    type: str = ""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A memory about to be stored."""

    id: str
    text: str
    terms: Terms
    same: bytes
    """Digest of the text without case and punctuation."""
    occurred_at_us: int
    trust: Trust = "user"
    kind: str = "episode"
    actor: str = ""
    metadata: dict[str, Any] = {}
    evidence: Evidence | None = None
    thread_id: str = ""
    entities: tuple[Entity, ...] = ()
    quarantined: bool = False
    """It reads like an instruction planted by somebody."""
    expires_at_us: int = 0
    """0: never."""


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One message of a conversation, as words alone."""

    role: str
    text: str


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A user's turn of a conversation: its draft, and what the chain knows it by."""

    content: bytes
    draft: Draft
    before: Sequence[Line] = ()
    """What was said just before it."""
    event_id: str = ""
    pictures: Sequence[str] = ()
    """URLs of what was shown with it."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one memory: decided by a model or a rule, verified in code, not yet applied."""

    op: Operator
    evidence: tuple[Evidence, ...]
    """Never empty."""
    occurred_at_us: int
    target: str = ""
    """Id of the memory that is changed; empty for ADD, but for a summary, which names its telling."""
    text: str = ""
    """Self-contained, in the language in which it was said."""
    kind: Kind = "fact"
    subject: str = ""
    predicate: str = ""
    object: str = ""
    entities: tuple[Entity, ...] = ()
    valid_from_us: int = 0
    """0: since `occurred_at_us`."""
    valid_to_us: int = 0
    """0: still."""
    negative: bool = False
    """It says that something is not so."""
    confidence: float = 1.0
    sensitivity: str = ""
    trust: Trust = "user"
    quarantined: bool = False
    """It reads like an instruction planted by somebody: kept and shown, never injected."""
    expires_at_us: int = 0
    """0: never. After it the memory is deleted for good."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """One self-contained statement, as it is now."""

    id: str
    text: str
    scope: Scope
    created_at_us: int
    updated_at_us: int
    occurred_at_us: int
    version: int = 1
    trust: Trust = "user"
    kind: str = "episode"
    actor: str = ""
    metadata: dict[str, Any] = {}
    subject: str = ""
    predicate: str = ""
    object: str = ""
    negative: bool = False
    """It says that something is not so."""
    valid_from_us: int = 0
    valid_to_us: int = 0
    """0: still."""
    superseded_by: str = ""
    """Id of the memory that holds instead."""
    proof_count: int = 1
    """How many messages say so."""
    confidence: float = 1.0
    sensitivity: str = ""
    quarantined: bool = False
    expires_at_us: int = 0
    thread_id: str = ""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a memory's history; its texts are None once the memory was deleted."""

    memory_id: str
    version: int
    event: Event
    old_text: str | None
    new_text: str | None
    at_us: int
    valid_from_us: int = 0
    valid_to_us: int = 0
    operation: str = ""
    """Id of the operation that brought it about; empty for what a person or a conversation did directly."""
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    """Of that operation."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation did to one memory."""

    memory_id: str
    event: Event
    text: str
    old_text: str = ""


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """Subject -> predicate -> object; it holds as long as its memory does."""

    memory_id: str
    source: str
    relationship: str
    target: str
    valid_from_us: int
    valid_to_us: int


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """Entities and how they are related."""

    nodes: tuple[Entity, ...]
    edges: tuple[Edge, ...]


class Moment(msgspec.Struct, frozen=True):
    """Which memories are meant: by default those that hold now."""

    as_of_us: int = 0
    """Those that held then; 0: now."""
    superseded: bool = False
    """Also those that held no longer, or not yet."""


NOW = Moment()


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who changed how much, and when; without a word of what."""

    at_us: int
    action: str
    actor: str
    memory_id: str
    count: int
    reason: str = ""


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a scope's memories look like together: all that ranking may know beyond the candidates."""

    documents: int
    length: int
    """Terms of all documents, repetitions counted."""
    frequencies: dict[int, int]
    """In how many documents each asked term occurs."""
    vectors: int = 0
    vector_sum: Vector | None = None


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that an arm of the search found, with what is needed to rank it."""

    id: str
    text: str
    terms: Terms
    same: bytes
    trust: Trust
    occurred_at_us: int
    vector: Vector | None = None
    kind: str = "episode"
    actor: str = ""
    valid_from_us: int = 0
    valid_to_us: int = 0
    """0: still."""
    superseded_by: str = ""
    proof_count: int = 1
    confidence: float = 1.0
    quarantined: bool = False
    """Never to be injected."""
    thread_id: str = ""
    seq: int = 0
    """The order in which the ledger learnt of it."""
    weight: float = 1.0
    """What age and use make of its score: 0.3 to 1.5."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the outbox: make the index agree with the ledger about this memory."""

    memory_id: str
    generation: int
    attempts: int
    memory: Memory | None
    """None: it is deleted and must leave the index."""
    terms: Terms = {}
    vector: Vector | None = None
    """Of the current text by the current embedder, if it was made before."""


class SearchHit(msgspec.Struct, frozen=True):
    """A memory the index found; the higher the score, the better."""

    id: str
    score: float


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One call's conversation, for capture: `messages` as in the client's body, secrets already replaced."""

    call_id: str
    scope: Scope
    occurred_at_us: int
    messages: list[dict[str, Any]]
    thread_id: str = ""
    event_id: str = ""


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """What recall proposes to inject, and why."""

    status: Literal["injected", "empty", "error"]
    reason: str = ""
    """Of `empty` and `error`; of `injected` if something was missing: `embedder_unavailable`."""
    block: str = ""
    ids: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    tokens: int = 0
    fates: dict[str, str] = {}
    """Every candidate's id, and what became of it."""


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch."""

    calls: int
    added: tuple[str, ...]
    known: int
    """Turns that were there before."""
