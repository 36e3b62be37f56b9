"""`tidegate keys` and `tidegate audit`: who may call, and who changed what.

Everything goes through the admin API: over the hub's own socket, which only this installation's user can open, or, if
`--url` or `--key` is given, at a gateway's public address with a key that has the scope admin. While the house is
down the store is opened here, by the same code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast
from urllib.parse import quote, urlencode

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.caller import Caller, NoAnswer, Reply
from gateway.control.words import AuditPage, IssuedKey, KeyAnswer, KeyPage
from gateway.places import Places
from gateway.processes.unix_http import ask
from gateway.settings import Settings
from gateway.upkeep_commands import ConfigOption, DataOption, fail

T = TypeVar("T")
Locate = Callable[[Path | None, str | None], tuple[Settings, Places]]
Call = Callable[[str, str], Caller]
"""Takes `--url` and `--key`, either of them empty."""

UrlOption = Annotated[
    str, typer.Option("--url", help="A gateway elsewhere. Default: that of these settings.")
]
KeyOption = Annotated[str, typer.Option("--key", help="A key with the scope admin, for a gateway elsewhere.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `tidegate keys list` shows it.")]
LimitOption = Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")]
OwnerOption = Annotated[str | None, typer.Option(help="Who answers for it.")]
TeamOption = Annotated[str | None, typer.Option(help="Whose limits and budgets count, too.")]
ScopeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        help="call, read, write, memory, admin, owner, view, costs; may be repeated. Default: call.",
    ),
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option("--model", help="Route or provider/model, `*` for any part; may be repeated. Default: all."),
]
UserOption = Annotated[
    list[str] | None, typer.Option("--user", help="Only for these users; may be repeated. Default: all.")
]
SurfaceOption = Annotated[
    list[str] | None,
    typer.Option("--surface", help="Like openai.chat or anthropic.*; may be repeated. Default: all."),
]
MemoryOption = Annotated[str | None, typer.Option(help="The most a call may ask for: on, read, write, off.")]
StoreOption = Annotated[str | None, typer.Option(help="full, metadata or none.")]
StaleOption = Annotated[
    str | None,
    typer.Option(help="refuse or serve, when the hub is away for longer than control.max_stale_s."),
]
HashOption = Annotated[
    str | None, typer.Option("--hash", help="SHA-256 of a secret that was made elsewhere, in hex.")
]
ExpiresOption = Annotated[
    str | None, typer.Option("--expires", help="Like 30d, 12h, 2027-01-31 (UTC), or never.")
]

_PATIENCE_S = 30.0
_WIDE = 160
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DOWN = "The house is down: its store was asked instead. What was changed counts from the next start."


class Admin:
    """The way to the admin API."""

    def __init__(self, locate: Locate, call: Call) -> None:
        self._locate = locate
        self._call = call
        self._house: tuple[Settings, Places] | None = None
        self._caller: Caller | None = None

    def aim(self, file: Path | None, data_dir: str | None, url: str, key: str) -> None:
        """Choose whom to ask. Raises NoAnswer, ConfigError."""
        self._caller = self._call(url, key) if url or key else None
        if self._caller is None:
            self._house = self._locate(file, data_dir)

    def is_open(self) -> bool:
        """Say whether the house on this host has no key yet: the first one closes it. Raises NoAnswer."""
        if self._house is None or self._house[0].keys:
            return False
        return not self.ask("GET", "/api/keys?limit=1", KeyPage).keys

    def ask(self, method: str, path: str, kind: type[T], body: object | None = None) -> T:
        """Return the answer, or end with what the API complains of. Raises NoAnswer."""
        reply = self._reply(method, path, body)
        if reply.status >= 300:
            fail(reply.complaint())
        return reply.read(kind)

    def _reply(self, method: str, path: str, body: object | None) -> Reply:
        if self._caller is not None:
            return self._caller.send(method, path, body)
        assert self._house is not None, "aim comes first"
        settings, places = self._house
        packed = msgspec.json.encode(body) if body is not None else None
        try:
            status, answer = ask(places.hub, method, path, packed, timeout_s=_PATIENCE_S)
        except (ConnectionRefusedError, FileNotFoundError):
            status, answer = _without_hub(settings, places, method, path, packed)
        except OSError as error:
            raise NoAnswer(
                f"{places.hub}: {error.strerror or error}. Ask as the user who runs it."
            ) from error
        return Reply(status, {}, answer)


def _without_hub(
    settings: Settings, places: Places, method: str, path: str, body: bytes | None
) -> tuple[int, bytes]:
    # Not at the top: only where the house is down is all of the hub's administration needed here.
    from gateway.processes.hubless import administer  # noqa: PLC0415

    status, answer = administer(settings, places, method, path, body)
    if method != "GET" and status < 300:
        sys.stderr.write(f"{_DOWN}\n")
    return status, answer


def group(about: str, locate: Locate, call: Call) -> tuple[typer.Typer, Admin]:
    """Make a group of commands, and the way they ask."""
    app = typer.Typer(no_args_is_help=True, help=about)
    admin = Admin(locate, call)

    @app.callback(help=f"{about} These options stand before the command.")
    def aim(
        *, file: ConfigOption = None, data_dir: DataOption = None, url: UrlOption = "", key: KeyOption = ""
    ) -> None:
        admin.aim(file, data_dir, url, key)

    return app, admin


def key_commands(locate: Locate, call: Call) -> typer.Typer:
    """Make `tidegate keys`."""
    app, admin = group("Keys that are made, changed and ended at any time.", locate, call)
    _add_making(app, admin)
    _add_showing(app, admin)
    _add_ending(app, admin)
    return app


def _add_making(app: typer.Typer, admin: Admin) -> None:
    @app.command()
    def create(
        name: Annotated[str, typer.Argument(help="What lists call it.")],
        *,
        project: Annotated[str | None, typer.Option(help="Whose calls they are. Default: default.")] = None,
        environment: Annotated[
            str | None, typer.Option(help="Where they are counted. Default: prod.")
        ] = None,
        owner: OwnerOption = None,
        team: TeamOption = None,
        scope: ScopeOption = None,
        model: ModelOption = None,
        user: UserOption = None,
        surface: SurfaceOption = None,
        memory: MemoryOption = None,
        store: StoreOption = None,
        when_stale: StaleOption = None,
        expires: ExpiresOption = None,
        hashed: HashOption = None,
    ) -> None:
        """Make a key: printed once here, kept nowhere."""
        given = _given(owner, team, scope, model, user, surface, memory, store, when_stale, expires)
        place = {"name": name, "project": project, "environment": environment, "hash": hashed}
        body = {field: value for field, value in {**place, **given}.items() if value is not None}
        closes = admin.is_open()
        _print_issued(admin.ask("POST", "/api/keys", IssuedKey, body), closes=closes)


def _add_showing(app: typer.Typer, admin: Admin) -> None:
    @app.command("list")
    def list_all(
        *,
        project: Annotated[str, typer.Option(help="Only of this project.")] = "",
        environment: Annotated[str, typer.Option(help="Only of this environment.")] = "",
        owner: Annotated[str, typer.Option(help="Only of this owner.")] = "",
        team: Annotated[str, typer.Option(help="Only of this team.")] = "",
        limit: LimitOption = 100,
    ) -> None:
        """List keys, newest first, without their secrets."""
        query = {"project": project, "environment": environment, "owner": owner, "team": team}
        page = admin.ask("GET", f"/api/keys?{urlencode({**query, 'limit': limit})}", KeyPage)
        console().print(_keys_table(page.keys), soft_wrap=True)
        if page.next_before:
            console().print("There are more: raise --limit, or name a project.")

    @app.command()
    def show(key_id: IdArgument) -> None:
        """Show what a key may do."""
        console().print(_key_table(admin.ask("GET", _path(key_id), KeyAnswer)), soft_wrap=True)

    @app.command()
    def change(
        key_id: IdArgument,
        *,
        name: Annotated[str | None, typer.Option(help="What lists call it.")] = None,
        owner: OwnerOption = None,
        team: TeamOption = None,
        scope: ScopeOption = None,
        model: ModelOption = None,
        user: UserOption = None,
        surface: SurfaceOption = None,
        memory: MemoryOption = None,
        store: StoreOption = None,
        when_stale: StaleOption = None,
        expires: ExpiresOption = None,
    ) -> None:
        """Change what a key may do; `--model '*'` and the like allow all again."""
        body = _given(owner, team, scope, model, user, surface, memory, store, when_stale, expires)
        if name is not None:
            body["name"] = name
        if not body:
            fail("Say what shall be different: `tidegate keys change --help`.")
        console().print(_key_table(admin.ask("PATCH", _path(key_id), KeyAnswer, body)), soft_wrap=True)


def _add_ending(app: typer.Typer, admin: Admin) -> None:
    @app.command()
    def rotate(
        key_id: IdArgument,
        *,
        overlap: Annotated[
            str, typer.Option(help="How long the former secret still counts, like 24h; 0s ends it now.")
        ] = "24h",
        hashed: HashOption = None,
    ) -> None:
        """Give a key another secret: printed once here, kept nowhere."""
        body = {"overlap_s": _duration("--overlap", overlap), "hash": hashed or ""}
        _print_issued(admin.ask("POST", f"{_path(key_id)}/rotate", IssuedKey, body))

    @app.command()
    def revoke(key_id: IdArgument) -> None:
        """End a key at once, and for good."""
        ended = admin.ask("POST", f"{_path(key_id)}/revoke", KeyAnswer)
        print(f"{ended.id} ({ended.name}) is revoked: no worker takes it any more.")  # noqa: T201


def audit_command(app: typer.Typer, locate: Locate, call: Call) -> None:
    """Add `tidegate audit`."""

    @app.command()
    def audit(
        *,
        limit: LimitOption = 50,
        file: ConfigOption = None,
        data_dir: DataOption = None,
        url: UrlOption = "",
        key: KeyOption = "",
    ) -> None:
        """Show who changed what, newest first."""
        admin = Admin(locate, call)
        admin.aim(file, data_dir, url, key)
        page = admin.ask("GET", f"/api/audit?limit={limit}", AuditPage)
        table = Table("", "when", "who", "what", "to", "project", "details", box=None, header_style="dim")
        for line in page.lines:
            details = msgspec.json.encode(line.details).decode() if line.details else ""
            words = (when(line.at), line.actor, line.action, line.target, line.project, details)
            table.add_row(str(line.revision), *map(escape, words))
        console().print(table, soft_wrap=True)


def _given(
    owner: str | None,
    team: str | None,
    scope: list[str] | None,
    model: list[str] | None,
    user: list[str] | None,
    surface: list[str] | None,
    memory: str | None,
    store: str | None,
    when_stale: str | None,
    expires: str | None,
) -> dict[str, Any]:
    """Return the fields of the API that were told."""
    told = {
        "owner": owner,
        "team": team,
        "scopes": scope,
        "models": model,
        "users": user,
        "surfaces": surface,
        "memory": memory,
        "store": store,
        "when_stale": when_stale,
    }
    given: dict[str, Any] = {field: value for field, value in told.items() if value is not None}
    for field in ("models", "users", "surfaces"):
        if given.get(field) == ["*"]:
            given[field] = []
    if expires is not None:
        given["expires_at"] = None if expires == "never" else _moment(expires)
    return given


def _moment(text: str) -> datetime:
    if re.fullmatch(r"[0-9]{1,9}[smhd]", text):
        return datetime.now(UTC) + timedelta(seconds=_duration("--expires", text))
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--expires {text!r} is not a time: write it like 30d, 12h, 2027-01-31, or never.")
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _duration(name: str, text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if found is None:
        fail(f"{name} {text!r} is not a time span: write it like 24h, 30m, or 0s.")
    return int(found[1]) * _SECONDS[found[2]]


def _path(key_id: str) -> str:
    return f"/api/keys/{quote(key_id, safe='')}"


def _print_issued(key: IssuedKey, *, closes: bool = False) -> None:
    kept = "Keep it: it is not shown again. " if key.key else ""
    lines = [key.key, ""] if key.key else []
    lines.append(f"{kept}Its id is {key.id}, its name {key.name}.")
    lines += [
        f"The former secret {former.prefix}... counts until {when(former.until)}." for former in key.former
    ]
    if closes:
        lines.append("It is the first: calls and pages that come without a key are refused from now on.")
    print("\n".join(lines))  # noqa: T201 - what was asked for


def _keys_table(keys: list[KeyAnswer]) -> Table:
    table = Table(
        "id", "name", "secret", "state", "project", "environment", "owner", "scopes", "expires", box=None
    )
    for key in keys:
        expires = when(key.expires_at) if key.expires_at else ""
        words = (key.id, key.name, f"{key.prefix}...", key.state, key.project, key.environment, key.owner)
        table.add_row(*map(escape, words), ", ".join(key.scopes), expires)
    return table


def _key_table(key: KeyAnswer) -> Table:
    table = Table(box=None, show_header=False)
    for name, value in msgspec.structs.asdict(key).items():
        table.add_row(name, escape(_words(name, value)))
    return table


def _words(name: str, value: object) -> str:
    if isinstance(value, datetime):
        return when(value)
    if name == "former":
        return (
            ", ".join(f"{one.prefix}... until {when(one.until)}" for one in cast("list[Any]", value))
            or "none"
        )
    if isinstance(value, tuple):
        return ", ".join(value) or "all"
    return "never" if value is None else str(value)


def when(moment: datetime) -> str:
    """Return a moment as these lists show it."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def console() -> Console:
    """Return where to print: a pipe has no edge."""
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
