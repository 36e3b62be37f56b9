"""Tables, and lists of facts, which are tables without a head."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from nicegui.element import Element


class Column(msgspec.Struct, frozen=True):
    """One column; `name` is its CSS class."""

    name: str
    label: str
    number: bool = False
    """Aligned to the right, in digits of one width."""


class Cell(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands in one place of a table."""

    text: str = ""
    href: str = ""
    hint: str = ""
    """Shown when the pointer rests on it."""
    tone: str = ""
    """A CSS class: `good`, `bad`, `mild`, `code`."""
    at: str = ""
    """A moment (ISO 8601) instead of a text: shown in the reader's own time, with UTC as the hint."""


class Table(Element, component="table.js"):
    """Rows of cells under their columns."""

    def __init__(
        self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, headed: bool = True
    ) -> None:
        super().__init__()
        self._props["columns"] = msgspec.to_builtins(columns)
        self._props["rows"] = msgspec.to_builtins(rows)
        self._props["headed"] = headed


def facts(pairs: Sequence[tuple[str, Cell]]) -> None:
    """Show names and values; those without a value are left out."""
    rows = [(Cell(name), cell) for name, cell in pairs if cell.text or cell.at]
    Table((Column("name", ""), Column("value", "")), rows, headed=False).classes("tg-facts")
