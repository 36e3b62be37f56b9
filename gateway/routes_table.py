"""Shows how deployments do as a table: what `tidegate routes` prints."""

from __future__ import annotations

import msgspec
from rich.markup import escape
from rich.table import Table

PATH = "/api/routes"

_STATES = {"closed": ("ok", "green"), "half_open": ("trying again", "yellow"), "open": ("failing", "red")}
"""What a breaker's state means: that it is closed says to few that all is well."""


class Way(msgspec.Struct, kw_only=True):
    """One deployment of one route."""

    route: str
    strategy: str
    deployment: str
    role: str
    weight: float
    state: str
    failure_ratio: float
    latency_ms: float
    cooldown_s: float
    in_flight: int
    variant: str = ""


class Report(msgspec.Struct, kw_only=True):
    """An answer of `/api/routes`."""

    slot: int
    """Of the worker that answered."""
    routes: list[Way]


def build(report: Report) -> Table:
    """Make the table: the routes in their order, then what was asked for without one."""
    shown = Table("route", "deployment", "asked", "state", box=None, header_style="dim")
    for name in ("failed", "latency", "under way", "left alone"):
        shown.add_column(name, justify="right")
    shown.title, shown.title_justify = f"as worker {report.slot} sees it", "left"
    last = ""
    for way in report.routes:
        state, colour = _STATES.get(way.state, (way.state, "white"))
        if state == "ok" and way.cooldown_s:
            state, colour = "cooling", "yellow"
        shown.add_row(
            escape(way.route if way.route != last else ""),
            escape(way.deployment or "as the route"),
            _asked(way),
            f"[{colour}]{escape(state)}[/{colour}]",
            f"{way.failure_ratio:.1%}",
            f"{way.latency_ms:.0f} ms" if way.latency_ms else "",
            str(way.in_flight or ""),
            f"{way.cooldown_s:g} s" if way.cooldown_s else "",
        )
        last = way.route
    if not report.routes:
        shown.add_row("[dim]no routes configured, and nothing was asked for yet[/dim]")
    return shown


def _asked(way: Way) -> str:
    """Say when this one is asked."""
    if way.variant:
        return escape(f"variant {way.variant}, weight {way.weight:g}")
    if way.role != "deployment":
        return {"fallback": "when the others fail"}.get(way.role, f"for the {way.role.replace('_', ' ')}")
    return (
        f"{way.strategy}, weight {way.weight:g}" if way.strategy in ("weighted", "sticky") else way.strategy
    )
