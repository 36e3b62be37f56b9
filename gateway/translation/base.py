"""What each format has to say for translation; all of it is pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.translation.conversation import Family, Reply, Request
from gateway.translation.events import Event

HINTS = frozenset(
    {
        "cache",
        "citations",
        "user",
        "service_tier",
        "strict",
        "detail",
        "name",
        "cite",
        "failed",
        "parallel_tool_calls",
    }
)
"""Names of losses that change nothing, or little, about what is said: they never make a request fail."""


class Written(msgspec.Struct, frozen=True):
    """A request in a provider's format, and what had no place in it."""

    body: bytes
    lost: tuple[str, ...] = ()
    """Fields of `Request` (`seed`), or what messages held (`audio`, `cache`, `thinking`), each once."""


class Answering(msgspec.Struct, frozen=True, kw_only=True):
    """What a client's answer holds besides what the provider said."""

    call_id: str
    created_s: int
    """Unix time at which the call began."""
    model: str
    """The provider's name of the model, for answers that name none."""
    wants_usage: bool = True
    """The client wants usage at the end of its stream; only OpenAI's chat asks."""
    previous: str = ""
    """Id of the answer that the request goes on from."""
    request: Request
    """For formats whose answers repeat it."""


class StreamReader(Protocol):
    """Reads a provider's stream, however its bytes arrive. Never raises: nonsense is passed over, or `Failed`."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Return what happened in the next bytes."""
        ...

    def end(self) -> list[Event]:
        """Return what remained; `Ended` only if the answer is known to be whole."""
        ...


class StreamWriter(Protocol):
    """Writes a client's stream. Stop reason, usage and the end are written at `Ended`; `Failed` writes nothing."""

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the bytes that say this."""
        ...


class ProviderFormat(Protocol):
    """An API format as a provider is asked in it."""

    surface: str
    """As its `gateway.wire.base.Wire` has it."""
    family: Family
    stream_type: str
    """Content type of its streams."""
    names: Mapping[str, str]
    """What this format calls a loss, where it is not the same name: `max_tokens` is `max_output_tokens`."""

    def write_request(self, request: Request, *, model: str, usage: bool) -> Written:
        """Write the request for a provider; `usage`: it accepts to be asked for usage in its stream."""
        ...

    def read_reply(self, body: bytes) -> Reply:
        """Read a provider's answer; raise ValueError (msgspec's errors are) if it is none."""
        ...

    def stream_reader(self) -> StreamReader:
        """Return a reader for one stream of a provider."""
        ...


class ClientFormat(Protocol):
    """An API format as a client asks in it."""

    surface: str
    family: Family
    stream_type: str
    names: Mapping[str, str]

    def read_request(self, body: bytes, *, drop: frozenset[str] = frozenset()) -> Request:
        """Read a client's request, without the fields to `drop`; raise BadRequest naming the parameter."""
        ...

    def write_reply(self, reply: Reply, answering: Answering) -> bytes:
        """Write the answer for a client."""
        ...

    def stream_writer(self, answering: Answering) -> StreamWriter:
        """Return a writer for one stream to a client."""
        ...


class Format(ClientFormat, ProviderFormat, Protocol):
    """One API format, in both directions."""
