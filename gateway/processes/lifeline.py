"""What a child process gets from the supervisor, and how it dies with it."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Literal, NoReturn

import msgspec

from gateway.places import Places
from gateway.settings import Settings

Role = Literal["hub", "telemetry", "worker", "litellm"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_ORPHANED = 3
"""Exit code of a child whose supervisor went away."""


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """A child's place in the house; it arrives as the one argument of its command line, as JSON.

    A file descriptor of -1 is one the child does not have.
    """

    role: Role
    slot: int = 0
    """Number of the worker, from 0."""
    supervisor_pid: int = 0
    life_fd: int = -1
    """Read end of a pipe that only the supervisor can write to: its end is the supervisor's end."""
    ready_fd: int = -1
    """Where the child writes one byte when it serves."""
    settings_fd: int = -1
    """A file without a name that holds the `Settings`, as msgpack."""
    listen_fd: int = -1
    """Worker: the public TCP listener of its slot. Others: the unix listener of their HTTP."""
    private_fd: int = -1
    """Worker: the unix listener of its `/metrics`. Hub: that of the link."""
    data_dir: str = ""
    run_dir: str = ""

    @property
    def places(self) -> Places:
        """The folders of this installation."""
        return Places(data=Path(self.data_dir), run=Path(self.run_dir))

    def argument(self) -> str:
        """Return the command-line argument that `take_seat` reads."""
        return msgspec.json.encode(self).decode()


def take_seat(argv: list[str]) -> Seat:
    """Read the seat from the child's `sys.argv`."""
    return msgspec.json.decode(argv[1], type=Seat)


def die_with_parent(seat: Seat, *, grace_s: float = 1.0) -> None:
    """See to it that this process ends, at most `grace_s` after SIGTERM, when the supervisor is gone.

    Call it first thing, from the main thread. Linux tells us by a signal; the pipe works everywhere.
    """
    if seat.life_fd < 0:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != seat.supervisor_pid:
        os._exit(_ORPHANED)  # it died before prctl could notice
    watcher = threading.Thread(target=_watch, args=(seat.life_fd, grace_s), name="lifeline", daemon=True)
    watcher.start()


def _watch(life_fd: int, grace_s: float) -> None:
    os.read(life_fd, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os._exit(_ORPHANED)


def settings_file(settings: Settings) -> int:
    """Put the settings into a file without a name; return its descriptor.

    They hold provider keys, which therefore never touch a command line or a disk.
    """
    if sys.platform == "linux":
        fd = os.memfd_create("tidegate-settings")
    else:
        fd, name = tempfile.mkstemp()
        Path(name).unlink()
    content = msgspec.msgpack.encode(settings)
    while content:
        content = content[os.write(fd, content) :]
    return fd


def read_settings(seat: Seat) -> Settings:
    """Read what `settings_file` wrote; any number of processes may, any number of times."""
    size = os.fstat(seat.settings_fd).st_size
    content = b""
    while len(content) < size:
        content += os.pread(seat.settings_fd, size - len(content), len(content))
    return msgspec.msgpack.decode(content, type=Settings)


def say_ready(seat: Seat) -> None:
    """Tell the supervisor that this process serves."""
    if seat.ready_fd >= 0:
        with contextlib.suppress(OSError):  # nobody listens any more: then nobody needs to know
            os.write(seat.ready_fd, b"1")
            os.close(seat.ready_fd)


def leave(code: int) -> NoReturn:
    """End this process now that all it held is closed: taking its interpreter apart costs up to 0.2 s of CPU."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def listener(fd: int) -> socket.socket:
    """Take over an inherited listening socket; programs this process starts do not get it."""
    os.set_inheritable(fd, False)
    taken = socket.socket(fileno=fd)
    taken.setblocking(False)
    return taken
