"""The sockets, folders and locks that the supervisor holds for its children."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import socket
import tempfile
from pathlib import Path

_LONGEST_PATH = 100
"""Bytes; Linux takes 107 in a unix socket's address, macOS 103."""
_BACKLOG = 2048
_FORMER_CHILDREN_S = 5.0


class StartRefused(Exception):
    """The house cannot start; the message says why and what to do, for the person at the terminal."""


def run_folder(data: Path) -> Path:
    """Return the folder for the sockets of the installation in `data`: inside it if the paths fit."""
    inside = data.resolve() / "run"
    if len(os.fsencode(inside / "worker-9999.sock")) <= _LONGEST_PATH:
        return inside
    digest = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]
    outside = Path(tempfile.gettempdir()) / f"tidegate-{os.getuid()}-{digest}"
    with contextlib.suppress(FileExistsError):
        outside.mkdir(mode=0o700)
    found = outside.lstat()
    if found.st_uid == os.getuid() and outside.is_dir() and not outside.is_symlink():
        return outside
    return Path(tempfile.mkdtemp(prefix="tidegate-"))  # somebody else sits on our name


def make_private(folder: Path) -> None:
    """Make the folder if need be, and let nobody else in."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def bind_unix(path: Path) -> socket.socket:
    """Listen at `path` for this user only; what an earlier process left there is replaced."""
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            door.bind(os.fspath(path))
        finally:
            os.umask(before)
        door.listen(_BACKLOG)
    except OSError:
        door.close()
        raise
    door.setblocking(False)
    return door


def is_answered(path: Path) -> bool:
    """Tell whether some process listens at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
    return True


def check_port(host: str, port: int) -> None:
    """Raise StartRefused unless the port is ours to take.

    A shared listener (SO_REUSEPORT) would happily join another installation's; a plain one is refused.
    """
    if port:
        with _bound(host, port, shared=False):
            pass


def bind_public(host: str, port: int) -> socket.socket:
    """Listen at the public address, as one of several listeners; port 0 takes any free one."""
    door = _bound(host, port, shared=True)
    door.listen(_BACKLOG)
    door.setblocking(False)
    return door


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise StartRefused(
            f"Cannot listen at {host!r}: {error.strerror}. Choose another with --host."
        ) from error
    door = socket.socket(family, kind, protocol)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        door.bind(address)
    except OSError as error:
        door.close()
        if error.errno == errno.EADDRINUSE:
            message = f"Port {port} on {host} is in use by another program. Choose another with --port."
        else:
            message = f"Cannot listen on port {port} of {host}: {error.strerror}. Choose another with --port."
        raise StartRefused(message) from error
    return door


class Claim:
    """The right to run a house in a data folder; it ends with the process, whatever happens to it.

    Two files: one that only the supervisor locks, and one whose open file every child inherits, so that
    a new supervisor can wait until the last child of one that was killed has let go of the stores.
    """

    def __init__(self, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._mine = _open(data / "supervisor.lock")
        try:
            fcntl.flock(self._mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._mine, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._mine)
            raise StartRefused(
                f"A gateway already runs on {data} (pid {holder}). Stop it, or choose another folder with --data-dir."
            ) from error
        os.ftruncate(self._mine, 0)
        os.pwrite(self._mine, f"{os.getpid()}\n".encode(), 0)
        self.children_fd = _open(data / "children.lock")
        self._data = data

    async def wait_for_former_children(self, patience_s: float = _FORMER_CHILDREN_S) -> None:
        """Return when no child of an earlier supervisor is left; raise StartRefused if that takes too long."""
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    if _locked(self.children_fd):
                        return
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise StartRefused(
                f"Processes of an earlier gateway still use {self._data}. End them and start again."
            ) from error

    def release(self) -> None:
        """Give it up."""
        os.close(self.children_fd)
        os.close(self._mine)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
