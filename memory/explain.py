"""Which memories went into a call, where they come from, and why others did not; and the calls of a memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from memory.records import Memory
from memory.rows import moment_of, row_of
from memory.scope import Scope
from memory.sealed import UNSEALED, Sealer
from memory.store.place import open_ledger
from memory.store.sql_calls import Used, Why
from memory.store.sqlite import SqlLedger

_NOT_NOTED = Why(status="unknown")
"""Of a call of a wider scope, or whose proposal was lost before it was written down."""
_RULES = ":rules"
"""How batches end that no model has read."""


def explain(ledger: SqlLedger, scope: Scope, call_id: str) -> dict[str, Any] | None:
    """Return what went into a call and what did not; None if nothing is known of it in this scope.

    `memories`: each with its `part` (`recalled` now, `replayed` from an earlier turn, of the `profile`, or `unknown`),
    `score` if it was recalled, the `rule` that gave it its words, and `evidence`. `left_out`: the best of the others and
    the fate of each; `candidates`: how many had which fate.
    """
    why, used = ledger.calls.why(scope, call_id), ledger.calls.used(scope, call_id)
    if why is None and not used:
        return None
    why = why or _NOT_NOTED
    others = [(one, fate, ledger.get(scope, one)) for one, fate in why.left_out]
    return {
        "call_id": call_id,
        "status": why.status,
        "reason": why.reason,
        "memories": [_memory(ledger, scope, one, why) for one in used],
        "candidates": why.counts,
        "left_out": [
            {"id": one, "memory": memory.text, "fate": fate} for one, fate, memory in others if memory
        ],
    }


def uses(ledger: SqlLedger, scope: Scope, memory_id: str, *, limit: int) -> list[dict[str, Any]] | None:
    """Return the calls a memory went into, latest first; None if there is no such memory in this scope."""
    if ledger.get(scope, memory_id) is None:
        return None
    return [
        {"call_id": call_id, "used_at": moment_of(at_us)}
        for call_id, at_us in ledger.calls.of_memory(scope, memory_id, limit=limit)
    ]


def explain_anywhere(
    folder: Path, call_id: str, *, ledger_url: str = "", sealer: Sealer = UNSEALED
) -> list[dict[str, Any]]:
    """Return the same for whoever runs the installation: of every scope that the call touched.

    The house may be running.
    """
    ledger = SqlLedger(open_ledger(folder, ledger_url, sealer=sealer), key=b"")
    try:
        told = {}
        for scope in ledger.calls.scopes(call_id):
            # whoever has several agents is told once
            wide = msgspec.structs.replace(scope, agent="", run="") if scope.user else scope
            told[wide] = explain(ledger, wide, call_id)
        return [one for one in told.values() if one is not None]
    finally:
        ledger.close()


def _memory(ledger: SqlLedger, scope: Scope, used: Used, why: Why) -> dict[str, Any]:
    memory = ledger.get(scope, used.memory_id)
    score = why.scores.get(used.memory_id)
    part = "recalled" if score is not None else "unknown" if why is _NOT_NOTED else "replayed"
    told: dict[str, Any] = {
        "part": "profile" if used.memory_id in why.profile else part,
        "used_at": moment_of(used.at_us),
    }
    if score is not None:
        told["score"] = score
    if memory is None:
        return {"id": used.memory_id, "is_deleted": True, **told}
    return {**row_of(memory), **told, **_origin(ledger, scope, memory, used)}


def _origin(ledger: SqlLedger, scope: Scope, memory: Memory, used: Used) -> dict[str, Any]:
    """Return which rule gave the memory its words, and the messages it goes back to."""
    by = "verbatim" if not used.operation else "rules" if used.batch.endswith(_RULES) else "model"
    rule = {"by": by, "event": used.event}
    if used.operation:
        rule |= {"operation": used.operation, "job": used.batch.partition(":")[0]}
    evidence = [msgspec.structs.asdict(one) for one in ledger.evidence(scope, memory.id)]
    return {"rule": rule, "evidence": evidence}
