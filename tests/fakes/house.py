"""Runs a supervisor (or one role alone) with stand-in children: `house.py <data> <settings as JSON> [role]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import msgspec

from gateway.places import Places
from gateway.processes import supervisor
from gateway.processes.children import Programs
from gateway.processes.doors import StartRefused, run_folder
from gateway.processes.lifeline import Role
from gateway.settings import Settings

CHILD = (sys.executable, "-m", "tests.fakes.child")
PROGRAMS: Programs = {"hub": CHILD, "telemetry": CHILD, "worker": CHILD, "litellm": CHILD}


def main(data: Path, settings: Settings, role: str) -> int:
    """Return what the supervisor returns; 2 if it will not start."""
    places = Places(data=data, run=run_folder(data))
    try:
        if role:
            supervisor.alone(cast(Role, role), settings, places, programs=PROGRAMS)
        return supervisor.run(settings, places, notes=["  a note from the caller"], programs=PROGRAMS)
    except StartRefused as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    arguments = [*sys.argv[1:], ""]
    sys.exit(main(Path(arguments[0]), msgspec.json.decode(arguments[1], type=Settings), arguments[2]))
