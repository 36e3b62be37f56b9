"""What all questions share: the store, the texts of queries, and where a page ended."""

from __future__ import annotations

import base64
import binascii
from functools import cached_property
from typing import TypeVar

import msgspec

from telemetry.answers import Refusal
from telemetry.questions.filters import Filters, Where, in_calls
from telemetry.questions.scope import END_OF_TIME_US, Range, Scope
from telemetry.questions.texts import load, load_corrected
from telemetry.store.base import Parameter, Row, Store

Cursor = TypeVar("Cursor")


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of calls or events ended."""

    started_at_us: int
    call_id: str
    value: int = 0
    """What the page was sorted by, if not by time."""
    sort: str = ""
    """How it was sorted; empty: by time."""


class Asker:
    """Asks one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def _ask(self, name: str, parameters: dict[str, Parameter]) -> list[Row]:
        """Ask what a file of `queries/` says."""
        return self._store.query(load(name), parameters)

    def _ask_calls(self, name: str, parameters: dict[str, Parameter]) -> list[Row]:
        """Ask what a file says of calls that cost what is known now."""
        if not self._corrected:
            return self._ask(name, parameters)
        return self._store.query(load_corrected(name), {**Range().parameters(), **parameters})

    @cached_property
    def _corrected(self) -> bool:
        """Whether any call costs something else than what its row says; told once for each asker."""
        (found,) = self._ask("corrections", {})
        return bool(found["corrections"])

    def _in_calls(self, scope: Scope, within: Range, filters: Filters) -> Where:
        """Return the condition on calls that cost what is known now."""
        return in_calls(scope, within, filters, corrected=self._corrected)

    def _read(self, sql: str, parameters: dict[str, Parameter]) -> list[Row]:
        """Ask what was put together here, of texts that stand in this package."""
        return self._store.query(sql, parameters)


def encoded(place: msgspec.Struct) -> str:
    """Return a cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def decoded(cursor: str, kind: type[Cursor]) -> Cursor:
    """Return what a cursor stands for; raise Refusal for one that is not ours."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
    except (binascii.Error, ValueError) as error:
        raise bad_cursor() from error


def place_of(cursor: str, sort: str = "") -> Place:
    """Return where a list sorted this way goes on; raise Refusal for a cursor of another."""
    place = decoded(cursor, Place)
    if place.sort != sort or not 0 <= place.started_at_us <= END_OF_TIME_US or abs(place.value) >= 2**63:
        raise bad_cursor()
    return place


def bad_cursor() -> Refusal:
    """Say that a cursor does not fit."""
    return Refusal(
        400,
        "bad_cursor",
        "cursor is not one of this list: pass `next_cursor` of the page before, with the same parameters",
        param="cursor",
    )
