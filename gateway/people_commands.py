"""`tidegate users`, `teams` and `credentials`: who may sign in, who belongs together, and keys of providers.

Secrets are typed, or read from standard input; never an option, which other users of the machine could see.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer
from rich.markup import escape
from rich.table import Table

from gateway.control.credentials import CredentialAnswer, CredentialList, Resealed
from gateway.control.people_words import Done, PersonAnswer, PersonList, TeamAnswer, TeamList
from gateway.key_commands import Admin, Call, Locate, console, group, when
from gateway.roles import EVERYWHERE, ROLE_NAMES
from gateway.upkeep_commands import fail

EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="Whose.")]
TeamArgument = Annotated[str, typer.Argument(metavar="TEAM", help="Its name.")]
ProviderArgument = Annotated[
    str, typer.Argument(metavar="PROVIDER", help="As the settings or catalog call it.")
]
RoleOption = Annotated[str, typer.Option("--role", help=f"{', '.join(ROLE_NAMES[:-1])}.")]
RoleProject = Annotated[
    str, typer.Option("--project", help="Where the role counts; * everywhere, as an owner's does.")
]
ProjectOption = Annotated[str, typer.Option("--project", help="Whose team. Default: default.")]
MemberOption = Annotated[
    list[str] | None, typer.Option("--member", help="E-mail address of a user; may be repeated.")
]


def user_commands(locate: Locate, call: Call) -> typer.Typer:
    """Make `tidegate users`."""
    app, admin = group("People who sign in to the pages.", locate, call)

    @app.command()
    def create(
        email: EmailArgument,
        *,
        role: RoleOption = "viewer",
        project: RoleProject = "",
        name: Annotated[str, typer.Option(help="What lists call them.")] = "",
        no_password: Annotated[
            bool, typer.Option("--no-password", help="Only the configured issuer lets them in.")
        ] = False,
    ) -> None:
        """Let somebody sign in; their password is asked for."""
        password = "" if no_password else _secret("Password", confirm=True)
        wanted = {"email": email, "name": name, "roles": _roles(role, project), "password": password}
        _show_people([admin.ask("POST", "/api/people", PersonAnswer, wanted)])

    @app.command("list")
    def list_all() -> None:
        """List who can sign in."""
        _show_people(admin.ask("GET", "/api/people", PersonList).people)

    @app.command()
    def role(
        email: EmailArgument,
        role: Annotated[str, typer.Argument(metavar="ROLE", help="One of the roles, or none.")],
        *,
        project: RoleProject = "",
    ) -> None:
        """Give somebody a role in a project, or take it away with `none`; they have to sign in anew."""
        _patch(admin, email, {"roles": _roles(role, project)})

    @app.command()
    def password(email: EmailArgument) -> None:
        """Give somebody another password, which is asked for; all their sessions end."""
        _patch(admin, email, {"password": _secret("Password", confirm=True)})

    @app.command()
    def disable(email: EmailArgument) -> None:
        """Lock somebody out at once, with all their sessions and keys of their own."""
        _patch(admin, email, {"disabled": True})

    @app.command()
    def enable(email: EmailArgument) -> None:
        """Let somebody in again; keys that were revoked stay so."""
        _patch(admin, email, {"disabled": False})

    return app


def team_commands(locate: Locate, call: Call) -> typer.Typer:
    """Make `tidegate teams`."""
    app, admin = group("People who share limits and budgets.", locate, call)

    @app.command()
    def create(
        name: TeamArgument, *, project: ProjectOption = "default", member: MemberOption = None
    ) -> None:
        """Make a team."""
        wanted = {"name": name, "project": project, "members": member or []}
        _show_teams([admin.ask("POST", "/api/teams", TeamAnswer, wanted)])

    @app.command("list")
    def list_all(*, project: Annotated[str, typer.Option(help="Only of this project.")] = "") -> None:
        """List teams with their members."""
        _show_teams(admin.ask("GET", f"/api/teams?{urlencode({'project': project})}", TeamList).teams)

    @app.command()
    def members(
        name: TeamArgument, *, project: ProjectOption = "default", member: MemberOption = None
    ) -> None:
        """Say who belongs to a team from now on."""
        path = _path("teams", name, project=project)
        _show_teams([admin.ask("PATCH", path, TeamAnswer, {"members": member or []})])

    @app.command()
    def delete(name: TeamArgument, *, project: ProjectOption = "default") -> None:
        """Take a team away; keys that name it keep the name."""
        admin.ask("DELETE", _path("teams", name, project=project), Done)
        console().print(f"{escape(name)} is gone.")

    return app


def credential_commands(locate: Locate, call: Call) -> typer.Typer:
    """Make `tidegate credentials`."""
    app, admin = group("Keys of providers that are set while the house is up.", locate, call)

    @app.command("set")
    def set_one(provider: ProviderArgument) -> None:
        """Set a provider's key, which is asked for; it wins over that of the settings."""
        secret = {"secret": _secret(f"Key of {provider}")}
        _show_credentials([admin.ask("PUT", _path("credentials", provider), CredentialAnswer, secret)])

    @app.command("list")
    def list_all() -> None:
        """List providers whose key was set; the keys themselves are told to nobody."""
        _show_credentials(admin.ask("GET", "/api/credentials", CredentialList).credentials)

    @app.command()
    def delete(provider: ProviderArgument) -> None:
        """Let what the settings say count again."""
        admin.ask("DELETE", _path("credentials", provider), Done)
        console().print(f"The key of {escape(provider)} is gone.")

    @app.command()
    def reseal() -> None:
        """Seal them under the present master key, after TIDEGATE_MASTER_KEY was changed; asks for the former one."""
        former = {"former": _secret("Former master key")}
        done = admin.ask("POST", "/api/credentials/reseal", Resealed, former)
        console().print(f"{done.resealed} sealed anew.")

    return app


