"""What the address of a list says: filters, a time, and how far somebody has turned its pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

import msgspec
from fastapi import Request
from nicegui import ui

from dashboards.components.filters import Field
from dashboards.components.frame import link
from telemetry.answers import Refusal
from telemetry.api.ranges import moment
from telemetry.questions import Range
from telemetry.questions.filters import PROPERTY, Filters

STATUSES = ("ok", "error", "cancelled", "interrupted")


_HOW = ("live", "sort", "by", "then")
"""What changes how a list looks, not what is in it."""


class Narrow(msgspec.Struct, frozen=True):
    """One filter: what the query API calls it, and how its field looks."""

    filter: str
    label: str
    hint: str = ""
    choices: tuple[str, ...] = ()


NARROWS: Mapping[str, Narrow] = {
    "status": Narrow("status", "Status", choices=STATUSES),
    "model": Narrow("model", "Model", "gpt-4o"),
    "billed": Narrow("billed_model", "Billed model", "gpt-4o-2024-08-06"),
    "user": Narrow("user_id", "User"),
    "event": Narrow("event_id", "Event"),
    "thread": Narrow("thread_id", "Thread"),
    "agent": Narrow("agent_id", "Agent"),
    "key": Narrow("key_id", "Key"),
    "provider": Narrow("provider", "Provider", "openai"),
    "route": Narrow("route", "Route"),
    "variant": Narrow("variant", "Variant"),
    "error": Narrow("error_type", "Error type", "rate_limited"),
    "reason": Narrow("cost_reason", "No cost because", "unknown_model"),
    "step": Narrow("step", "Step", "retrieval"),
    "tag": Narrow("tag", "Tag"),
    "kind": Narrow("kind", "Kind", choices=("llm", "embedding", "log")),
    "project": Narrow("project", "Project"),
    "environment": Narrow("environment", "Environment"),
}
"""By their names in an address."""


class Address:
    """Where somebody is."""

    def __init__(self, request: Request) -> None:
        self.path = request.url.path
        self._pairs = request.query_params.multi_items()
        self._said = {name: value.strip() for name, value in self._pairs}

    def __getitem__(self, name: str) -> str:
        """Return what it says under this name; empty if nothing."""
        return self._said.get(name, "")

    @property
    def narrowed(self) -> bool:
        """Whether it asks for less than everything."""
        return any(value for name, value in self._pairs if name not in _HOW)

    @property
    def turned(self) -> list[str]:
        """The cursors of the pages behind, this one's last."""
        return [value for name, value in self._pairs if name == "after"]

    @property
    def cursor(self) -> str:
        """Where this page begins."""
        return self.turned[-1] if self.turned else ""

    def fields(self, names: Iterable[str], *, more: bool = False) -> list[Field]:
        """Return the fields of filters."""
        return [
            Field(name, one.label, self[name], hint=one.hint, choices=one.choices, more=more)
            for name in names
            for one in (NARROWS[name],)
        ]

    def filters(self, names: Iterable[str]) -> Filters:
        """Return the filters as the query API names them; raise Refusal for a property without a value."""
        found: dict[str, str | int | bool] = {
            NARROWS[name].filter: self[name] for name in names if self[name]
        }
        if said := self["property"]:
            name, equals, value = (part.strip() for part in said.partition("="))
            if not (name and equals and value):
                raise Refusal(
                    400, "bad_property", f"property={said!r}: write name=value, as in feature=search"
                )
            found[f"{PROPERTY}{name}"] = value
        return found

    def within(self, otherwise: Range | None = None) -> Range:
        """Return the time between `from` and `to`; raise Refusal for what is none."""
        otherwise = otherwise or Range()
        first, last = self["from"], self["to"]
        found = Range(
            moment("from", first) if first else otherwise.from_us,
            moment("to", last, last=True) if last else otherwise.to_us,
        )
        if found.from_us >= found.to_us:
            raise Refusal(400, "bad_range", f"from {first!r} is not before to {last!r}: choose others")
        return found

    def day_fields(self) -> list[Field]:
        """Return the fields of a first and a last day."""
        return [Field("from", "From", self["from"], type="date"), Field("to", "To", self["to"], type="date")]

    def moment_fields(self) -> list[Field]:
        """Return the fields of a first and a last moment."""
        return [
            Field("from", "From", self["from"], type="datetime-local"),
            Field("to", "To", self["to"], type="datetime-local"),
        ]

    def with_(self, **changes: str) -> str:
        """Return the address of the same list, on its first page, with some of what it says changed."""
        said = {name: value for name, value in self._said.items() if name != "after"} | changes
        return to(self.path, **said)

    def page(self, turned: list[str]) -> str:
        """Return the address of another page of the same list, from here."""
        kept = [pair for pair in self._pairs if pair[0] != "after"]
        return f"?{urlencode([*kept, *(('after', one) for one in turned)])}"


def to(path: str, **said: object) -> str:
    """Return an address that says this; what is empty is left out."""
    query = urlencode({name: value for name, value in said.items() if value})
    return f"{path}?{query}" if query else path


def pager(address: Address, next_cursor: str | None, *, back: str = "← newer", on: str = "older →") -> None:
    """Show the way to the pages before and after."""
    turned = address.turned
    if not (turned or next_cursor):
        return
    with ui.element("nav").classes("tg-pager"):
        if turned:
            link(back, address.page(turned[:-1]))
        if next_cursor:
            link(on, address.page([*turned, next_cursor]))
