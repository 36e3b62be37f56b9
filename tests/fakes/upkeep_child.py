"""A process that looks after the memories of a folder until it is killed: `FOLDER`. Prints a line for each slice."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from memory.store.sqlite import SqliteLedger
from memory.upkeep.jobs import DAY_US
from tests.fakes.memory_parts import KEY, SetClock
from tests.fakes.tidied_memory import Tidied

PAIRS = 40
LATER_US = SetClock().us + 200 * DAY_US


def open_tidied(folder: Path) -> Tidied:
    """Open the folder as a process that begins."""
    clock = SetClock(LATER_US)
    return Tidied(SqliteLedger(folder / "memory.sqlite3", key=KEY, clock=clock), clock)


def fill(tidied: Tidied) -> None:
    """Store pairs that say the same, each with a proof of its own, and turns that fade."""
    tidied.clock.us -= 200 * DAY_US
    tidied.say(*(f"the bus was {number} minutes late" for number in range(20)))
    tidied.clock.us = LATER_US
    for number in range(PAIRS):
        for message, word in enumerate(("just", "really")):
            tidied.claim(
                f"user {word} owns boat {number}", message=2 * number + message, at_us=number + message + 1
            )


def main(folder: Path) -> None:
    """Make passes until killed."""
    tidied = open_tidied(folder)
    while True:
        for job in (tidied.merge, tidied.decay):
            run = tidied.store.next_run(job.name, tidied.clock.us, every_us=0)
            assert run is not None
            place, over = run.place, False
            while not over:
                found = job.slice(run, place, 8)
                place, over = found.place, not found.seen
                tidied.store.move(run, place, found.seen, tidied.clock.us, done=over)
                os.write(1, b"slice\n")
        tidied.clock.us += 20 * DAY_US


if __name__ == "__main__":
    main(Path(sys.argv[1]))
