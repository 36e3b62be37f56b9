"""A Postgres server of a test's own, from the machine's package, in a folder that is gone afterwards."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.fakes.tidegate import free_port

_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
"""Where Debian puts what is not for everybody's path."""
_PATIENCE_S = 30.0


def program(name: str) -> str:
    """Return the path of one of Postgres' programs; empty if the server is not installed."""
    for folder in _FOLDERS:
        if (folder / name).exists():
            return str(folder / name)
    return shutil.which(name) or ""


class Postgres:
    """A running server. It does not run as root, so root's tests run it as somebody else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _unprivileged()
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "tidegate", "--no-sync")

    def url(self, database: str = "postgres") -> str:
        """Return where a database is."""
        return f"postgresql://tidegate@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and return when it takes connections."""
        options = ("-k", str(self.folder), "-h", "127.0.0.1", "-p", str(self.port))
        quick = ("-c", "fsync=off", "-c", "shared_buffers=16MB")
        self._process = subprocess.Popen(
            [program("postgres"), "-D", str(self.folder / "data"), *options, *quick],
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "Postgres does not answer"
                time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, as a crash would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(_PATIENCE_S)

    def make(self, database: str) -> str:
        """Make an empty database; return its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'create database "{database}"'.encode())
        return self.url(database)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database, and drop it when the block ends."""
        name = f"test_{next(self._numbers)}"
        yield self.make(name)
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)".encode())

    @contextmanager
    def away(self) -> Iterator[None]:
        """Be away until the block ends."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _run(self, name: str, *arguments: str) -> None:
        command = [program(name), *arguments]
        subprocess.run(command, user=self._user, check=True, capture_output=True, cwd=self.folder)


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def running() -> Iterator[Postgres]:
    """Run a server until the block ends; a unix socket's path must be short, so not in pytest's folder."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
