"""What happens in a stream, in the order in which a reader tells it and a writer hears it.

`Started`, then parts of the answer, then `Stopped` and `Counted` in any order, then `Ended`; or `Failed` at any time. A
part ends where one of another kind, or another call, begins. Nothing follows `Ended` or `Failed`.
"""

from __future__ import annotations

import msgspec

from gateway.translation.conversation import Citation, Family, Logprob, Stop
from telemetry.records import Usage


class Event(msgspec.Struct, frozen=True, gc=False):
    """Base of all events."""


class Started(Event, frozen=True):
    """The answer begins; either may be empty."""

    id: str = ""
    model: str = ""


class TextPiece(Event, frozen=True):
    """More words."""

    text: str


class Cited(Event, frozen=True):
    """The words before come from here."""

    citation: Citation


class ThinkingPiece(Event, frozen=True):
    """More of a thought."""

    text: str


class ThinkingSigned(Event, frozen=True):
    """The thought before, which may be empty, is signed; with `hidden`, the signature is the thought itself."""

    signature: str
    origin: Family
    hidden: bool = False
    id: str = ""


class CallStarted(Event, frozen=True):
    """The model begins to call a function; `call` counts the calls of an answer from 0."""

    call: int
    id: str
    name: str
    signature: str = ""
    origin: Family = ""


class CallPiece(Event, frozen=True):
    """More of a call's arguments, as a piece of JSON text."""

    call: int
    arguments: str


class RefusalPiece(Event, frozen=True):
    """More words of a refusal."""

    text: str


class MediaPiece(Event, frozen=True):
    """A whole image or piece of audio, base64."""

    media_type: str
    data: str


class Likely(Event, frozen=True):
    """How likely the tokens of the words before were."""

    logprobs: tuple[Logprob, ...]


class Stopped(Event, frozen=True):
    """The model stopped."""

    stop: Stop
    stop_sequence: str = ""


class Counted(Event, frozen=True):
    """What was used; a later one replaces an earlier one."""

    usage: Usage
    raw_usage: bytes = b""
    service_tier: str = ""
    output_uncounted: bool = False
    """So far it says nothing of the output: worth something only if nothing better follows."""


class Failed(Event, frozen=True):
    """The provider broke off with an error of its own."""

    message: str
    code: str = ""


class Ended(Event, frozen=True):
    """The format's own end was seen, or nothing that matters is missing."""


CONTENT = (TextPiece, ThinkingPiece, CallStarted, CallPiece, RefusalPiece, MediaPiece)
"""What shows that an answer has begun."""
