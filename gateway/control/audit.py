"""Writes and reads the audit log: one line for each change, whose revision is the change's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.control.database import Row, Session
from gateway.control.records import Act, AuditLine

_NEXT = "update control set revision = revision + 1 returning revision"
SELECT = "select revision, at_us, actor, action, target, project, details from audit"


def log(
    session: Session, act: Act, action: str, target: str, project: str, details: Mapping[str, Any]
) -> int:
    """Write the line of a change in the same transaction, and return the change's revision."""
    ((revision,),) = session.run(_NEXT)
    session.run(
        "insert into audit (revision, at_us, actor, action, target, project, details)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        *(revision, act.at_us, act.actor, action, target, project, msgspec.json.encode(details).decode()),
    )
    return int(revision)


def lines_after(session: Session, revision: int) -> list[AuditLine]:
    """Return what was done after this revision, oldest first."""
    return lines_of(session.run(f"{SELECT} where revision > ? order by revision", revision))


def lines_of(rows: Sequence[Row]) -> list[AuditLine]:
    """Return rows of `SELECT` as lines."""
    return [
        AuditLine(
            revision=revision,
            at_us=at_us,
            actor=actor,
            action=action,
            target=target,
            project=project,
            details=msgspec.json.decode(details),
        )
        for revision, at_us, actor, action, target, project, details in rows
    ]
