"""One place in the house and the processes that fill it, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec

from gateway.clock import Clock
from gateway.processes.doors import StartRefused
from gateway.processes.lifeline import Role, Seat
from gateway.tasks import spawn

logger = logging.getLogger(__name__)

Programs = dict[Role, Sequence[str]]
"""The command line of each role, before the seat."""

PROGRAMS: Programs = {
    "hub": (sys.executable, "-m", "gateway.processes.hub"),
    "telemetry": (sys.executable, "-m", "gateway.processes.telemetry"),
    "worker": (sys.executable, "-m", "gateway.processes.worker"),
    # the warnings of its serialiser quote answers
    "litellm": (sys.executable, "-W", "ignore", "-m", "gateway.processes.litellm"),
}

_LONG_WAIT_S = 1.0
"""A worker that stays away longer does not keep its share of the new connections waiting."""


class Backoff:
    """How long to wait before the next try: 0, 0.25, 0.5, 1, 2 .. 30 s, spread by a fifth either way."""

    def __init__(
        self,
        *,
        spread: Callable[[], float] = lambda: random.uniform(0.8, 1.2),  # noqa: S311 - no secret
        healthy_after_s: float = 10.0,
    ) -> None:
        self._spread = spread
        self._healthy_after_s = healthy_after_s
        self._failures = 0

    def after(self, lived_s: float) -> float:
        """Return the wait in seconds after a process that lived so long."""
        if lived_s >= self._healthy_after_s:
            self._failures = 0
        self._failures += 1
        if self._failures == 1:
            return 0.0
        longest = min(30.0, 0.25 * 2.0 ** min(self._failures - 2, 10))
        return longest * self._spread()


class Door:
    """A listening socket that can be closed, and opened again at the same address."""

    def __init__(self, first: socket.socket, reopen: Callable[[], socket.socket]) -> None:
        self._socket: socket.socket | None = first
        self._reopen = reopen

    def fileno(self) -> int:
        """Return the descriptor; open the door first if it was closed."""
        if self._socket is None:
            self._socket = self._reopen()
        return self._socket.fileno()

    def close(self) -> None:
        """Refuse whoever comes from now on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class ChildState(msgspec.Struct, frozen=True):
    """A child, as `supervisor.json` tells it."""

    role: Role
    slot: int
    pid: int
    """0 while it is down."""
    started_at_us: int
    restarts: int


class Child:
    """Keeps one place filled until told to stop."""

    def __init__(
        self,
        seat: Seat,
        *,
        program: Sequence[str],
        listen: Door,
        private: Door | None,
        keep_open_fds: Sequence[int],
        clock: Clock,
        changed: Callable[[], None],
        close_when_away: bool = False,
        on_demand: bool = False,
        env: Mapping[str, str] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.seat = seat
        self.restarts = 0
        self.ready = asyncio.Event()
        self._program = program
        self._listen = listen
        self._private = private
        self._keep_open_fds = keep_open_fds
        self._clock = clock
        self._changed = changed
        self._close_when_away = close_when_away
        self._on_demand = on_demand
        self._env = env
        self._backoff = backoff or Backoff()
        self._process: asyncio.subprocess.Process | None = None
        self._started_at_us = 0
        self._leaving = asyncio.Event()
        self._farewell = signal.SIGTERM

    @property
    def state(self) -> ChildState:
        """What to say of it."""
        return ChildState(
            role=self.seat.role,
            slot=self.seat.slot,
            pid=self._process.pid if self._process else 0,
            started_at_us=self._started_at_us,
            restarts=self.restarts,
        )

    @property
    def name(self) -> str:
        """What it is called in the log."""
        return f"{self.seat.role}-{self.seat.slot}" if self.seat.role == "worker" else self.seat.role

    async def keep(self) -> None:
        """Start it (`on_demand`: when somebody waits at its door), and again whenever it ends, until `leave`."""
        while not self._leaving.is_set():
            if self._on_demand and not await self._wanted():
                return
            started_ns = self._clock.monotonic_ns()
            code = await self._live()
            lived_s = (self._clock.monotonic_ns() - started_ns) / 1e9
            if self._leaving.is_set():
                return
            delay_s = self._backoff.after(lived_s)
            self.restarts += 1
            self._changed()
            logger.warning(
                "child_ended",
                extra={
                    "child": self.name,
                    "code": code,
                    "lived_s": round(lived_s, 1),
                    "again_in_s": round(delay_s, 2),
                },
            )
            if delay_s > _LONG_WAIT_S and self._close_when_away:
                self._listen.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._leaving.wait()

    def leave(self) -> None:
        """Let it end what it is doing (SIGTERM), and do not start it again."""
        self._leaving.set()
        self._bid_farewell()

    def kill(self) -> None:
        """End it now (SIGKILL), and do not start it again."""
        self._farewell = signal.SIGKILL
        self.leave()

    def close(self) -> None:
        """Close its public door; what it has accepted goes on."""
        self._listen.close()

    def _bid_farewell(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(self._farewell)

    async def _wanted(self) -> bool:
        """Wait until somebody connects, who then waits for the process to answer; False: `leave` came before."""
        loop = asyncio.get_running_loop()
        knock = asyncio.Event()
        try:
            door = self._listen.fileno()
        except (OSError, StartRefused):
            return True  # the start will fail for the same reason, and say it
        loop.add_reader(door, knock.set)
        waits = [spawn(event.wait(), name=self.name) for event in (knock, self._leaving)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(door)
            for wait in waits:
                wait.cancel()
        return not self._leaving.is_set()

    async def _live(self) -> int:
        """Run one process from its start to its end; return its exit code."""
        try:
            self._process = await self._spawn()
        except (OSError, StartRefused) as error:
            logger.error("child_not_started", extra={"child": self.name, "error": str(error)})  # noqa: TRY400
            return -1
        self._started_at_us = self._clock.now_us()
        self._changed()
        if self._leaving.is_set():
            self._bid_farewell()  # `leave` came while it was being born
        code = await self._process.wait()
        self._process = None
        self.ready.clear()
        return code

    async def _spawn(self) -> asyncio.subprocess.Process:
        ready_r, ready_w = os.pipe()
        try:
            seat = msgspec.structs.replace(
                self.seat,
                ready_fd=ready_w,
                listen_fd=self._listen.fileno(),
                private_fd=self._private.fileno() if self._private else -1,
            )
            inherited = [seat.life_fd, seat.settings_fd, seat.ready_fd, seat.listen_fd, *self._keep_open_fds]
            if seat.private_fd >= 0:
                inherited.append(seat.private_fd)
            process = await asyncio.create_subprocess_exec(
                *self._program,
                seat.argument(),
                pass_fds=inherited,
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # a terminal's Ctrl-C is for the supervisor alone
            )
        except (OSError, StartRefused):
            os.close(ready_r)
            raise
        finally:
            os.close(ready_w)
        asyncio.get_running_loop().add_reader(ready_r, self._hear, ready_r)
        return process

    def _hear(self, ready_r: int) -> None:
        if os.read(ready_r, 1):
            self.ready.set()
        asyncio.get_running_loop().remove_reader(ready_r)
        os.close(ready_r)
