"""A real uvicorn in the test's own loop."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from typing_extensions import override

from gateway.tasks import spawn
from tests.fakes.waiting import until


class InProcess(uvicorn.Server):
    """Leaves the test runner's signal handlers alone."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(config: uvicorn.Config, door: socket.socket) -> AsyncIterator[InProcess]:
    """Serve at this listening socket until the block ends."""
    server = InProcess(config)
    running = spawn(server.serve(sockets=[door]), name="test server")
    await until(lambda: server.started)
    try:
        yield server
    finally:
        server.should_exit = True
        await running
