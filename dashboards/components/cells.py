"""Cells that more than one page shows."""

from __future__ import annotations

from urllib.parse import quote

from dashboards.components.table import Cell
from telemetry.answers import CallAnswer
from telemetry.words import dollars

_TONES = {"ok": "good", "error": "bad", "cancelled": "warn", "interrupted": "warn"}


def address(kind: str, identifier: str) -> str:
    """Return where the page of an event or a call is."""
    return f"/{kind}/{quote(identifier, safe='')}"


def count(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}".replace(",", "\u202f")


def status_of(call: CallAnswer) -> Cell:
    """Say how a call ended."""
    said = f"{call.status} {call.http_status}" if call.http_status >= 400 else call.status
    return Cell(said, hint=call.error_type, tone=_TONES.get(call.status, ""))


def tokens(number: int, call: CallAnswer) -> Cell:
    """Show a number of tokens, marked where nobody counted."""
    match call.usage_source:
        case "none":
            return Cell("–", hint="the provider reported no usage", tone="mild")
        case "estimated":
            return Cell(f"~{count(number)}", hint="estimated")
        case _:
            return Cell(count(number))


def cost(call: CallAnswer) -> Cell:
    """Show what a call cost, or why nobody knows."""
    if call.cost_nano_usd is None:
        return Cell("–", hint=call.cost_reason, tone="mild")
    return Cell(dollars(call.cost_nano_usd), hint=call.price_row)
