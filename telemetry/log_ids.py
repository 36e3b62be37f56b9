"""Keeps a log that was sent twice from being counted twice.

A log's `call_id` follows from its project, environment and its sender's own id, so whoever sends it again
sends the same call; but often with another time, and rows are found by their time. Here, where all journals
become one row after another, the index of log ids says whether the ledger has it. What one batch holds
twice, counts once; the first that was brought in stays.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from telemetry.records import Answer, Frame, Request, Settled
from telemetry.rows import Row
from telemetry.store.base import Parameter, Store

_KNOWN = (Path(__file__).parent / "queries" / "logs_known.sql").read_text()
_PARTS = (Path(__file__).parent / "queries" / "lookup_span_payloads.sql").read_text()
_AT_ONCE = 2000
_UUID_VERSION = 8


class Entry(Protocol):
    """A row on its way into the ledger, and what it is made of."""

    @property
    def row(self) -> Row:
        """The row."""
        ...

    @property
    def frame(self) -> Frame:
        """What the journal holds of it."""
        ...


E = TypeVar("E", bound=Entry)


class _Log(NamedTuple):
    """What names a log."""

    project: str
    environment: str
    log_id: str


def call_id_of(project: str, environment: str, log_id: str) -> str:
    """Return the call id of a log: always the same one, and nobody else's (a UUID of version 8, RFC 9562)."""
    told = b"\0".join(part.encode() for part in (project, environment, log_id))
    digest = bytearray(hashlib.sha256(told).digest()[:16])
    digest[6] = digest[6] & 0x0F | _UUID_VERSION << 4
    digest[8] = digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


def new_calls(store: Store, entries: list[E]) -> list[E]:
    """Return the entries without logs that the ledger has, or that stand among them before."""
    logs = {log for entry in entries if (log := _log(entry.frame)) is not None}
    if not logs:
        return entries
    seen = set(_known(store, logs))
    kept: list[E] = []
    for entry in entries:
        log = _log(entry.frame)
        if log in seen:
            continue
        if log is not None:
            seen.add(log)
        kept.append(entry)
    return kept


def new_bodies(store: Store, entries: list[E]) -> list[E]:
    """Return the entries without the bodies of logs that the ledger has, or has from another sending."""
    logs = {log for entry in entries if (log := _log(entry.frame)) is not None}
    if not logs:
        return entries
    began = _known(store, logs)
    seen = _parts(store, [entry.row for entry in entries if _log(entry.frame) is not None])
    kept: list[E] = []
    for entry in entries:
        log, row = _log(entry.frame), entry.row
        if log is not None:
            part = (row.call_id, row.part)
            if part in seen or began.get(log, row.started_at_us) != row.started_at_us:
                continue
            seen.add(part)
        kept.append(entry)
    return kept


def _log(frame: Frame) -> _Log | None:
    if isinstance(frame, Settled):
        call = frame.call
        return _Log(call.project, call.environment, call.log_id) if call.log_id else None
    if isinstance(frame, Request | Answer):
        said = frame.payload
        return _Log(said.project, said.environment, said.log_id) if said.log_id else None
    return None


def _known(store: Store, logs: set[_Log]) -> dict[_Log, int]:
    """Return when those logs began that the ledger has."""
    found: dict[_Log, int] = {}
    for project, environment in {(log.project, log.environment) for log in logs}:
        ids = [log.log_id for log in logs if (log.project, log.environment) == (project, environment)]
        for some in _chunks(sorted(ids)):
            rows = store.lookup(_KNOWN, {"project": project, "environment": environment, "ids": some})
            for row in rows:
                found[_Log(project, environment, row["log_id"])] = row["started_at_us"]
    return found


def _parts(store: Store, rows: list[Row]) -> set[tuple[str, str]]:
    """Return which of these bodies the ledger has."""
    found: set[tuple[str, str]] = set()
    times: dict[str, list[int]] = {}
    for row in rows:
        times.setdefault(row.call_id, []).append(row.started_at_us)
    for some in _chunks(sorted(times)):
        moments = [moment for one in some for moment in times[one]]
        parameters: dict[str, Parameter] = {"ids": some, "from_us": min(moments), "to_us": max(moments)}
        found |= {(row["call_id"], row["part"]) for row in store.lookup(_PARTS, parameters)}
    return found


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
