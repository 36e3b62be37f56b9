"""`tidegate memory`: what is done to the memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from gateway.places import Places
from gateway.processes.own_seals import seals_of
from gateway.reindex_commands import reindex_commands
from gateway.settings import Settings
from gateway.upkeep_commands import ConfigOption, DataOption
from memory.errors import MemoryFault, StoreBusy

if TYPE_CHECKING:
    from memory.embed import Embedder
    from memory.engine import Engine

PassArgument = Annotated[str, typer.Argument(help="As `undo` without one lists them.")]
Locate = Callable[[Path | None, str | None], tuple[Settings, Places]]


def memory_commands(locate: Locate) -> typer.Typer:
    """Return the commands; `locate` finds the installation."""
    app = typer.Typer(help="What users said, kept for later calls.", no_args_is_help=True)
    app.callback()(lambda: None)  # or a single command would lose its name

    @app.command()
    def calibrate(config: ConfigOption = None, data_dir: DataOption = None) -> None:
        """Find out from the memories themselves from where on the embedder says `related`. Changes no memory."""
        with _faults_told():
            _calibrate(*locate(config, data_dir))

    @app.command()
    def explain(call_id: str, config: ConfigOption = None, data_dir: DataOption = None) -> None:
        """Say which memories went into a call, where they come from, and what became of the others, as JSON."""
        with _faults_told():
            _explain(*locate(config, data_dir), call_id)

    @app.command()
    def check(config: ConfigOption = None, data_dir: DataOption = None) -> None:
        """Compare ledger and index; ends with 1 if they differ. The house must be down."""
        with _engine(*locate(config, data_dir)) as engine:
            found = engine.check()
        typer.echo(f"{found.memories} memories, {found.points} points in the index.")
        for ids, what in (
            (found.not_indexed, "not in the index"),
            (found.unwanted, "points of memories that are gone"),
            (found.without_vector, "without a vector"),
        ):
            if ids:
                typer.echo(f"{len(ids)} {what}: {', '.join(ids[:3])}{', ...' if len(ids) > 3 else ''}")
        raise typer.Exit(1 if found.not_indexed or found.unwanted or found.without_vector else 0)

    @app.command()
    def undo(run: PassArgument = "", config: ConfigOption = None, data_dir: DataOption = None) -> None:
        """Put back what a pass of the background work has changed; without a name, list the passes."""
        with _faults_told():
            _undo(*locate(config, data_dir), run)

    reindex_commands(app, locate, _engine)
    return app


def _undo(settings: Settings, places: Places, run: str) -> None:
    # numpy takes a tenth of a second, which no other command should
    from memory.upkeep.undoing import passes, undo  # noqa: PLC0415

    url, sealer = settings.memory.ledger_url, seals_of(places, settings)
    there = _is_there(settings, places)
    if not run:
        for one in passes(places.memory, ledger_url=url, sealer=sealer) if there else ():
            began = datetime.fromtimestamp(one.began_us / 1e6, UTC).isoformat(timespec="seconds")
            typer.echo(f"{one.id}  {began}  {one.state}, {one.changed} changes")
        return
    count = undo(places.memory, run, ledger_url=url, sealer=sealer) if there else None
    if count is None:
        typer.echo(f"There is no pass {run}.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{count} changes are put back.")


def _calibrate(settings: Settings, places: Places) -> None:
    # numpy takes a tenth of a second, which no other command should
    from memory.calibration import calibrate as run  # noqa: PLC0415

    if not _is_there(settings, places):
        typer.echo("Nothing is remembered here yet.")
        return
    for found in run(places.memory, ledger_url=settings.memory.ledger_url, sealer=seals_of(places, settings)):
        if found.dense is None:
            typer.echo(f"{found.fingerprint}: {found.pairs} pairs are too few, nothing changes.")
        else:
            typer.echo(
                f"{found.fingerprint}: {found.dense:.3f}, from {found.pairs} pairs of unrelated memories."
            )


def _is_there(settings: Settings, places: Places) -> bool:
    return bool(settings.memory.ledger_url) or (places.memory / "memory.sqlite3").exists()


def _explain(settings: Settings, places: Places, call_id: str) -> None:
    # numpy takes a tenth of a second, which no other command should
    from memory.explain import explain_anywhere  # noqa: PLC0415

    told = []
    if _is_there(settings, places):
        sealer = seals_of(places, settings)
        told = explain_anywhere(places.memory, call_id, ledger_url=settings.memory.ledger_url, sealer=sealer)
    if not told:
        typer.echo(f"Nothing is known of call {call_id}.", err=True)
        raise typer.Exit(1)
    for one in told:
        typer.echo(msgspec.json.format(msgspec.json.encode(one)).decode())


@contextmanager
def _faults_told() -> Iterator[None]:
    try:
        yield
    except MemoryFault as fault:
        hint = " Is the house running?" if isinstance(fault, StoreBusy) else ""
        typer.echo(f"{str(fault).rstrip('.')}.{hint}", err=True)
        raise typer.Exit(2) from fault


@contextmanager
def _engine(settings: Settings, places: Places) -> Iterator[Engine]:
    """Open the memory itself; a house that is running has it open already."""
    # the model and the index take a second, which no other command should
    from gateway.processes.memories import indexes_of, redacted  # noqa: PLC0415
    from memory.endpoint import Endpoint, over_urllib  # noqa: PLC0415
    from memory.local import embedder_named, former_by, former_here  # noqa: PLC0415
    from memory.opening import open_engine  # noqa: PLC0415

    asked, post = settings.memory.embedder, None
    if asked.base_url:
        post = over_urllib(f"{asked.base_url.rstrip('/')}/embeddings", secret=asked.api_key)
    former = former_here if post is None else former_by(post)

    def embedder(folder: Path) -> Embedder:
        if post is None:
            return embedder_named(asked.model, asked.folder)(folder)
        return Endpoint(post, model=asked.model, dimensions=asked.dimensions)

    with _faults_told():
        engine = open_engine(
            places.memory,
            embedder,
            redact=redacted,
            indexes=indexes_of(settings.memory),
            former=former,
            ledger_url=settings.memory.ledger_url,
            sealer=seals_of(places, settings),
            start=False,
        )
    try:
        yield engine
    finally:
        engine.close()
