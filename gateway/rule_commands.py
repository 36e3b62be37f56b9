"""`tidegate limits` and `tidegate budgets`: how much calls may take of the gateway, and what they may cost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from gateway.control.budget_words import BudgetAnswer, BudgetList
from gateway.control.limit_rules import LimitAnswer, LimitList
from gateway.key_commands import Admin, Call, Locate, console, group, when
from gateway.upkeep_commands import fail
from telemetry.words import dollars


class _Rule(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def project(self) -> str: ...

    @property
    def configured(self) -> bool: ...


class _Page(Protocol):
    @property
    def next_before(self) -> str | None: ...


T = TypeVar("T")
P = TypeVar("P", bound=_Page)
R = TypeVar("R", bound=_Rule)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What lists call it, or its id.")]
ProjectOption = Annotated[str, typer.Option(help="Only calls of this project count. Default: of all.")]
OnlyOption = Annotated[str, typer.Option("--project", help="Only of this project.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print it for programs.")]
PatternsOption = list[str] | None
AwayOption = Annotated[
    str | None,
    typer.Option(help="allow or refuse, while whoever counts is away. Budgets: empty as the amount says."),
]

_PAGE = 1000
_KEPT = {"per", "match"}


def limit_commands(locate: Locate, call: Call) -> typer.Typer:
    """Make `tidegate limits`."""
    app, admin = group("How much calls may take of the gateway.", locate, call)

    @app.command("list")
    def list_all(*, project: OnlyOption = "", as_json: JsonOption = False) -> None:
        """List limits: first those of the configuration file, then the newest."""
        found = [one for one in _limits(admin) if project in ("", one.project)]
        _show(found, _limits_table(found), as_json=as_json)

    @app.command("set")
    def set_one(
        name: NameArgument,
        *,
        project: ProjectOption = "",
        per: Annotated[
            list[str] | None,
            typer.Option(
                help="key, user, team, project, model or route has all of it for itself; may be repeated."
            ),
        ] = None,
        key: Annotated[
            PatternsOption, typer.Option(help="Like ci-*; may be repeated. So the next four.")
        ] = None,
        user: Annotated[PatternsOption, typer.Option()] = None,
        team: Annotated[PatternsOption, typer.Option()] = None,
        model: Annotated[PatternsOption, typer.Option()] = None,
        route: Annotated[PatternsOption, typer.Option()] = None,
        rpm: Annotated[
            int | None, typer.Option(help="Requests in any minute; 0: no limit of this kind.")
        ] = None,
        tpm: Annotated[int | None, typer.Option(help="Tokens in any minute, in and out.")] = None,
        concurrency: Annotated[int | None, typer.Option(help="Calls at once.")] = None,
        burst: Annotated[
            int | None, typer.Option(help="Spread requests evenly; so many may come at once.")
        ] = None,
        when_away: AwayOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """Make a limit, or change what is said of one that is there."""
        patterns = {"keys": key, "users": user, "teams": team, "models": model, "routes": route}
        told: dict[str, Any] = {"rpm": rpm, "tpm": tpm, "concurrency": concurrency, "burst": burst}
        told |= {field: [] if said == ["*"] else said for field, said in patterns.items()}
        told["when_away"] = when_away
        place = {"name": name, "project": project, "per": per}
        done = _set(admin, "limits", _find(_limits(admin), name, project), place, told, LimitAnswer)
        _show(done, _limits_table([done]), as_json=as_json)

    @app.command()
    def delete(name: NameArgument, *, project: ProjectOption = "") -> None:
        """End a limit."""
        _delete(admin, "limits", _needed(_find(_limits(admin), name, project), "limits", name), LimitAnswer)

    return app


def budget_commands(locate: Locate, call: Call) -> typer.Typer:
    """Make `tidegate budgets`."""
    app, admin = group("What calls may cost.", locate, call)

    @app.command("list")
    def list_all(*, project: OnlyOption = "", as_json: JsonOption = False) -> None:
        """List budgets and what is spent: first those of the configuration file, then the newest."""
        found = [one for one in _budgets(admin) if project in ("", one.project)]
        _show(found, _budgets_table(found), as_json=as_json)

    @app.command("set")
    def set_one(
        name: NameArgument,
        *,
        project: ProjectOption = "",
        per: Annotated[str | None, typer.Option(help="key, user, team or project. Default: project.")] = None,
        match: Annotated[
            str | None, typer.Option(help="Like ci-*: each that fits has the whole amount. Default: *.")
        ] = None,
        window: Annotated[str | None, typer.Option(help="day, week, month or total. Default: month.")] = None,
        zone: Annotated[
            str | None, typer.Option(help="Whose calendar, like Europe/Berlin. Default: UTC.")
        ] = None,
        soft: Annotated[
            str | None, typer.Option(help="Dollars; from here on calls go on with a warning.")
        ] = None,
        hard: Annotated[
            str | None, typer.Option(help="Dollars; calls that might cost more are refused.")
        ] = None,
        max_output_reserve: Annotated[
            int | None, typer.Option(help="Tokens: the longest answer under a hard budget.")
        ] = None,
        when_away: AwayOption = None,
        webhook: Annotated[
            str | None, typer.Option(help="Told by POST that a threshold was reached.")
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        """Make a budget, or change what is said of one that is there; what was spent stays."""
        told = {
            "window": window,
            "zone": zone,
            "soft_usd": soft,
            "hard_usd": hard,
            "max_output_reserve": max_output_reserve,
            "when_away": when_away,
            "webhook": webhook,
        }
        place = {"name": name, "project": project, "per": per, "match": match}
        done = _set(admin, "budgets", _find(_budgets(admin), name, project), place, told, BudgetAnswer)
        _show(done, _budgets_table([done]), as_json=as_json)

    @app.command()
    def delete(name: NameArgument, *, project: ProjectOption = "") -> None:
        """End a budget."""
        _delete(
            admin, "budgets", _needed(_find(_budgets(admin), name, project), "budgets", name), BudgetAnswer
        )

    @app.command()
    def spent(
        name: Annotated[str, typer.Argument(metavar="[NAME]", help="Of this budget. Default: of all.")] = "",
        *,
        project: ProjectOption = "",
        as_json: JsonOption = False,
    ) -> None:
        """Show what each key, user, team or project has spent in the present window, and what is put aside."""
        known = [_needed(_find(_budgets(admin), name, project), "budgets", name)] if name else _budgets(admin)
        found = [admin.ask("GET", _path("budgets", one), BudgetAnswer) for one in known]
        _show(found, _spent_table(found), as_json=as_json)

    return app


def _limits(admin: Admin) -> list[LimitAnswer]:
    return [one for page in _pages(admin, "limits", LimitList) for one in page.limits]


def _budgets(admin: Admin) -> list[BudgetAnswer]:
    return [one for page in _pages(admin, "budgets", BudgetList) for one in page.budgets]


def _pages(admin: Admin, kind: str, shape: type[P]) -> Iterator[P]:
    before: str | None = ""
    while before is not None:
        query = urlencode({"before": before, "limit": _PAGE})
        page = admin.ask("GET", f"/api/{kind}?{query}", shape)
        yield page
        before = page.next_before


def _find(known: list[R], name: str, project: str) -> R | None:
    """Return the rule that is meant, if it is there; end if several could be."""
    found = [one for one in known if one.id == name]
    found = found or [one for one in known if (one.name, one.project) == (name, project)]
    if len(found) > 1:
        fail(f"There are {len(found)} of the name {name!r}: say its id, as the list shows it.")
    return found[0] if found else None


def _needed(found: R | None, kind: str, name: str) -> R:
    if found is None:
        fail(
            f"There is no {name!r}: `tidegate {kind} list` shows what there is; one of a project needs --project."
        )
    return found


def _set(
    admin: Admin, kind: str, before: _Rule | None, place: dict[str, Any], told: dict[str, Any], shape: type[T]
) -> T:
    """Make a rule, or change what was told of the one before. `place`: what a rule keeps for good."""
    place = {field: value for field, value in place.items() if value is not None}
    told = {field: value for field, value in told.items() if value is not None}
    if before is None:
        return admin.ask("POST", f"/api/{kind}", shape, {**place, **told})
    for field in _KEPT & place.keys():
        is_so, wanted = (msgspec.json.encode(one).decode() for one in (getattr(before, field), place[field]))
        if is_so != wanted:
            fail(f"{before.name} has {field} {is_so}, and keeps it: delete it first, or choose another name.")
    if not told:
        fail(f"Say what shall be different: `tidegate {kind} set --help`.")
    return admin.ask("PATCH", _path(kind, before), shape, told)


def _delete(admin: Admin, kind: str, rule: _Rule, shape: type[object]) -> None:
    admin.ask("DELETE", _path(kind, rule), shape)
    console().print(f"{escape(rule.name)} ({escape(rule.id)}) is gone.")


def _path(kind: str, rule: _Rule) -> str:
    return f"/api/{kind}/{quote(rule.id, safe='')}"


def _show(found: object, table: Table, *, as_json: bool) -> None:
    if as_json:
        text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
        sys.stdout.write(f"{text}\n")
    else:
        console().print(table, soft_wrap=True)


def _limits_table(limits: list[LimitAnswer]) -> Table:
    table = Table("id", "name", "of", "for each", "only", box=None)
    for name in ("rpm", "tpm", "at once", "burst"):
        table.add_column(name, justify="right")
    for one in limits:
        patterns = {
            "key": one.keys,
            "user": one.users,
            "team": one.teams,
            "model": one.models,
            "route": one.routes,
        }
        only = "; ".join(f"{kind} {', '.join(some)}" for kind, some in patterns.items() if some)
        words = (one.id, one.name, one.project or "all projects", ", ".join(one.per) or "all together", only)
        numbers = (one.rpm, one.tpm, one.concurrency, one.burst)
        table.add_row(*map(escape, words), *(str(number or "") for number in numbers))
    return table


def _budgets_table(budgets: list[BudgetAnswer]) -> Table:
    table = Table("id", "name", "of", "for each", "in each", box=None)
    for name in ("soft", "hard", "spent", "put aside"):
        table.add_column(name, justify="right")
    table.add_column("ends")
    for one in budgets:
        words = (one.id, one.name, one.project or "all projects", f"{one.per} {one.match}", one.window)
        amounts = (f"${amount}" if amount else "" for amount in (one.soft_usd, one.hard_usd))
        sums = (dollars(one.spent_nano_usd), dollars(one.reserved_nano_usd))
        table.add_row(*map(escape, words), *amounts, *sums, when(one.ends_at) if one.ends_at else "")
    return table


def _spent_table(budgets: list[BudgetAnswer]) -> Table:
    table = Table("budget", "project", "whose", box=None)
    for name in ("spent", "of it estimated", "put aside", "soft", "hard"):
        table.add_column(name, justify="right")
    table.add_column("ends")
    for one in budgets:
        limits = [f"${amount}" if amount else "" for amount in (one.soft_usd, one.hard_usd)]
        for account in one.accounts:
            words = (one.name, account.project or one.project, f"{one.per} {account.subject}")
            sums = (account.spent_nano_usd, account.bounded_nano_usd, account.reserved_nano_usd)
            ends = when(account.ends_at) if account.ends_at else ""
            table.add_row(*map(escape, words), *map(dollars, sums), *limits, ends)
    return table
