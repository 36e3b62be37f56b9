"""Sums as tables show them: a line for each group, and what all of them make together."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from dashboards.components.cells import count
from dashboards.components.frame import text
from dashboards.components.table import Cell, Column
from telemetry.answers import dollars
from telemetry.figures import Sums

COLUMNS = (
    Column("calls", "Calls", number=True),
    Column("failed", "Failed", number=True),
    Column("unpriced", "No price", number=True),
    Column("tokens", "Tokens in", number=True),
    Column("tokens", "cached", number=True),
    Column("tokens", "out", number=True),
    Column("saved", "Saved", number=True),
    Column("cost", "Cost", number=True),
)


def cells(sums: Sums, *, calls: str = "", tone: str = "") -> tuple[Cell, ...]:
    """Return what `COLUMNS` say of some calls; `calls`: where they are listed."""
    return (
        Cell(count(sums.calls), href=calls, tone=tone),
        _some(sums.errors, "bad"),
        _some(sums.unpriced, "warn"),
        Cell(count(sums.input_tokens), tone=tone),
        Cell(count(sums.cache_read), tone=tone),
        Cell(count(sums.output_tokens), tone=tone),
        Cell(exact(sums.cache_saved_nano_usd), tone=tone or "mild"),
        money(sums, tone=tone),
    )


def exact(nano: int) -> str:
    """Return dollars with all their decimals, so that they stand below each other."""
    return f"${dollars(nano)}"


def money(sums: Sums, *, tone: str = "") -> Cell:
    """Show what calls cost, if anybody knows it of any of them."""
    if sums.cost_nano_usd is None:
        return Cell("–", hint="no price is known", tone="mild")
    left_out = f"without {count(sums.unpriced)} calls that have no price" if sums.unpriced else ""
    return Cell(exact(sums.cost_nano_usd), hint=left_out, tone=tone)


def total(groups: int, sums: Sums) -> tuple[Cell, ...]:
    """Return the last line, under so many columns of groups."""
    names: Sequence[Cell] = [Cell("all" if not at else "", tone="total") for at in range(groups)]
    return (*names, *cells(sums, tone="total"))


def figures(sums: Sums) -> None:
    """Show the numbers that matter most, large."""
    shown = {
        "Cost": money(sums).text,
        "Calls": count(sums.calls),
        "Tokens in": count(sums.input_tokens),
        "Tokens out": count(sums.output_tokens),
        "Saved by caches": exact(sums.cache_saved_nano_usd),
        "Without a price": count(sums.unpriced - sums.interrupted),
        "Interrupted": count(sums.interrupted),
    }
    with ui.element("dl").classes("tg-figures"):
        for name, value in shown.items():
            with ui.element("div"):
                text(name, "dt")
                text(value, "dd")


def _some(number: int, tone: str) -> Cell:
    return Cell(count(number), tone=tone) if number else Cell("–", tone="mild")
