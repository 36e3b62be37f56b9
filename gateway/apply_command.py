"""`tidegate apply`: makes the control records as a file declares them.

The file has the sections of `gateway/control/apply_words.py`, in the words of the configuration file and of the admin
API; keys of providers are named by the environment variable that holds them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from gateway import yaml_file
from gateway.config import ConfigError, environment
from gateway.control.apply_words import Applied, Change, Declared, DeclaredProject, DeclaredUser
from gateway.control.people_words import Email, NewTeam
from gateway.control.words import Name, NewKey
from gateway.key_commands import Admin, Call, KeyOption, Locate, UrlOption, console
from gateway.settings import Budget, Limit, Section
from gateway.upkeep_commands import ConfigOption, DataOption, fail
from gateway.yaml_file import Problem, Tree, dotted


class FromVariable(Section, frozen=True):
    """A provider's key, which stands in no file."""

    variable: str
    """The environment variable that holds it, where `tidegate apply` runs."""


class File(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of `tidegate apply`."""

    credentials: dict[str, FromVariable] | None = None


_ENTRIES: Mapping[str, tuple[Any, Any]] = {
    "projects": (Name, DeclaredProject),
    "users": (Email, DeclaredUser),
    "teams": (int, NewTeam),
    "keys": (int, NewKey),
    "limits": (Name, Limit),
    "budgets": (Name, Budget),
    "credentials": (Name, FromVariable),
}
"""What an entry of a section is called, and its shape."""

_SIGNS = {"create": "[green]+[/green]", "set": "[green]+[/green]"} | dict.fromkeys(
    ("delete", "revoke", "disable"), "[red]-[/red]"
)

_PLACES = ("project.", "environment.")
"""Are made as well for what lies in them."""


def apply_command(app: typer.Typer, locate: Locate, call: Call) -> None:
    """Add `tidegate apply`."""

    @app.command()
    def apply(
        declared: Annotated[Path, typer.Argument(metavar="FILE", help="What there shall be, as YAML.")],
        *,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Say what differs, and change nothing.")
        ] = False,
        prune: Annotated[
            bool, typer.Option("--prune", help="End what the file's sections do not name; projects stay.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print it for programs.")] = False,
        file: ConfigOption = None,
        data_dir: DataOption = None,
        url: UrlOption = "",
        key: KeyOption = "",
    ) -> None:
        """Make projects, users, teams, keys, limits, budgets and credentials as a file says: all of it, or nothing."""
        tree = _read(declared)
        order = {"wanted": _wanted(tree, declared, environment()), "prune": prune}
        admin = Admin(locate, call)
        admin.aim(file, data_dir, url, key)
        done = admin.ask("POST", "/api/apply", Applied, {**order, "dry_run": True})
        if done.faults:
            fail("\n".join(_faults(done, tree, declared)))
        if not dry_run and done.changes:
            done = admin.ask("POST", "/api/apply", Applied, order)
        if as_json:
            sys.stdout.write(msgspec.json.format(msgspec.json.encode(done), indent=2).decode() + "\n")
        else:
            _show(done, dry_run=dry_run)


def _read(file: Path) -> Tree:
    """Return what the file says; raise ConfigError."""
    try:
        tree = yaml_file.read(file.read_text("utf-8"), File, environment())
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(0, str(file), "is not UTF-8 text", "Save it as UTF-8.")]) from error
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise ConfigError([Problem(0, str(file), what, "Name another file.")]) from error
    problems = tree.problems or list(_misfits(tree))
    if problems:
        raise ConfigError(problems, source=str(file))
    return tree


def _misfits(tree: Tree) -> Iterator[Problem]:
    """Yield what is of the right type, and too long, too many or the like."""
    for section, entries in tree.values.items():
        name_shape, shape = _ENTRIES[section]
        pairs = entries.items() if isinstance(entries, dict) else enumerate(entries)
        for name, entry in pairs:
            path: tuple[str, ...] = (section, str(name))
            try:
                msgspec.convert(name, name_shape)
                msgspec.convert(entry, shape)
            except msgspec.ValidationError as error:
                field = re.search(r"`\$\.(\w+)", str(error))
                path = (*path, field[1]) if field else path
                what = str(error).partition(" - at ")[0]
                yield Problem(
                    tree.line(path), dotted(path), what[:1].lower() + what[1:], "Correct it in the file."
                )


def _wanted(tree: Tree, file: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what the file says as the API takes it, the variables' values in it; raise ConfigError."""
    wanted: dict[str, Any] = dict(tree.values)
    problems: list[Problem] = []
    for provider, one in wanted.get("credentials", {}).items():
        if not variables.get(one["variable"]):
            path = ("credentials", provider, "variable")
            what = f"the environment variable {one['variable']} is not set"
            problems.append(
                Problem(tree.line(path), dotted(path), what, "Set it, or leave this provider out.")
            )
    if problems:
        raise ConfigError(problems, source=str(file))
    if "credentials" in wanted:
        secrets = {
            name: {"secret": variables[one["variable"]]} for name, one in wanted["credentials"].items()
        }
        wanted["credentials"] = secrets
    return wanted


def _faults(done: Applied, tree: Tree, file: Path) -> Iterator[str]:
    for fault in done.faults:
        yield f"{file}:{tree.line(fault.path)}: {dotted(fault.path[:2])}: {fault.message}"
    yield "Nothing was changed."


def _show(done: Applied, *, dry_run: bool) -> None:
    if not done.changes:
        console().print("All is as declared.")
        return
    table = Table("", "what", "which", "of", "how", box=None, header_style="dim")
    for change in done.changes:
        sign = _SIGNS.get(change.action.rpartition(".")[2], "[yellow]~[/yellow]")
        which = change.target if change.action.startswith(_PLACES) else change.name
        words = (change.action, which, change.project, "; ".join(_details(change)))
        table.add_row(sign, *map(escape, words))
    console().print(table, soft_wrap=True)
    for key in done.issued:
        if key.key:
            console().print(
                f"\n{key.key}  is the key {escape(key.name)} of {escape(key.project)}.", soft_wrap=True
            )
    if any(key.key for key in done.issued):
        console().print("Keep what you need of this: it is not shown again.")
    if dry_run:
        console().print("\nNothing was changed: this was a dry run.")


def _details(change: Change) -> Iterator[str]:
    """Yield what is said of a new thing, or before and after of what differs."""
    new = change.action.endswith((".create", ".set"))
    for field, value in change.details.items():
        if new and field != "name" and value not in ("", [], None):
            yield f"{field}: {_text(value)}"
        elif (
            not new and isinstance(value, list) and len(value) == 2 and not change.action.endswith(".delete")
        ):
            yield f"{field}: {_text(value[0])} -> {_text(value[1])}"


def _text(value: object) -> str:
    return value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
