"""What is left to gain: where a worker's time goes, by file, for one JSON call and one stream of 50 events.

Run by `make bench`, after the table. The worker runs under cProfile, which doubles what Python calls cost and leaves C
alone: read the columns against each other, not against the table.
"""

from __future__ import annotations

import contextlib
import cProfile
import pstats
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from gateway.config import environment, load
from gateway.places import Places
from gateway.processes import supervisor, worker
from gateway.processes.children import PROGRAMS
from gateway.processes.doors import run_folder
from gateway.processes.lifeline import take_seat
from gateway.providers.catalog import Catalog
from tests.bench import rig

SECONDS = 3
ROWS = 24


def serve(config: Path) -> int:
    """Run a house whose worker writes a profile when it ends."""
    settings = load(config, environment(), key_variables=Catalog.load().key_variables())
    data = Path(settings.data_dir)
    programs = {**PROGRAMS, "worker": (sys.executable, "-m", "tests.bench.profile", "worker")}
    return supervisor.run(settings, Places(data=data, run=run_folder(data)), programs=programs)


def profiled_worker() -> None:
    """Be the worker, and leave its profile in the data folder."""
    seat = take_seat(sys.argv[1:])
    profile = cProfile.Profile()
    try:
        profile.runcall(worker.main, seat)
    finally:
        profile.dump_stats(seat.places.data / "worker.profile")


def show(kind: str, path: Path, calls: int) -> None:
    """Print own time by file, dearest first."""
    by_file: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    stats = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]  # typeshed leaves it out
    for (name, _, function), (_, count, own_s, _, _) in stats.items():
        file = function if name == "~" else "/".join(Path(name).parts[-3:])
        row = by_file[file]
        row[0] += count / calls
        row[1] += own_s / calls * 1e6
    rig.report(f"\n{kind}: {sum(row[0] for row in by_file.values()):.0f} function calls a request")
    rig.report(f"{'calls':>8}{'own us':>9}  file, or function in C")
    for file, (count, own_us) in sorted(by_file.items(), key=lambda item: -item[1][1])[:ROWS]:
        rig.report(f"{count:8.1f}{own_us:9.1f}  {file}")


def main() -> None:
    """Profile both kinds of work."""
    for kind in rig.WORK:
        with tempfile.TemporaryDirectory(prefix="tg-profile-") as name, contextlib.ExitStack() as stack:
            folder, backend, port = Path(name), rig.free_port(), rig.free_port()
            stack.enter_context(rig.answers(backend))
            command = ("-m", "tests.bench.profile", "serve")
            with rig.tidegate(folder / "house", port, backend, command=command):
                url, script = f"http://127.0.0.1:{port}/v1/chat/completions", rig.post_script(folder, kind)
                done, _ = rig.burst(url, script, connections=16, seconds=SECONDS)
            show(kind, folder / "house/data/worker.profile", done)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", config]:
            sys.exit(serve(Path(config)))
        case ["worker", *_]:
            profiled_worker()
        case _:
            main()
