"""What the gateway must know of an API format, whoever speaks it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec

from gateway.claims import Claims
from gateway.errors import GatewayError
from telemetry.records import Usage


class Peek(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway reads of a request."""

    model: str
    stream: bool = False
    wants_usage: bool = False
    """The client itself asked for usage at the end of its stream."""
    parameters: dict[str, bool | int | float | str] = {}
    """Small settings worth a place on the row (`temperature`, `max_tokens`, `n` ...)."""
    claims: Claims | None = None
    """Whom the body says it is for, if it says so."""
    control: tuple[str, ...] = ()
    """Fields at the top of the body that are meant for a gateway, and not for a provider."""
    keep: bool = False
    """The provider keeps the answer, and may be asked for it by its id."""
    previous: str = ""
    """Id of an answer kept before: the one this request goes on from, or asks for."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer turned out to be."""

    complete: bool = False
    """The format's own end was seen: a stream's last event, a whole JSON document."""
    usage: Usage | None = None
    raw_usage: bytes = b""
    output_uncounted: bool = False
    """The answer ended before its output was counted: `usage` knows the input only."""
    finish_reason: str = ""
    response_model: str = ""
    response_id: str = ""
    error: str = ""
    """Message of an error that the provider put into the stream after a 200."""
    service_tier: str = ""
    """At which the provider served it, in its own words; prices depend on it."""
    usage_due: Literal["here", "later", "elsewhere", "untold", "batch"] = "here"
    """Where usage that this answer does not tell is counted; only what belongs here is estimated."""


class Reading(Protocol):
    """Reads one answer as it passes. Makes no copy of what it need not change."""

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes of the answer; return the bytes that may go to the client now."""
        ...

    def end(self) -> bytes:
        """The provider's answer is over; return what was held back."""
        ...

    @property
    def began(self) -> bool:
        """Whether content (not only headers or a role) has been seen."""
        ...

    def finding(self) -> Finding:
        """Say what was seen so far."""
        ...


class Screen(Protocol):
    """Looks through one answer, in the client's format, before the client sees it."""

    @property
    def clear(self) -> bool:
        """Whether nothing with words in it is held back, or some of it was let through."""
        ...

    async def feed(self, out: bytes, *, last: bool) -> bytes:
        """Take the next bytes of the answer; return those that may go to the client. Raises GatewayError."""
        ...


class Conversation(Protocol):
    """What a user has said in a request, and the places for what is remembered of them. `wire.turns` reads it."""

    anchors: list[int]
    """Index of each message in which the user says something in words, oldest first."""
    fresh: bool
    """The last of them is being answered now; else it is a loop of functions, for which nothing is looked up."""
    profiled: bool
    """There is a place for a profile of the user."""

    @property
    def chain(self) -> bytes:
        """The anchors' digests, 16 bytes each: equal ones mean that the user said the same up to there."""
        ...

    @property
    def turns(self) -> list[str]:
        """What the user says, oldest first, as far as a few kilobytes reach back; empty: no question."""
        ...

    def remember(self, blocks: Iterable[tuple[int, str]], profile: str = "") -> bytes:
        """Return the body with each block as one more text part of its anchor (by place among `anchors`).

        The profile stands behind the client's own instructions. Every other value keeps its bytes. May raise
        BadRequest.
        """
        ...


class Wire(Protocol):
    """One API format. Every method is pure: bytes in, values or bytes out, no I/O."""

    surface: str
    """Names the format, and what is asked for in it: `openai.chat`."""
    operation: str
    """`gen_ai.operation.name` of OpenTelemetry: `chat`."""
    stream_type: str
    """Content type of its streams."""

    def peek(self, body: bytes, *, model: str = "") -> Peek:
        """Read what routing and recording need without building the whole request; raise BadRequest.

        `model` is given where the path names it and not the body.
        """
        ...

    def rewrite(self, body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:
        """Return the body asking for `model` (and for usage in its stream), without the fields to `drop`.

        Every other value keeps its bytes.
        """
        ...

    def conversation(self, body: bytes) -> Conversation | None:
        """Read what the user says; None if there is no place for memories in this format. Never raises."""
        ...

    def reading(self, *, stream: bool, strip_usage: bool) -> Reading:
        """Return a reader for one answer; `strip_usage` removes the usage event nobody asked for."""
        ...

    def words(self, content_type: str, body: bytes) -> str:
        """Return what an answer says, without its format; of one that was cut off, as much as came."""
        ...

    def error(self, error: GatewayError) -> bytes:
        """Render an error the way this format's own clients expect it."""
        ...

    def broken(self, error: GatewayError) -> bytes:
        """Render an error as the last event of a stream that has begun."""
        ...
