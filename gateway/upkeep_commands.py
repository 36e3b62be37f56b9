"""`tidegate journal` and `tidegate prices`: is everything there, and what did it cost after all.

The process that has the store open does the work; it is asked over its own socket, which only this user can open. What
is only files is read here as well, so that it can be looked at while the house is down.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar
from urllib.parse import urlencode

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.places import Places
from gateway.processes.unix_http import ask
from gateway.settings import Settings
from telemetry.follower import checkpoint_of
from telemetry.upkeep.inspection import Check, JournalState, Reader, state
from telemetry.upkeep.messages import (
    MEMORY,
    STORE,
    Erasure,
    Lift,
    Order,
    Place,
    Replay,
    Replayed,
    Rerate,
    Rerated,
)
from telemetry.words import dollars

T = TypeVar("T")
Locate = Callable[[Path | None, str | None], tuple[Settings, Places]]
"""Settings and places of the installation that `--config` and `--data-dir` name."""

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Default: TIDEGATE_CONFIG, else ./tidegate.yaml if there is one."),
]
DataOption = Annotated[
    str | None, typer.Option("--data-dir", help="Where journal, ledger and keys are kept.")
]
DayArgument = Annotated[str, typer.Option(metavar="DAY", help="As in 2026-11-21, UTC; both days included.")]

_PATIENCE_S = 3600.0
_MB = 1 << 20
_WIDE = 160


class Away(Exception):
    """The house is down."""


def journal_commands(locate: Locate) -> typer.Typer:
    """Make `tidegate journal`."""
    app = typer.Typer(no_args_is_help=True, help="The files that remember calls until the ledger has them.")

    @app.command()
    def status(*, file: ConfigOption = None, data_dir: DataOption = None) -> None:
        """Show segments, who still needs them, open calls and dead letters."""
        settings, places = locate(file, data_dir)
        _console().print(_state_table(_state(settings, places)), soft_wrap=True)

    @app.command()
    def verify(*, file: ConfigOption = None, data_dir: DataOption = None) -> None:
        """Read every segment and compare it with the ledger; ends with 1 if something is wrong."""
        _, places = locate(file, data_dir)
        try:
            checks = _asked(places, "GET", "/api/journal/verify", None, list[Check])
            note = ""
        except Away:
            checks = Reader(places.journal, checkpoint_of(places.journal, STORE)).checks()
            note = "The house is down: the files were read, and not compared with the ledger."
        console = _console()
        console.print(_checks_table(checks), soft_wrap=True)
        if note:
            console.print(note)
        raise typer.Exit(0 if all(check.ok for check in checks) else 1)

    @app.command()
    def replay(
        names: Annotated[
            list[str] | None, typer.Argument(metavar="SEGMENT...", help="Names, or paths of copies.")
        ] = None,
        *,
        dead_letters: Annotated[
            bool, typer.Option("--dead-letters", help="What was refused, once the cause is mended.")
        ] = False,
        file: ConfigOption = None,
        data_dir: DataOption = None,
    ) -> None:
        """Bring frames into the ledger again; what is there already stays as it is."""
        if bool(names) == dead_letters:
            fail("Name segments (`tidegate journal status` lists them), or say --dead-letters.")
        _, places = locate(file, data_dir)
        paths = [str(Path(name).absolute()) if Path(name).exists() else name for name in names or ()]
        wanted = Replay(segments=paths, letters=dead_letters)
        done = _done(places, "POST", "/api/journal/replay", wanted, Replayed)
        _console().print(_replayed(done, letters=dead_letters))
        raise typer.Exit(1 if done.dead or done.letters_left else 0)

    return app


def erase_command(app: typer.Typer, locate: Locate) -> None:
    """Add `tidegate erase`."""

    @app.command()
    def erase(
        user: Annotated[str, typer.Argument(metavar="USER", help="Its id, as calls name it.")],
        *,
        project: Annotated[str, typer.Option(help="Of which project.")] = "default",
        environment: Annotated[str, typer.Option(help="Of which environment.")] = "prod",
        report: Annotated[
            Path | None, typer.Option(help="Write what was found to this file, as JSON.")
        ] = None,
        lift: Annotated[bool, typer.Option("--lift", help="Take the user in again from now on.")] = False,
        file: ConfigOption = None,
        data_dir: DataOption = None,
    ) -> None:
        """Erase a user: words, names and memories go, sums of money stay."""
        _, places = locate(file, data_dir)
        if lift:
            body = Lift(project=project, environment=environment, user_id=user)
            _console().print(_done(places, "POST", "/api/users/lift", body, dict[str, str])["message"])
            return
        query = urlencode({"id": user, "project": project, "environment": environment})
        found = _done(places, "DELETE", f"/api/users?{query}", None, Erasure)
        if report is not None:
            report.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
        _console().print(_erasure_table(found), soft_wrap=True)
        raise typer.Exit(1 if any(found.left.values()) else 0)


def price_commands(locate: Locate) -> typer.Typer:
    """Make `tidegate prices`."""
    app = typer.Typer(no_args_is_help=True, help="What calls cost.")

    @app.callback()
    def prices() -> None:
        """Say what calls cost."""

    @app.command()
    def rerate(
        *,
        first: Annotated[str, typer.Option("--from", metavar="DAY", help="As in 2026-11-21, UTC.")],
        last: Annotated[str, typer.Option("--to", metavar="DAY", help="This day included.")],
        reason: Annotated[str, typer.Option(help="Stands on every correction.")],
        model: Annotated[str, typer.Option(help="Only this model.")] = "",
        provider: Annotated[str, typer.Option(help="Only this provider.")] = "",
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
        ] = False,
        file: ConfigOption = None,
        data_dir: DataOption = None,
    ) -> None:
        """Price past calls anew with today's price table; what differs becomes a correction."""
        _, places = locate(file, data_dir)
        order = Order(
            from_us=_microseconds(_day("--from", first)),
            to_us=_microseconds(_day("--to", last) + timedelta(days=1)),
            reason=reason,
            provider=provider,
            model=model,
            dry_run=dry_run,
        )
        if order.from_us >= order.to_us:
            fail(f"--from {first} is after --to {last}: swap them.")
        _console().print(_rerated(_rerate_all(places, order), dry_run=dry_run))

    return app


