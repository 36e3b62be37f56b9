"""What one event of a streamed answer adds to which of the texts that the answer consists of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.guardrails.spoken import Path, Piece, answered
from gateway.wire.sse import data_of

Thread = tuple[str | int, ...]
"""Names a text that grows from event to event. Its first two parts say whose it is: texts of one speaker follow one
another, so that a new one ends the one before."""

_decode = msgspec.json.Decoder().decode
_SPEAKER: Thread = ("", 0)
_QUIET = ("ping", "error")


class Event(msgspec.Struct):
    """One event, and what it says."""

    raw: bytes
    data: bytes = b""
    grows: list[tuple[Thread, Piece]] = []
    whole: list[Piece] = []
    """Texts that are complete."""
    ends: list[Thread] = []
    """Speakers that have finished a text with it."""

    def saying(self, data: bytes) -> bytes:
        """Return the event with other data."""
        if self.data in self.raw:
            return self.raw.replace(self.data, data, 1)
        lines = [line for line in self.raw.splitlines() if line and not line.startswith(b"data:")]
        return b"\n".join([*lines, b"data: " + data]) + b"\n\n"


def read(raw: bytes) -> Event:
    """Read one event of any API; one that says nothing has no pieces."""
    data = data_of(raw)
    if not data.startswith((b"{", b"[")):
        return Event(raw)
    try:
        said = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Event(raw)
    event = Event(raw, data, [], [], [])
    for piece in answered(data):
        thread = _thread(said, piece.path)
        if thread is None:
            event.whole.append(piece)
        else:
            event.grows.append((thread, piece))
    if isinstance(said, dict):
        event.ends = _ended(said, grows=bool(event.grows))
    return event


def _thread(said: Any, path: Path) -> Thread | None:  # noqa: ANN401 - whatever JSON holds
    if path[0] in ("choices", "candidates") and len(path) > 2 and isinstance(place := path[1], int):
        choice = said[path[0]][place]
        speaker = (path[0], _index(choice, place))
        if path[0] == "candidates":
            return _of_part(choice, path, speaker) if path[-1] == "text" else None
        if path[2] == "text":
            return (*speaker, "text")
        return (*speaker, *_steps(choice, path[2:])) if path[2] == "delta" else None
    if path[0] == "delta":  # of Anthropic, where blocks have an index; of OpenAI's responses
        places = (said.get(name, 0) for name in ("index", "output_index", "content_index", "summary_index"))
        return (*_SPEAKER, said.get("type", ""), *places, *path)
    return None


def _of_part(candidate: Any, path: Path, speaker: tuple[str | int, int]) -> Thread:  # noqa: ANN401 - as above
    """Tell a candidate's thoughts from its words."""
    value = candidate
    for step in path[2:-1]:
        value = value[step]
    return (*speaker, "thought" if value.get("thought") is True else "text")


def _steps(choice: Any, path: Path) -> Thread:  # noqa: ANN401 - as above
    """Return the path with the number that each element of a list gives itself."""
    value, steps = choice, []
    for step in path:
        value = value[step]
        steps.append(_index(value, step) if isinstance(step, int) else step)
    return tuple(steps)


def _index(value: object, place: int) -> int:
    index = value.get("index") if isinstance(value, Mapping) else None
    return index if isinstance(index, int) else place


def _ended(said: dict[str, Any], *, grows: bool) -> list[Thread]:
    for name in ("choices", "candidates"):
        choices = said.get(name)
        if isinstance(choices, list):
            return [
                (name, _index(choice, place))
                for place, choice in enumerate(choices)
                if isinstance(choice, dict) and (choice.get("finish_reason") or choice.get("finishReason"))
            ]
    if grows or said.get("type", "ping") in _QUIET:
        return []
    return [_SPEAKER]
