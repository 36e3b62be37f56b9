"""A process that captures until it is killed: `FOLDER SEED`.

Prints `c<n>` once call n has been acknowledged. Call n sends the history of its thread again, as clients do.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any

from memory.embed import HashedWords
from memory.opening import open_engine
from memory.records import Said
from memory.scope import Scope

THREADS = 4


def scope_of(number: int) -> Scope:
    """Return whose call this is."""
    return Scope(project="p", environment="prod", user=f"user-{number % THREADS}")


def turn(number: int) -> str:
    """Return what is said for the first time in this call; every fifth turn repeats an earlier one's words."""
    return "yes please" if number // THREADS % 5 == 4 else f"I said number {number} of many things"


def call(number: int) -> Said:
    """Return the call with its thread's whole history."""
    history = range(number % THREADS, number + 1, THREADS)
    messages: list[dict[str, Any]] = [{"role": "user", "content": turn(one)} for one in history]
    return Said(
        call_id=f"call-{number}",
        scope=scope_of(number),
        occurred_at_us=number,
        messages=messages,
        thread_id=f"thread-{number % THREADS}",
    )


def main(folder: Path, seed: int) -> None:
    """Capture for ever; begin a little before where the last one stopped, as at-least-once delivery does."""
    engine = open_engine(folder, lambda _: HashedWords())
    number = max(0, int((folder / "next").read_text() if (folder / "next").exists() else "0") - 3)
    source = random.Random(seed)
    while True:
        batch = [call(number + place) for place in range(source.randint(1, 3))]
        engine.capture(batch)
        number += len(batch)
        (folder / "next.new").write_text(str(number))
        (folder / "next.new").replace(folder / "next")
        os.write(1, b"c%d\n" % (number - 1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