def _patch(admin: Admin, email: str, body: dict[str, Any]) -> None:
    _show_people([admin.ask("PATCH", _path("people", email), PersonAnswer, body)])


def _roles(role: str, project: str) -> dict[str, str | None]:
    where = project or (EVERYWHERE if role == "owner" else "default")
    return {where: None if role == "none" else role}


def _secret(what: str, *, confirm: bool = False) -> str:
    """Ask for something that nobody else may read; a pipe is read to its end."""
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True, confirmation_prompt=confirm))
    said = sys.stdin.read().strip("\r\n")
    if not said:
        fail(f"{what}: nothing came by standard input.")
    return said


def _path(kind: str, name: str, **query: str) -> str:
    return f"/api/{kind}/{quote(name, safe='')}" + (f"?{urlencode(query)}" if query else "")


def _show_people(people: list[PersonAnswer]) -> None:
    table = Table("id", "e-mail", "name", "roles", "password", "state", box=None)
    for one in people:
        roles = ", ".join(f"{role} of {project}" for project, role in sorted(one.roles.items()))
        state = f"disabled {when(one.disabled_at)}" if one.disabled_at else "active"
        words = (one.id, one.email, one.name, roles, "yes" if one.has_password else "no", state)
        table.add_row(*map(escape, words))
    console().print(table, soft_wrap=True)


def _show_teams(teams: list[TeamAnswer]) -> None:
    table = Table("project", "team", "members", box=None)
    for one in teams:
        table.add_row(*map(escape, (one.project, one.name, ", ".join(one.members))))
    console().print(table, soft_wrap=True)


def _show_credentials(credentials: list[CredentialAnswer]) -> None:
    table = Table("provider", "fingerprint", "changed", box=None)
    for one in credentials:
        table.add_row(escape(one.provider), one.fingerprint, when(one.changed_at))
    console().print(table, soft_wrap=True)