def _rerate_all(places: Places, order: Order) -> Rerated:
    """Do it a stretch at a time; who is cut short may begin again."""
    total = Rerated()
    place: Place | None = None
    while True:
        done = _done(places, "POST", "/api/prices/rerate", Rerate(order=order, place=place), Rerated)
        for name in ("calls", "changed", "newly_priced", "without_price", "delta_nano_usd"):
            setattr(total, name, getattr(total, name) + getattr(done, name))
        place = done.next
        if place is None:
            return total


def _state(settings: Settings, places: Places) -> JournalState:
    try:
        return _asked(places, "GET", "/api/journal", None, JournalState)
    except Away:
        consumers = (STORE, MEMORY) if settings.memory.enabled else (STORE,)
        return state(places.journal, consumers, quota=settings.journal.quota_mb * _MB)


def _done(places: Places, method: str, target: str, body: object, kind: type[T]) -> T:
    """Ask; a house that is down is a failure."""
    try:
        return _asked(places, method, target, body, kind)
    except Away:
        fail("The house is down, and only its telemetry process can open the ledger: start `tidegate serve`.")


def _asked(places: Places, method: str, target: str, body: object, kind: type[T]) -> T:
    """Ask the telemetry process; raise Away, or end with what it complains of."""
    packed = msgspec.json.encode(body) if body is not None else None
    try:
        status, answer = ask(places.telemetry, method, target, packed, timeout_s=_PATIENCE_S)
    except (ConnectionRefusedError, FileNotFoundError) as error:
        raise Away from error
    if status != 200:
        fail(_complaint(answer))
    return msgspec.json.decode(answer, type=kind)


def _complaint(answer: bytes) -> str:
    try:
        return str(msgspec.json.decode(answer)["error"]["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return answer.decode(errors="replace")


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"{name} {text!r} is not a day: write it like 2026-11-21.")


def _microseconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000


def _state_table(found: JournalState) -> Table:
    """Make the table of `tidegate journal status`."""
    table = Table("segment", "size", "writer", "still needed by", box=None, header_style="dim")
    quota = f" of {_size(found.quota)}" if found.quota else ""
    table.title = f"{escape(found.folder)}: {_size(found.size)}{quota}, {found.dead_letters} dead letters"
    table.title_justify = "left"
    for segment in found.segments:
        table.add_row(
            escape(segment.name),
            _size(segment.size),
            "writes" if segment.alive else "done",
            ", ".join(segment.pending) or "nobody",
        )
    for consumer in found.consumers:
        counts = consumer.counts
        table.add_section()
        table.add_row(
            f"[bold]{consumer.name}[/bold]",
            f"{_size(consumer.lag_bytes)} behind",
            f"{consumer.open_calls} open",
            f"{counts.opened} opened, {counts.settled} settled, {counts.interrupted} interrupted, "
            f"{counts.unopened} refused before, {counts.bad} bad frames",
        )
        for writer, place in consumer.positions.items():
            table.add_row(f"[dim]  {escape(writer)}[/dim]", "", "", f"[dim]at {escape(place)}[/dim]")
    return table


def _checks_table(checks: list[Check]) -> Table:
    table = Table("must be", "", "found", box=None, header_style="dim")
    for check in checks:
        verdict = "[green]yes[/green]" if check.ok else "[red]NO[/red]"
        table.add_row(check.name, verdict, escape(check.found))
    return table


def _erasure_table(found: Erasure) -> Table:
    table = Table("where", "taken away", "left", box=None, header_style="dim")
    for name, count in found.removed.items():
        left = found.left.get(name, 0)
        table.add_row(name, str(count), f"[red]{left}[/red]" if left else "0")
    for one in found.pending:
        table.add_row(escape(one.name), "", f"pending until {one.until}")
    return table


def _replayed(done: Replayed, *, letters: bool) -> str:
    told = (
        f"{done.spans} calls and {done.payloads} payloads are in the ledger, whether they were before or not."
    )
    if letters:
        told += f" {done.letters_settled} dead letters are gone, {done.letters_left} are left."
    if done.dead:
        told += f" {done.dead} were refused."
    return told


def _rerated(done: Rerated, *, dry_run: bool) -> str:
    would = "would be" if dry_run else "were"
    sign = "+" if done.delta_nano_usd >= 0 else ""
    return (
        f"{done.calls} calls priced anew: {done.changed} {would} corrected by {sign}{dollars(done.delta_nano_usd)} "
        f"in all, {done.newly_priced} of them had no price before. {done.without_price} have no price now."
    )


def _size(count: int) -> str:
    return f"{count / _MB:.1f} MB" if count >= _MB else f"{count / 1024:.1f} kB"


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def fail(message: str) -> NoReturn:
    """End with a message for the person at the terminal."""
    sys.stderr.write(f"{message}\n")
    sys.exit(1)
