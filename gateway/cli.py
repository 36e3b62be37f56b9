"""The command `tidegate`: starts the house, checks its settings, shows its calls."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import urlencode, urlsplit

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway import (
    apply_command,
    calls_tree,
    config,
    demo,
    doctor,
    key_commands,
    memory_commands,
    people_commands,
    project_commands,
    routes_table,
    rule_commands,
    upkeep_commands,
)
from gateway.caller import Caller, NoAnswer
from gateway.clock import SystemClock
from gateway.config import ConfigError
from gateway.control.records_thread import any_issued
from gateway.demo import Demo
from gateway.places import Places
from gateway.processes import supervisor
from gateway.processes.alone import alone
from gateway.processes.doors import StartRefused, run_folder
from gateway.providers.catalog import Catalog, build
from gateway.settings import Settings
from gateway.yaml_file import Problem

app = typer.Typer(
    name="tidegate",
    help="OpenAI-compatible gateway that routes, records, prices and remembers every LLM call.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Default: TIDEGATE_CONFIG, else ./tidegate.yaml if there is one."),
]
DataOption = Annotated[
    str | None, typer.Option("--data-dir", help="Where journal, ledger and keys are kept.")
]
HostOption = Annotated[str | None, typer.Option("--host", help="Address to listen on.")]
PortOption = Annotated[int | None, typer.Option("--port", help="Port to listen on; 0 takes a free one.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", help="Worker processes; one per core is plenty.")
]
UrlOption = Annotated[
    str, typer.Option("--url", help="Where the gateway is. Default: where it would be started.")
]
KeyOption = Annotated[str, typer.Option("--key", help="A key of the gateway. Default: TIDEGATE_KEY.")]

_WIDE = 160
"""Columns when nobody is looking at a terminal: a log or a pipe has no edge."""


def main() -> None:
    """Run the command line; what a person can correct is one clear line, not a traceback."""
    try:
        app()
    except ConfigError as error:
        _fail(*error.texts())
    except (StartRefused, NoAnswer) as error:
        _fail(str(error))
    except OSError as error:
        if not error.filename:
            raise
        _fail(
            f"{error.filename}: {error.strerror}. Choose another folder with --data-dir, or let this user write there."
        )


@app.callback(invoke_without_command=True)
def root(
    *, show_version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False
) -> None:
    """OpenAI-compatible gateway that routes, records, prices and remembers every LLM call."""
    if show_version:
        print(f"tidegate {version('tidegate')}")
        raise typer.Exit


@app.command()
def serve(
    *,
    host: HostOption = None,
    port: PortOption = None,
    data_dir: DataOption = None,
    file: ConfigOption = None,
    workers: WorkersOption = None,
) -> None:
    """Start the whole house: workers, hub and telemetry, until Ctrl-C."""
    given = {"server.host": host, "server.port": port, "server.workers": workers, "data_dir": data_dir}
    settings, places, notes = _public(file, given)
    raise typer.Exit(supervisor.run(settings, places, notes=notes))


@app.command()
def worker(
    *,
    host: HostOption = None,
    port: PortOption = None,
    data_dir: DataOption = None,
    file: ConfigOption = None,
) -> None:
    """Run one worker apart; this host still needs a telemetry process for its journal."""
    settings, places, notes = _public(file, {"server.host": host, "server.port": port, "data_dir": data_dir})
    for note in notes:
        print(note, flush=True)  # this process becomes another program
    alone("worker", settings, places)


@app.command()
def hub(*, data_dir: DataOption = None, file: ConfigOption = None) -> None:
    """Run the hub apart: memory, keys, limits."""
    settings = _load(file, {"data_dir": data_dir})
    alone("hub", settings, _places(settings))


@app.command()
def telemetry(*, data_dir: DataOption = None, file: ConfigOption = None) -> None:
    """Run the telemetry process apart: collector, query API, dashboard."""
    settings = _load(file, {"data_dir": data_dir})
    alone("telemetry", settings, _places(settings))


@app.command()
def litellm(*, data_dir: DataOption = None, file: ConfigOption = None) -> None:
    """Run the process apart that asks the providers of models named litellm/..."""
    settings = _load(file, {"data_dir": data_dir})
    alone("litellm", settings, _places(settings))


@app.command()
def check(*, file: ConfigOption = None) -> None:
    """Check the configuration; every mistake with its line and what to write instead."""
    settings = _load(file, {})
    if not config.in_container(config.environment()):
        config.guard_public_address(settings, issued=_issued(settings))
    _console().print(_summary(settings, config.find_file(file, config.environment())))


@app.command("doctor")
def examine(*, file: ConfigOption = None, data_dir: DataOption = None, port: PortOption = None) -> None:
    """Check this machine: ports, stores, keys, certificates, proxy, clock, disk."""
    settings = _load(file, {"data_dir": data_dir, "server.port": port})
    rows = doctor.examine(
        settings, _places(settings), key_variables=Catalog.load().key_variables(), clock=SystemClock()
    )
    _console().print(doctor.table(rows))
    raise typer.Exit(1 if any(row.state == "fail" for row in rows) else 0)


@app.command()
def key(*, name: Annotated[str, typer.Option(help="What the ledger calls it.")] = "me") -> None:
    """Make a key: printed once here, kept nowhere."""
    fresh = config.new_key()
    print(f"{fresh}\n\nKeep it: it is not shown again. These lines of tidegate.yaml let it in:\n")
    print(f'keys:\n  - name: {msgspec.json.encode(name).decode()}\n    hash: "{config.hash_key(fresh)}"')


@app.command()
def calls(
    *,
    event: Annotated[str | None, typer.Option(help="The calls of one event.")] = None,
    user: Annotated[str | None, typer.Option(help="The latest calls of one user.")] = None,
    thread: Annotated[str | None, typer.Option(help="The latest calls of one thread.")] = None,
    url: UrlOption = "",
    secret: KeyOption = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 200,
) -> None:
    """Show calls as a tree, with every attempt, their tokens, cost and time."""
    named = {"event": event, "user": user, "thread": thread}
    chosen = [(kind, name) for kind, name in named.items() if name]
    if len(chosen) != 1:
        _fail("Say whose calls: one of --event, --user and --thread.")
    kind, name = chosen[0]
    # An event's calls come oldest first; as a parameter its id may hold a slash.
    path, parameter = ("/api/events", "id") if kind == "event" else ("/api/calls", f"{kind}_id")
    path += "?" + urlencode({parameter: name, "limit": limit})
    gateway = _caller(url, secret)
    reply = gateway.get(path)
    if reply.status != 200:
        _fail(reply.complaint())
    try:
        page = calls_tree.parse(reply.body)
    except msgspec.DecodeError:
        _fail(f"{gateway.url} answers, but not as a Tidegate. Name the gateway with --url.")
    _console().print(calls_tree.build(f"{kind} {name}", page), soft_wrap=True)


@app.command()
def routes(*, url: UrlOption = "", secret: KeyOption = "") -> None:
    """Show how the deployments of every route do, as the worker that answers sees it."""
    gateway = _caller(url, secret)
    reply = gateway.get(routes_table.PATH)
    if reply.status != 200:
        _fail(reply.complaint())
    try:
        report = reply.read(routes_table.Report)
    except msgspec.DecodeError:
        _fail(f"{gateway.url} answers, but not as a Tidegate. Name the gateway with --url.")
    _console().print(routes_table.build(report))


@app.command("demo")
def show_off(*, url: UrlOption = "", secret: KeyOption = "") -> None:
    """Make a few calls through the running gateway, and say what to look at."""
    play = Demo(_caller(url, secret))
    made = list(play.run())
    console = _console()
    console.print(demo.table(made, play.recorded(made)))
    if made[1].memory != "injected":
        why = f"it answered {made[1].memory!r}" if made[1].memory else "it is off"
        console.print(f"\nThe second call got no memory of the first: {why}.")
    console.print("\nOpen in a browser:")
    for address, what in demo.what_to_open(_caller(url, secret).url, made):
        console.print(f"  {address}  {what}", soft_wrap=True)


def _located(file: Path | None, data_dir: str | None) -> tuple[Settings, Places]:
    settings = _load(file, {"data_dir": data_dir})
    return settings, _places(settings)


app.add_typer(upkeep_commands.journal_commands(_located), name="journal")
app.add_typer(upkeep_commands.price_commands(_located), name="prices")
upkeep_commands.erase_command(app, _located)


def _caller(url: str, secret: str) -> Caller:
    """Return the way to the gateway that was named, or to that of these settings."""
    return Caller(url or _own_url(_load(None, {})), secret or config.environment().get("TIDEGATE_KEY", ""))


app.add_typer(key_commands.key_commands(_located, _caller), name="keys")
app.add_typer(memory_commands.memory_commands(_located), name="memory")
key_commands.audit_command(app, _located, _caller)
app.add_typer(rule_commands.limit_commands(_located, _caller), name="limits")
app.add_typer(rule_commands.budget_commands(_located, _caller), name="budgets")
app.add_typer(project_commands.project_commands(_located, _caller), name="projects")
apply_command.apply_command(app, _located, _caller)
app.add_typer(people_commands.user_commands(_located, _caller), name="users")
app.add_typer(people_commands.team_commands(_located, _caller), name="teams")
app.add_typer(people_commands.credential_commands(_located, _caller), name="credentials")


def _load(file: Path | None, overrides: Mapping[str, object]) -> Settings:
    catalog = Catalog.load()
    variables = {name: row.key_variable for name, row in catalog.rows.items()}
    settings = config.load(file, config.environment(), overrides=overrides, key_variables=variables)
    try:
        build(settings.providers, catalog)  # a worker would refuse them only after the start
    except ValueError as error:
        raise ConfigError([Problem(0, "", str(error), "Correct it in the file.")]) from error
    return settings


def _places(settings: Settings) -> Places:
    data = Path(settings.data_dir).expanduser().absolute()
    return Places(data=data, run=run_folder(data))


def _public(file: Path | None, overrides: Mapping[str, object]) -> tuple[Settings, Places, list[str]]:
    """Settings of a process that other machines may reach, and what its first lines should say."""
    settings = _load(file, overrides)
    places = _places(settings)
    notes: list[str] = []
    if config.in_container(config.environment()):
        settings, fresh = config.first_key(settings, places)
        if fresh:
            notes.append(
                f"  first key           {fresh} (shown once; kept in {places.secrets / 'first-key'})"
            )
    issued = _issued(settings)
    config.guard_public_address(settings, issued=issued)
    if not settings.keys and not issued:
        notes.append("  OPEN MODE           no keys: any program of this machine may call")
    return settings, places, notes


def _issued(settings: Settings) -> bool:
    """Whether anybody was ever given a virtual key."""
    places = _places(settings)
    return any_issued(places.control, settings.control.url, otherwise=places.keys.exists())


def _own_url(settings: Settings) -> str:
    """Where a client on this machine finds the gateway of these settings."""
    host = settings.server.host
    if not config.is_loopback(host):
        host = "127.0.0.1"  # it listens there too, or at one address that --url has to name
    return (
        f"http://[{host}]:{settings.server.port}" if ":" in host else f"http://{host}:{settings.server.port}"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _who_may_call(settings: Settings) -> str:
    count, issued = len(settings.keys), _issued(settings)
    if count or issued:
        also = " and virtual ones" if issued else ""
        return _counted(count, "key") + also if count else "virtual keys"
    if config.is_loopback(settings.server.host):
        return "open mode: no keys, this machine only"
    return "the first start makes a key"


def _summary(settings: Settings, file: Path | None) -> Table:
    """What the settings amount to."""
    table = Table(title="tidegate check: good", title_justify="left", show_header=False)
    table.add_row("file", escape(str(file)) if file else "none: defaults and the environment")
    server = settings.server
    table.add_row("listens on", escape(f"{server.host}:{server.port}, {_counted(server.workers, 'worker')}"))
    table.add_row("who may call", _who_may_call(settings))
    table.add_row("data", escape(settings.data_dir))
    clickhouse = urlsplit(settings.clickhouse.url)
    table.add_row(
        "ledger", escape(f"ClickHouse at {clickhouse.hostname}") if clickhouse.hostname else "embedded"
    )
    with_key = sorted(name for name, provider in settings.providers.items() if provider.api_key)
    without = sorted(name for name, provider in settings.providers.items() if not provider.api_key)
    table.add_row("providers with a key", escape(", ".join(with_key)) or "none")
    table.add_row("providers without a key", escape(", ".join([*without, "sandbox"])))
    for name, route in settings.routes.items():
        models = ", then ".join(deployment.model for deployment in route.deployments)
        table.add_row(f"route {escape(name)}", escape(models))
    for name, meant in config.misspelt(config.environment()).items():
        table.add_row(f"ignored: {escape(name)}", f"nobody reads it. Did you mean {meant}?")
    return table


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def _fail(*lines: str) -> NoReturn:
    for line in lines:
        print(line, file=sys.stderr)
    sys.exit(1)
