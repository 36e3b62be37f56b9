"""A process that captures and reads until it is killed: `FOLDER`.

Prints `c<n>` once call n has been captured and read. Call n sends the history of its thread again, as clients do.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from memory.manager import Asked
from memory.scope import Scope
from tests.fakes.memory_reading import SUNDAY_US, Reading, ScriptedModel, op, ops

THREADS = 3


def scope_of(number: int) -> Scope:
    """Return whose call this is."""
    return Scope(project="p", environment="prod", user=f"user-{number % THREADS}")


def turn(number: int) -> str:
    """Return what is said for the first time in this call."""
    return f"Remember that I own boat {number}"


def fact(number: int) -> str:
    """Return what the model makes of it."""
    return f"User owns boat {number}"


def owner(asked: Asked) -> dict[str, Any]:
    """Answer as a model that knows boats; every other one it gets wrong at first."""
    question = msgspec.json.decode(asked.messages[1]["content"])
    found = []
    for message in question["messages"]:
        number = int(message["text"].rpartition(" ")[2])
        wrong = " with Maria" if number % 2 and asked.purpose == "memory.extract" else ""
        found.append(op(fact(number) + wrong, message["text"], m=message["m"], object=f"boat {number}"))
    return ops(*found)


def open_reading(folder: Path) -> Reading:
    """Open the folder as a process that begins."""
    reading = Reading(folder, ScriptedModel(owner))
    reading.clock.us = SUNDAY_US
    reading.jobs.release_all()
    return reading


async def main(folder: Path) -> None:
    """Go on for ever; begin a little before where the last one stopped, as at-least-once delivery does."""
    reading = open_reading(folder)
    next_path = folder / "next"
    number = max(0, int(next_path.read_text() if next_path.exists() else "0") - 2)
    while True:
        turns = [turn(one) for one in range(number % THREADS, number + 1, THREADS)]
        reading.hear(*turns, call_id=f"call-{number}", scope=scope_of(number), thread_id="t")
        while await reading.extraction.step():
            pass
        (folder / "next.new").write_text(str(number + 1))
        (folder / "next.new").replace(next_path)
        os.write(1, b"c%d\n" % number)
        number += 1


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
