"""Takes logs: reads each, and answers once the journal has those that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from telemetry.answers import Refusal
from telemetry.due import DiskFull
from telemetry.ingest.fields import Wrong
from telemetry.ingest.log import Reader, Sender
from telemetry.journal import Journal, Told

MOST_LOGS = 1000
"""In one request."""
CUT_BYTES = 12 * 1024 * 1024
"""How much is kept of what was asked, and of what was answered; a frame of the journal takes 16 MiB."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_many = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(msgspec.Raw)


class Complaint(msgspec.Struct, frozen=True):
    """Why a log was not taken, and which field to mend."""

    message: str
    param: str | None
    code: str = "invalid_log"


class Result(msgspec.Struct, frozen=True):
    """What became of one log."""

    unique_id: str | None
    """By which it is known from now on; None if it has none."""
    status: Literal["accepted", "repeated", "invalid"]
    """`repeated`: the same id stood before it in the same request."""
    error: Complaint | None = None


class Intake:
    """Brings logs into a journal. Safe to call from several threads."""

    def __init__(self, journal: Journal, reader: Reader) -> None:
        self._journal = journal
        self._reader = reader

    def take(self, body: bytes, sender: Sender) -> tuple[list[Result], bool]:
        """Return what became of each log, and whether they came as a list. Raise Refusal if none was looked at."""
        raws, listed = _split(body)
        results: list[Result] = []
        found: dict[str, Told] = {}
        for raw in raws:
            try:
                told = self._reader.read(bytes(raw), sender)
            except Wrong as error:
                complaint = Complaint(str(error), error.param or None)
                results.append(Result(_id_of(raw), "invalid", complaint))
                continue
            call = told.call
            results.append(Result(call.log_id, "repeated" if call.call_id in found else "accepted"))
            found.setdefault(call.call_id, told)
        if found:
            self._write(list(found.values()))
        return results, listed

    def _write(self, logs: Sequence[Told]) -> None:
        try:
            self._journal.add(logs)
        except DiskFull as error:
            raise Refusal(
                503,
                "journal_full",
                "the journal's disk or quota (journal.quota_mb) is full, nothing of this request was kept: free "
                "space in the data folder and send it again",
            ) from error


def _split(body: bytes) -> tuple[Sequence[msgspec.Raw], bool]:
    listed = body.lstrip()[:1] == b"["
    try:
        raws = _many.decode(body) if listed else [_one.decode(body)]
    except _UNREADABLE as error:
        raise Refusal(
            400, "invalid_json", f"the body is not JSON ({error}): send a log, or a list of logs"
        ) from error
    if len(raws) > MOST_LOGS:
        raise Refusal(413, "too_many_logs", f"{len(raws)} logs: send at most {MOST_LOGS} at once")
    return raws, listed


def _id_of(raw: msgspec.Raw) -> str | None:
    """Return the id of a log that cannot be read otherwise."""
    try:
        said = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        return msgspec.json.decode(said["unique_id"], type=str)[:255]
    except (*_UNREADABLE, KeyError):
        return None
