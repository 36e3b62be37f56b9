"""A house whose hub remembers by a script: `remembering_hub.py serve --config <file>`.

Users called `slow...` wait for half a minute, `blank...` are unknown, of everybody else it is known what they like.
What it is told of memories that were used stands in the data folder, in `confirmed`: JSON, one line each.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from gateway.config import environment, load
from gateway.link_server import LinkServer
from gateway.places import Places
from gateway.processes import supervisor
from gateway.processes.children import PROGRAMS
from gateway.processes.doors import run_folder
from gateway.processes.lifeline import Seat, die_with_parent, listener, say_ready, take_seat
from gateway.processes.serving import http_config, serve
from gateway.providers.catalog import Catalog
from gateway.recollection import CONFIRM, RECALL, Question, Recollection, Used

PROGRAM = (sys.executable, "-m", "tests.fakes.remembering_hub")


class ScriptedMemory:
    """The handlers of `recall` and `confirm`."""

    def __init__(self, folder: Path) -> None:
        self._confirmed = folder / "confirmed"

    async def recall(self, params: object) -> object:
        """Answer as the user's name says."""
        user = msgspec.convert(params, Question).asker.user_id
        if user.startswith("slow"):
            await asyncio.sleep(30)
        if user.startswith("blank"):
            return Recollection(status="empty")
        return Recollection(
            status="injected", block=f"- {user} likes tea", ids=(f"m-{user}",), scores=(0.75,), tokens=5
        )

    async def confirm(self, params: object) -> object:
        """Write it down."""
        line = msgspec.json.encode(msgspec.convert(params, Used)) + b"\n"
        with self._confirmed.open("ab") as file:
            file.write(line)
        return None


async def nothing(_scope: object, _receive: object, send: Any) -> None:
    """Answer HTTP, as `/health/ready` wants it."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def hub(seat: Seat) -> None:
    """Be the hub until told to end."""
    memory = ScriptedMemory(seat.places.data)
    link = LinkServer({RECALL: memory.recall, CONFIRM: memory.confirm})
    await link.listen(listener(seat.private_fd))
    try:
        config = http_config(nothing, drain_s=1)
        await serve(config, [listener(seat.listen_fd)], on_ready=lambda: say_ready(seat))
    finally:
        await link.close()


def house(config: Path) -> int:
    """Run a house with this hub in it."""
    settings = load(config, environment(), key_variables=Catalog.load().key_variables())
    data = Path(settings.data_dir)
    places = Places(data=data, run=run_folder(data))
    return supervisor.run(settings, places, programs={**PROGRAMS, "hub": PROGRAM})


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        sys.exit(house(Path(sys.argv[-1])))
    seat = take_seat(sys.argv)
    die_with_parent(seat)
    uvloop.run(hub(seat))
