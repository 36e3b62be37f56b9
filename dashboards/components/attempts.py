"""The tries that a call took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboards.components.table import Cell, Column, Table
from dashboards.readable import complaint
from telemetry.words import dollars, duration

_COLUMNS = (
    Column("number", "", number=True),
    Column("model", "Deployment"),
    Column("status", "Status"),
    Column("time", "Began after", number=True),
    Column("time", "Connected", number=True),
    Column("time", "First byte", number=True),
    Column("time", "Took", number=True),
    Column("code", "Provider's request id"),
    Column("format", "Asked in"),
    Column("dropped", "Left out"),
    Column("cost", "May have cost", number=True),
    Column("said", "Error"),
)
_RARE = ("format", "dropped", "cost")
"""Shown if any try says something of it."""


def attempts(tried: Sequence[dict[str, Any]]) -> None:
    """Show tries; the store leaves out what holds its default."""
    rows = [_row(number, one) for number, one in enumerate(tried, 1)]
    shown = [
        at
        for at, column in enumerate(_COLUMNS)
        if column.name not in _RARE or any(row[at].text for row in rows)
    ]
    Table([_COLUMNS[at] for at in shown], [[row[at] for at in shown] for row in rows])


def _row(number: int, attempt: dict[str, Any]) -> tuple[Cell, ...]:
    told = attempt.get("error_message", "")
    kind = attempt.get("error_type", "")
    began = attempt.get("started_us", 0)
    status = attempt.get("http_status", 0)
    dropped = ", ".join(attempt.get("dropped", ()))
    possible = attempt.get("possible_cost_nano_usd")
    return (
        Cell(str(number)),
        Cell(attempt.get("deployment", "")),
        Cell(f"{kind or 'ok'} {status or ''}", tone="bad" if kind else "good"),
        Cell(duration(began)),
        _since(began, attempt.get("connected_us", 0), reused=attempt.get("reused", False)),
        _since(began, attempt.get("first_byte_us", 0)),
        _since(began, attempt.get("ended_us", 0)),
        Cell(attempt.get("request_id", ""), tone="code"),
        Cell(attempt.get("asked_in", ""), hint="translated: the caller speaks another format"),
        Cell(dropped, hint="has no place in that format", tone="warn"),
        Cell(
            "" if possible is None else f"≤ {dollars(possible)}", hint="if the provider bills it", tone="warn"
        ),
        Cell(complaint(told), hint=told, tone="bad"),
    )


def _since(began_us: int, at_us: int, *, reused: bool = False) -> Cell:
    if reused:
        return Cell("reused", hint="the connection was open already", tone="mild")
    return Cell(duration(at_us - began_us)) if at_us >= began_us and at_us else Cell("–", tone="mild")
