"""HTTP to another process of the house, for code that may block."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket. `timeout_s` is the longest silence."""

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(
    path: Path,
    method: str,
    target: str,
    body: bytes | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout_s: float,
) -> tuple[int, bytes]:
    """Return status and body of the answer. Raises OSError."""
    connection = UnixConnection(path, timeout_s=timeout_s)
    try:
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"no answer: {type(error).__name__}") from error
    finally:
        connection.close()
