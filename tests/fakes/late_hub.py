"""A house whose hub comes when the file `hub-may-come` is in its data folder: `late_hub.py serve --config <file>`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from gateway.config import environment, load
from gateway.places import Places
from gateway.processes import supervisor
from gateway.processes.children import PROGRAMS
from gateway.processes.doors import run_folder
from gateway.processes.lifeline import Seat, take_seat
from gateway.providers.catalog import Catalog

PROGRAM = (sys.executable, "-m", "tests.fakes.late_hub")
SIGN = "hub-may-come"


def house(config: Path) -> int:
    """Run a house with this hub in it."""
    settings = load(config, environment(), key_variables=Catalog.load().key_variables())
    data = Path(settings.data_dir)
    places = Places(data=data, run=run_folder(data))
    return supervisor.run(settings, places, programs={**PROGRAMS, "hub": PROGRAM})


def come(seat: Seat) -> None:
    """Wait for the sign, then become the hub."""
    while not (seat.places.data / SIGN).exists():
        if os.getppid() != seat.supervisor_pid:
            return
        time.sleep(0.02)
    os.execv(sys.executable, [*PROGRAMS["hub"], *sys.argv[1:]])


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        sys.exit(house(Path(sys.argv[-1])))
    come(take_seat(sys.argv))
