"""What hub, telemetry and workers have in common: a uvicorn that obeys the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Generator
from typing import Literal

import uvicorn
from typing_extensions import override

App = Callable[..., Awaitable[None]]


class _Obedient(uvicorn.Server):
    """Ends when told to and returns, where uvicorn's own server would kill itself with the signal."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        caught = (signal.SIGTERM, signal.SIGINT)
        for number in caught:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in caught:
                loop.remove_signal_handler(number)

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()


def http_config(
    app: App,
    *,
    drain_s: float,
    http: type[asyncio.Protocol] | Literal["httptools"] = "httptools",
    ws: type[asyncio.Protocol] | Literal["none", "auto"] = "none",
    lifespan: Literal["on", "off"] = "off",
    behind_worker: bool = False,
    keep_alive_s: float = 75,
) -> uvicorn.Config:
    """Return uvicorn's configuration as every process of the house wants it.

    `behind_worker`: believe X-Forwarded-For and -Proto; safe only on a unix socket of mode 0600.
    """
    return uvicorn.Config(
        app,
        http=http,
        ws=ws,
        loop="none",
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=behind_worker,
        forwarded_allow_ips="*" if behind_worker else "",
        timeout_keep_alive=max(1, round(keep_alive_s)),
        timeout_graceful_shutdown=max(1, round(drain_s)),
    )


async def serve(
    config: uvicorn.Config, listeners: list[socket.socket], *, on_ready: Callable[[], None] = lambda: None
) -> None:
    """Serve until SIGTERM or SIGINT, let what runs end within the configured time, and return."""
    await _Obedient(config, on_ready).serve(sockets=listeners)
