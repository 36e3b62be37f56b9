"""What the journal is about to write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from telemetry.payloads import Body
from telemetry.records import Answer, Call, Request

RETRY_AFTER_S = 5.0


class DiskFull(Exception):
    """Nothing can be remembered now, so nothing may be sent; `retry_after_s` says when to ask again."""

    def __init__(self, message: str, retry_after_s: float = RETRY_AFTER_S) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Written(msgspec.Struct):
    """A call that is opened."""

    call: Call
    refused: DiskFull | None = None
    """Why it could not be written; known at the end of `with journal:`."""


class Due(NamedTuple):
    """A frame that is about to be written, with that behind it."""

    call: Call
    frame: bytes
    behind: bytes
    opened: Written | None = None
    """Of the frame that opens a call."""
    late: Body | None = None
    """Its body, if that goes to the thread."""


class Queued(NamedTuple):
    """A body that waits for the thread."""

    kind: type[Request | Answer]
    call: Call
    body: Body
    size: int


def refuse(due: Iterable[Due], error: OSError) -> None:
    """Say of those calls that were to be opened why they are not."""
    for one in due:
        if one.opened is not None:
            one.opened.refused = DiskFull(f"the journal could not be written: {error.strerror}")
