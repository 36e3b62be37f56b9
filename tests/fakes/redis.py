"""A Redis server of a test's own, from the machine's package."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes.tidegate import free_port

PROGRAM = shutil.which("redis-server") or ""
_PATIENCE_S = 20.0


class RedisServer:
    """Keeps everything in its memory, so that `stop` and `start` lose it."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and return when it answers."""
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen(
            [PROGRAM, *options, *self._options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
        )
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self.say("PING")
                return
            except OSError:
                assert time.monotonic() < deadline, "Redis does not answer"
                time.sleep(0.01)

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE_S)
            self._process = None

    def freeze(self) -> None:
        """Let it do nothing until `thaw`: its port takes connections, and nobody answers."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def say(self, line: str) -> bytes:
        """Send a command, and return the beginning of what it answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as door:
            door.sendall(line.encode() + b"\r\n")
            return door.recv(65536)


@contextmanager
def running(*options: str) -> Iterator[RedisServer]:
    """Run a server until the block ends."""
    server = RedisServer(*options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
