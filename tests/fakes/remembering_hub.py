"""A house whose hub remembers by a script: `remembering_hub.py serve --config <file>`.

Users called `slow...` wait for half a minute, `blank...` are unknown, of everybody else it is known what they like;
of those called `old...` it was known in every earlier turn, too, and they are introduced.
What it is asked, and told of memories that were used, stands in the data folder, in `asked` and `confirmed`: JSON,
one line each.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from gateway.clock import SystemClock
from gateway.config import environment, load
from gateway.link_server import LinkServer
from gateway.places import Places
from gateway.processes import supervisor
from gateway.processes.children import PROGRAMS
from gateway.processes.doors import run_folder
from gateway.processes.lifeline import Seat, die_with_parent, listener, say_ready, take_seat
from gateway.processes.response_store import ResponseStore
from gateway.processes.serving import http_config, serve
from gateway.providers.catalog import Catalog
from gateway.recollection import CONFIRM, RECALL, Question, Recollection, Used

PROGRAM = (sys.executable, "-m", "tests.fakes.remembering_hub")


def block_of(user: str) -> str:
    """Return what is put into the calls of a user."""
    return f"<recalled-memories>\n- {user} likes tea\n</recalled-memories>"


class ScriptedMemory:
    """The handlers of `recall` and `confirm`."""

    def __init__(self, folder: Path) -> None:
        self._confirmed = folder / "confirmed"
        self._asked = folder / "asked"

    async def recall(self, params: object) -> object:
        """Answer as the user's name says."""
        asked = msgspec.convert(params, Question)
        with self._asked.open("ab") as file:
            told = {"user": asked.asker.user_id, "seen": asked.seen, "most": asked.most}
            file.write(msgspec.json.encode(told) + b"\n")
        user = asked.asker.user_id
        if user.startswith("slow"):
            await asyncio.sleep(30)
        if user.startswith("blank"):
            return Recollection(status="empty")
        found = Recollection(
            status="injected", block=block_of(user), ids=(f"m-{user}",), scores=(0.75,), tokens=5
        )
        if user.startswith("old"):
            replays = tuple((place, found.block) for place in range(len(asked.chain) // 16 - 1))
            return msgspec.structs.replace(found, replays=replays, profile=found.block, profile_tokens=5)
        return found

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
    responses = ResponseStore(seat.places.responses, SystemClock())
    link = LinkServer({RECALL: memory.recall, CONFIRM: memory.confirm, **responses.handlers})
    await link.listen(listener(seat.private_fd))
    try:
        config = http_config(nothing, drain_s=1)
        await serve(config, [listener(seat.listen_fd)], on_ready=lambda: say_ready(seat))
    finally:
        await link.close()
        await responses.close()


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
