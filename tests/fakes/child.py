"""A child of the supervisor for tests: serves a few paths; files in its data folder make it misbehave.

`crash-<role>`: ends at once. `mute-<role>`: never says that it is ready.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import uvloop

from gateway.processes.lifeline import Seat, die_with_parent, listener, read_settings, say_ready, take_seat
from gateway.processes.log import log_to_stderr
from gateway.processes.serving import http_config, serve

Message = dict[str, Any]


class Answers:
    """`/`: who I am. `/stream/<n>`: n lines, 50 ms apart."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"].startswith("/stream/"):
            for number in range(int(scope["path"].removeprefix("/stream/"))):
                await send({"type": "http.response.body", "body": b"%d\n" % number, "more_body": True})
                await asyncio.sleep(0.05)
        body = f"{self._seat.role} {self._seat.slot} {os.getpid()}\n".encode()
        await send({"type": "http.response.body", "body": body})


def main(seat: Seat) -> int:
    """Serve until told to end."""
    die_with_parent(seat)
    log_to_stderr(f"{seat.role}-{seat.slot}")
    data = seat.places.data
    if (data / f"crash-{seat.role}").exists():
        return 1
    settings = read_settings(seat)
    config = http_config(Answers(seat), drain_s=settings.server.drain_s)
    mute = (data / f"mute-{seat.role}").exists()

    def ready() -> None:
        if not mute:
            say_ready(seat)

    doors = [listener(fd) for fd in (seat.listen_fd, seat.private_fd) if fd >= 0]
    uvloop.run(serve(config, doors, on_ready=ready))
    return 0


if __name__ == "__main__":
    sys.exit(main(take_seat(sys.argv)))
