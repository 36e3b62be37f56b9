"""What a provider adapter has to say; it says it without doing any I/O."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from gateway.errors import Refused

Headers = list[tuple[bytes, bytes]]


class Unchanging(list[tuple[bytes, bytes]]):
    """Headers that many requests share, so that what is made of them can be remembered by which ones they are."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # a list has none, as it may change


class Origin(msgspec.Struct, frozen=True):
    """Where connections go; those to the same origin share a pool."""

    scheme: str
    """`http`, `https`, or `sandbox`, which never leaves the process."""
    host: str
    port: int
    ca_file: str = ""


class Outgoing(msgspec.Struct, frozen=True):
    """An HTTP request to a provider, ready to send; the transport adds Host and Content-Length."""

    method: str
    origin: Origin
    path: str
    headers: Headers
    body: bytes
    parts: AsyncIterator[bytes] | None = None
    """Sent instead of `body` as they come: chunked, unless `length` says how long they are together.

    Such a request is never sent twice, and what the iterator raises comes out of sending it.
    """
    length: int | None = None


class Provider(Protocol):
    """One API at one place: how to ask it, and how to read its refusals."""

    name: str
    owned_by: str
    """Who serves its models, for `GET /v1/models`."""
    include_usage: bool
    """Whether it accepts `stream_options.include_usage`."""
    speaks: frozenset[str]
    """Surfaces it can be asked in."""

    def request(
        self,
        surface: str,
        headers: dict[bytes, bytes],
        body: bytes,
        *,
        secret: str,
        stream: bool,
        model: str = "",
        query: bytes = b"",
    ) -> Outgoing:
        """Build the request for one attempt from the client's headers and the body to send.

        A stream is asked for without content coding, as its usage event may have to be taken out.
        `model` and the client's own `query` matter where they belong into the path.
        """
        ...

    def failure(self, status: int, headers: Headers, body: bytes) -> Refused:
        """Say what a non-2xx answer means, and whether another deployment may do better."""
        ...
