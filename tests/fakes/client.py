"""The gateway's own HTTP client, made for one test and checked for leftovers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.errors import UpstreamFailed
from gateway.providers.base import Headers, Origin, Outgoing
from gateway.settings import Network, Timeouts
from gateway.upstream import Upstream
from tests.fakes.provider import Provider

PATIENT = Timeouts(connect_s=5, first_byte_s=5, idle_s=5, total_s=10)


def outgoing(
    provider: Provider,
    *,
    method: str = "POST",
    path: str = "/v1/chat/completions",
    headers: Headers | None = None,
    body: bytes = b'{"model":"m"}',
    host: str = "127.0.0.1",
    ca_file: str = "",
) -> Outgoing:
    if provider.path:
        origin = Origin("unix", provider.path, 0)
    else:
        origin = Origin(provider.base_url.partition(":")[0], host, provider.port, ca_file)
    return Outgoing(method, origin, path, headers or [], body)


@asynccontextmanager
async def client(network: Network | None = None, **options: Any) -> AsyncIterator[Upstream]:
    """A client that must be empty in the end."""
    upstream = Upstream(SystemClock(), network or Network(), **options)
    try:
        yield upstream
    finally:
        await upstream.close()
        assert upstream.open_now == 0


async def fetched(
    upstream: Upstream, out: Outgoing, timeouts: Timeouts = PATIENT, *, stream: bool = False
) -> tuple[int, bytes]:
    with closing(await upstream.open(out, timeouts, stream=stream)) as answer:
        return answer.status, b"".join([chunk async for chunk in answer.chunks()])


async def failure(
    upstream: Upstream, out: Outgoing, timeouts: Timeouts = PATIENT, *, stream: bool = False
) -> UpstreamFailed:
    with pytest.raises(UpstreamFailed) as caught:
        await fetched(upstream, out, timeouts, stream=stream)
    return caught.value
