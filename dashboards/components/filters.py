"""The filters above a list."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from nicegui.element import Element


class Field(msgspec.Struct, frozen=True):
    """One filter; `name` is its parameter in the address."""

    name: str
    label: str
    value: str = ""
    type: str = "text"
    """Of the HTML input; `datetime-local` is shown in the reader's own time and kept in UTC."""
    hint: str = ""
    choices: tuple[str, ...] = ()
    none: str = "any"
    """The choice of nothing; empty: something has to be chosen."""
    clears: tuple[str, ...] = ()
    """Fields that say nothing any more once this one does."""
    more: bool = False
    """Shown on request, or if it has a value."""


class Filters(Element, component="filters.js"):
    """A form that goes to `path` with what was filled in."""

    def __init__(self, path: str, fields: Sequence[Field]) -> None:
        super().__init__()
        self._props["path"] = path
        self._props["fields"] = msgspec.to_builtins(fields)
