"""`tidegate projects`: the tenants, and where their calls are counted."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from gateway.control.words import ProjectAnswer, ProjectList
from gateway.key_commands import Call, Locate, console, group, when


def project_commands(locate: Locate, call: Call) -> typer.Typer:
    """Make `tidegate projects`."""
    app, admin = group("Tenants, and where their calls are counted.", locate, call)

    @app.command("list")
    def list_all() -> None:
        """List projects with their environments."""
        _show(admin.ask("GET", "/api/projects", ProjectList).projects)

    @app.command()
    def create(
        name: Annotated[str, typer.Argument(metavar="PROJECT", help="Its id.")],
        *,
        environment: Annotated[
            list[str] | None, typer.Option("--environment", help="May be repeated. Default: prod.")
        ] = None,
    ) -> None:
        """Make a project, or further environments of one; neither is ever taken away."""
        wanted = {"id": name, "environments": environment or ["prod"]}
        _show([admin.ask("POST", "/api/projects", ProjectAnswer, wanted)])

    return app


def _show(projects: list[ProjectAnswer]) -> None:
    table = Table("project", "environments", "made", box=None)
    for one in projects:
        table.add_row(escape(one.id), escape(", ".join(one.environments)), when(one.created_at))
    console().print(table, soft_wrap=True)
