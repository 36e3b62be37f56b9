"""The house: starts hub, telemetry and workers, holds their sockets, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from gateway.clock import Clock, SystemClock
from gateway.config import environment
from gateway.places import Places
from gateway.prices.compile import clouds, drop_others
from gateway.processes.alone import alone
from gateway.processes.children import PROGRAMS, Child, ChildState, Door, Programs
from gateway.processes.doors import Claim, StartRefused, bind_public, bind_unix, check_port, make_private
from gateway.processes.lifeline import Role, Seat, settings_file
from gateway.processes.litellm_variables import variables
from gateway.processes.log import log_to_stderr
from gateway.processes.own_seals import check_master_key
from gateway.settings import Settings
from gateway.tasks import spawn

logger = logging.getLogger(__name__)

_WORKERS_WAIT_S = 10.0
"""Longest wait of the workers for the telemetry process, which compiles their price table."""
_HUB_WAIT_S = 2.0
"""And for the hub: they serve without it, but their first callers should not meet that."""
_DRAIN_MARGIN_S = 2.0
_LAST_WORDS_S = 5.0
"""What hub and telemetry get between SIGTERM and SIGKILL."""
_STARTED_OVER_S = 60.0


class HouseState(msgspec.Struct, frozen=True):
    """What `supervisor.json` holds while the house is up."""

    pid: int
    host: str
    port: int
    run_dir: str
    stopping: bool
    children: list[ChildState]


def read_state(places: Places) -> HouseState | None:
    """Return what the running supervisor says of itself; None if there is none."""
    try:
        return msgspec.json.decode(places.state.read_bytes(), type=HouseState)
    except (OSError, msgspec.DecodeError):
        return None


def run(
    settings: Settings, places: Places, *, notes: Sequence[str] = (), programs: Programs = PROGRAMS
) -> int:
    """Keep the house up until SIGTERM or SIGINT; return the exit code.

    `notes` are lines for the person at the terminal, shown with the address. May raise StartRefused.
    """
    log_to_stderr("supervisor")
    return asyncio.run(Supervisor(settings, places, notes=notes, programs=programs).run())


class Supervisor:
    """One house. The first signal ends it in order, the second at once."""

    def __init__(
        self,
        settings: Settings,
        places: Places,
        *,
        notes: Sequence[str] = (),
        programs: Programs = PROGRAMS,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._places = places
        self._notes = notes
        self._programs = programs
        self._clock = clock or SystemClock()
        self._port = settings.server.port
        self._workers: list[Child] = []
        self._hub: list[Child] = []
        self._telemetry: list[Child] = []
        self._litellm: list[Child] = []
        self._keepers: dict[Child, asyncio.Task[None]] = {}
        self._doors: list[Door] = []
        self._told_to_stop = asyncio.Event()
        self._told_twice = False

    async def run(self) -> int:
        """Claim the data folder, open the doors, keep the children, and end them when told to."""
        check_master_key(self._places, self._settings)
        claim = Claim(self._places.data)
        life_r, life_w = os.pipe()
        settings_fd = settings_file(self._settings)
        try:
            await claim.wait_for_former_children()
            self._furnish(
                Seat(
                    role="worker",
                    supervisor_pid=os.getpid(),
                    life_fd=life_r,
                    settings_fd=settings_fd,
                    data_dir=os.fspath(self._places.data),
                    run_dir=os.fspath(self._places.run),
                ),
                claim.children_fd,
            )
            self._obey_signals()
            await self._live()
        finally:
            await self._end()
            for fd in (life_w, life_r, settings_fd):
                os.close(fd)
            claim.release()
        return 0

    # --- opening ----------------------------------------------------------------------------

    def _furnish(self, seat: Seat, children_fd: int) -> None:
        """Open every door and make a child for each place; nothing is started yet."""
        make_private(self._places.run)
        public = self._open_public()
        places = self._places

        def child(role: Role, slot: int, listen: Door, private: Path | None) -> Child:
            return Child(
                msgspec.structs.replace(seat, role=role, slot=slot),
                program=self._programs[role],
                listen=listen,
                private=self._open_unix(private) if private else None,
                keep_open_fds=[children_fd],
                clock=self._clock,
                changed=self._write_state,
                close_when_away=role in ("worker", "litellm"),
                on_demand=role == "litellm",
                env=variables(environment(), self._settings, self._port) if role == "litellm" else None,
            )

        self._hub = [child("hub", 0, self._open_unix(places.hub), places.link)]
        self._telemetry = [child("telemetry", 0, self._open_unix(places.telemetry), None)]
        self._litellm = [child("litellm", 0, self._open_unix(places.litellm), None)]
        self._workers = [child("worker", slot, door, places.worker(slot)) for slot, door in enumerate(public)]

    def _open_public(self) -> list[Door]:
        server = self._settings.server
        check_port(server.host, server.port)
        doors = []
        for _ in range(server.workers):
            first = bind_public(server.host, self._port)
            self._port = first.getsockname()[1]
            doors.append(Door(first, partial(bind_public, server.host, self._port)))
            self._doors.append(doors[-1])
        return doors

    def _open_unix(self, path: Path) -> Door:
        door = Door(bind_unix(path), partial(bind_unix, path))
        self._doors.append(door)
        return door

    # --- living -----------------------------------------------------------------------------

    def _obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told)

    def _told(self) -> None:
        if not self._told_to_stop.is_set():
            logger.info("stopping", extra={"drain_s": self._settings.server.drain_s})
            self._told_to_stop.set()
            return
        logger.warning("stopping_at_once")
        self._told_twice = True
        for child in self._keepers:
            child.kill()

    async def _live(self) -> None:
        settings = self._settings
        drop_others(self._places.prices, settings.prices, clouds(settings))
        for child in [*self._hub, *self._telemetry, *self._litellm]:
            self._keep(child)
        await self._until(self._telemetry[0].ready, _WORKERS_WAIT_S, or_file=self._places.prices)
        await self._until(self._hub[0].ready, _HUB_WAIT_S)
        if self._told_to_stop.is_set():
            return
        for child in self._workers:
            self._keep(child)
        await self._until(self._workers[0].ready, _STARTED_OVER_S)
        if not self._told_to_stop.is_set():
            self._say_hello()
        await self._told_to_stop.wait()

    def _keep(self, child: Child) -> None:
        self._keepers[child] = spawn(child.keep(), name=f"keep {child.name}")

    async def _until(self, event: asyncio.Event, patience_s: float, *, or_file: Path | None = None) -> None:
        """Wait for the event, the file, the order to stop or the end of patience, whichever comes first."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while True:
                    if event.is_set() or self._told_to_stop.is_set() or _there(or_file):
                        return
                    await asyncio.sleep(0.02)

    def _say_hello(self) -> None:
        host = self._settings.server.host
        host = f"[{host}]" if ":" in host else host
        ready = self._workers[0].ready.is_set()
        lines = [
            f"Tidegate {'listens on' if ready else 'is still starting on'} http://{host}:{self._port}",
            f"  base URL for SDKs   http://{host}:{self._port}/v1",
            f"  calls and costs     http://{host}:{self._port}/",
            f"  data folder         {self._places.data.resolve()}",
            *self._notes,
        ]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    def _write_state(self) -> None:
        server = self._settings.server
        state = HouseState(
            pid=os.getpid(),
            host=server.host,
            port=self._port,
            run_dir=os.fspath(self._places.run),
            stopping=self._told_to_stop.is_set(),
            children=[
                child.state for child in [*self._hub, *self._telemetry, *self._workers, *self._litellm]
            ],
        )
        new = self._places.state.with_suffix(".new")
        try:
            new.write_bytes(msgspec.json.encode(state))
            new.replace(self._places.state)
        except OSError as error:  # a full disk must not stop the house
            logger.warning("state_not_written", extra={"error": str(error)})

    # --- ending -----------------------------------------------------------------------------

    async def _end(self) -> None:
        """Close the public doors first, then let the children go: those that need others before those."""
        self._told_to_stop.set()
        for child in self._workers:
            child.close()
        await self._dismiss(self._workers, self._settings.server.drain_s + _DRAIN_MARGIN_S)
        await self._dismiss([*self._telemetry, *self._litellm], _LAST_WORDS_S)
        await self._dismiss(self._hub, _LAST_WORDS_S)
        for door in self._doors:
            door.close()
        places = self._places
        for path in [places.hub, places.link, places.telemetry, places.litellm, places.state]:
            path.unlink(missing_ok=True)
        for slot in range(len(self._workers)):
            places.worker(slot).unlink(missing_ok=True)

    async def _dismiss(self, children: list[Child], grace_s: float) -> None:
        keepers = [self._keepers[child] for child in children if child in self._keepers]
        if not keepers:
            return
        for child in children:
            child.kill() if self._told_twice else child.leave()
        _, late = await asyncio.wait(keepers, timeout=grace_s)
        if late:
            logger.warning("killing", extra={"children": len(late), "after_s": grace_s})
            for child in children:
                child.kill()
            await asyncio.wait(late)


def _there(path: Path | None) -> bool:
    return path is not None and path.exists()


__all__ = ["HouseState", "StartRefused", "Supervisor", "alone", "read_state", "run"]
