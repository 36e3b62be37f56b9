"""One role by itself, without a supervisor: `tidegate worker|hub|telemetry|litellm` on a host of a cluster."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from gateway.config import environment
from gateway.places import Places
from gateway.processes.children import PROGRAMS, Programs
from gateway.processes.doors import StartRefused, bind_public, bind_unix, is_answered, make_private
from gateway.processes.lifeline import Role, Seat, settings_file
from gateway.processes.litellm_variables import variables
from gateway.processes.own_seals import check_master_key
from gateway.settings import Settings


def alone(role: Role, settings: Settings, places: Places, *, programs: Programs = PROGRAMS) -> NoReturn:
    """Open the role's own sockets and become its program. May raise StartRefused."""
    check_master_key(places, settings)
    places.data.mkdir(parents=True, exist_ok=True)
    make_private(places.run)
    slot = _free_slot(places) if role == "worker" else 0
    listen, private = _doors(role, slot, settings, places)
    seat = Seat(
        role=role,
        slot=slot,
        settings_fd=settings_file(settings),
        listen_fd=listen.detach(),
        private_fd=private.detach() if private else -1,
        data_dir=os.fspath(places.data),
        run_dir=os.fspath(places.run),
    )
    env = environment()
    _become(
        programs[role], seat, variables(env, settings, settings.server.port) if role == "litellm" else env
    )


def _become(program: Sequence[str], seat: Seat, env: Mapping[str, str]) -> NoReturn:
    for fd in (seat.settings_fd, seat.listen_fd, seat.private_fd):
        if fd >= 0:
            os.set_inheritable(fd, True)
    os.execve(program[0], [*program, seat.argument()], env)  # noqa: S606 - our own interpreter


def _free_slot(places: Places) -> int:
    return next(slot for slot in itertools.count() if not is_answered(places.worker(slot)))


def _doors(
    role: Role, slot: int, settings: Settings, places: Places
) -> tuple[socket.socket, socket.socket | None]:
    match role:
        case "worker":
            return bind_public(settings.server.host, settings.server.port), bind_unix(places.worker(slot))
        case "hub":
            return _own(places.hub, role), _own(places.link, role)
        case "telemetry":
            return _own(places.telemetry, role), None
        case "litellm":
            return _own(places.litellm, role), None


def _own(path: Path, role: Role) -> socket.socket:
    if is_answered(path):
        raise StartRefused(f"Another {role} already serves {path}. Stop it, or choose another --data-dir.")
    return bind_unix(path)
