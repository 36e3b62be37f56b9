"""Looks through an answer on its way to the client.

A document is looked at whole. Of a stream only so much is held back as may still turn out to begin something that a
guardrail looks for; what was let through is never taken back, and events leave in the order in which they came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from gateway.clock import Clock
from gateway.errors import BrokenAnswer
from gateway.guardrails.base import Match, bared, ends_outside
from gateway.guardrails.events import Event, Thread, read
from gateway.guardrails.external import About
from gateway.guardrails.judging import conclude, judge, marked
from gateway.guardrails.rules import Guard
from gateway.guardrails.spoken import CODE, Piece, answered, changed, spoken_in, without_shadows
from gateway.wire.sse import Splitter, end_of
from telemetry.records import Checked

MOST_HELD_BYTES = 1 << 20
"""Of events that wait, whatever is in them; beyond, all texts are taken as they are."""
MOST_EVENT_BYTES = 64 << 20
ASKED_AT_ONCE = 600
"""So many new characters of a stream are collected before a service is asked about them."""
CONTEXT = 64
"""So many characters before a place are looked at again, to see where words begin."""

Watch = tuple[Guard, Checked]


class DocumentScreen:
    """Looks through an answer that comes in one piece."""

    clear = True

    def __init__(self, watches: Sequence[Watch], about: About, clock: Clock) -> None:
        self._watches = watches
        self._about = about
        self._clock = clock

    async def feed(self, out: bytes, *, last: bool) -> bytes:  # noqa: ARG002 - it is the only part
        """Return the answer, changed if something is redacted; raise GuardrailBlocked, Unavailable."""
        body = out
        for guard, checked in self._watches:
            body = await self._look(guard, checked, body)
        return body

    async def _look(self, guard: Guard, checked: Checked, body: bytes) -> bytes:
        pieces = await spoken_in(body, answered)
        texts = [piece.text for piece in pieces]
        found = await judge(guard, checked, texts, self._about, self._clock)
        said = marked(pieces, found)
        return without_shadows(changed(body, said)) if said else body


class _Text(msgspec.Struct, eq=False):
    """A text that grows. Places count from its first character; only the last of it is kept."""

    kept: str = ""
    code: bool = False
    """It is JSON: the arguments of a call."""
    inside: bool = False
    """What is kept begins inside a string of the JSON."""
    begin: int = 0
    """Place of the first character that is kept."""
    sent: int = 0
    """Place up to which it may be let through."""
    ended: bool = False
    seen: dict[str, int] = {}
    """By guardrail: the place up to which it was looked through for good."""
    marks: list[Match] = []

    @property
    def end(self) -> int:
        return self.begin + len(self.kept)

    def match(self, start: int, end: int, kind: str) -> Match:
        """Return a match at these places."""
        here = Match(start - self.begin, end - self.begin, kind)
        bare = self.code and bared(self.kept, here, inside=self.inside).bare
        return Match(start, end, kind, bare)

    def forget(self) -> None:
        """Let go of what is no longer needed."""
        least = min(self.sent, self.end) - CONTEXT
        if least > self.begin:
            gone = self.kept[: least - self.begin]
            self.inside = self.code and not ends_outside(gone, inside=self.inside)
            self.kept = self.kept[len(gone) :]
            self.begin = least
            self.marks = [mark for mark in self.marks if mark.end > least]


class _Held(msgspec.Struct, eq=False):
    event: Event
    parts: list[tuple[_Text, int, Piece]]
    """Each piece, and at which place of its text it begins."""
    marks: dict[Piece, list[Match]] = {}
    """What is redacted in texts that are whole."""


class StreamScreen:
    """Looks through a stream of events."""

    def __init__(self, watches: Sequence[Watch], about: About, clock: Clock) -> None:
        self._watches = watches
        self._about = about
        self._clock = clock
        self._splitter = Splitter(MOST_EVENT_BYTES)
        self._speaking: dict[Thread, tuple[Thread, _Text]] = {}
        """By speaker: the text that grows."""
        self._texts: list[_Text] = []
        """All that are not let through yet."""
        self._held: deque[_Held] = deque()
        self._size = 0
        self._said = False

    @property
    def clear(self) -> bool:
        """Whether nothing is held back, or some words were let through."""
        return self._said or not self._held

    async def feed(self, out: bytes, *, last: bool) -> bytes:
        """Return the events that may go; raise GuardrailBlocked, Unavailable, BrokenAnswer."""
        for raw in self._events(out, last=last):
            await self._take(read(raw))
        if last or self._size > MOST_HELD_BYTES:
            for speaker in list(self._speaking):
                self._end(speaker)
        for text in self._texts:
            await self._look(text)
        out = b"".join(self._released())
        self._texts = [text for text in self._texts if not text.ended]
        for text in self._texts:
            text.forget()
        return out

    def _events(self, out: bytes, *, last: bool) -> Iterator[bytes]:
        loose, block = self._splitter.push(out) if out else (b"", b"")
        if loose:
            raise BrokenAnswer("an event of the answer is too long to be checked", retryable=False)
        if last:
            block += self._splitter.end()
        at = 0
        while at < len(block):
            end = end_of(block, at)
            yield block[at:end]
            at = end

    async def _take(self, event: Event) -> None:
        """Note what an event says, and look at what of it is whole."""
        held = _Held(event, [], {})
        self._held.append(held)
        self._size += len(event.raw)
        for thread, piece in event.grows:
            text = self._text(thread)
            held.parts.append((text, text.end, piece))
            text.kept += piece.text
        for speaker in event.ends:
            self._end(speaker)
        if event.whole:
            texts = [piece.text for piece in event.whole]
            for watch in self._watches:
                found = await judge(*watch, texts, self._about, self._clock)
                for piece, matches in zip(event.whole, found, strict=False):
                    held.marks.setdefault(piece, []).extend(matches)

    def _text(self, thread: Thread) -> _Text:
        speaker = thread[:2]
        known, text = self._speaking.get(speaker, (None, None))
        if text is None or known != thread:
            self._end(speaker)
            text = _Text(code=thread[-1] in CODE, seen={}, marks=[])
            self._speaking[speaker] = thread, text
            self._texts.append(text)
        return text

    def _end(self, speaker: Thread) -> None:
        if (spoken := self._speaking.pop(speaker, None)) is not None:
            spoken[1].ended = True

    async def _look(self, text: _Text) -> None:
        """Find out up to where the text may be let through."""
        if text.sent == text.end and not text.ended:
            return
        free = [
            await (self._asked if guard.external is not None else self._searched)(guard, checked, text)
            for guard, checked in self._watches
        ]
        text.sent = max(text.sent, min(free))

    async def _searched(self, guard: Guard, checked: Checked, text: _Text) -> int:
        """Look through it; return up to where this guardrail lets it pass."""
        if guard.text is None:
            return text.end
        began_ns = self._clock.monotonic_ns()
        seen = text.seen.get(guard.settings.name, 0)
        begin = max(text.begin, seen - CONTEXT)
        part = text.kept[begin - text.begin :]
        free = begin + (len(part) if text.ended else guard.text.open_from(part))
        found = []
        for match in guard.text.find(part):
            start, end = begin + match.start, begin + match.end
            if start >= free:
                break
            if start >= seen:
                found.append(text.match(max(start, text.sent), end, match.kind))
                free = max(free, end)
        text.seen[guard.settings.name] = max(seen, free)
        checked.latency_us += (self._clock.monotonic_ns() - began_ns) // 1000
        if conclude(checked, found):
            text.marks += found
        return text.end if checked.action == "flag" else free

    async def _asked(self, guard: Guard, checked: Checked, text: _Text) -> int:
        """Ask about it, once there is enough; return up to where this guardrail lets it pass."""
        name = guard.settings.name
        seen = text.seen.get(name, 0)
        fresh = text.end - seen
        if fresh and (text.ended or fresh >= ASKED_AT_ONCE):
            begin = max(text.begin, seen - CONTEXT)
            part = text.kept[begin - text.begin :]
            for match in (await judge(guard, checked, [part], self._about, self._clock) or [[]])[0]:
                if begin + match.end > text.sent:
                    start = max(begin + match.start, text.sent)
                    text.marks.append(text.match(start, begin + match.end, match.kind))
            text.seen[name] = seen = text.end
        if checked.action == "flag":
            return text.end
        return seen if text.ended else max(text.sent, seen - CONTEXT)

    def _released(self) -> Iterator[bytes]:
        """Yield the events that no text holds back any longer, as they may be seen."""
        while self._held:
            held = self._held[0]
            if any(text.sent < place + len(piece.text) for text, place, piece in held.parts):
                break
            self._held.popleft()
            self._size -= len(held.event.raw)
            self._said = self._said or bool(held.parts or held.event.whole)
            yield _shown(held)


def _shown(held: _Held) -> bytes:
    """Return the event without what is redacted in it."""
    said = marked(list(held.marks), list(held.marks.values()))
    for text, place, piece in held.parts:
        end = place + len(piece.text)
        matches = [mark for mark in text.marks if mark.start < end and mark.end > place]
        if matches:
            said[piece] = _cut(piece.text, place, matches)
    if not said:
        return held.event.raw
    return held.event.saying(without_shadows(changed(held.event.data, said)))


def _cut(said: str, place: int, matches: list[Match]) -> str:
    """Return a part of a text with the marks that begin in it, and without the rest of what is marked."""
    parts: list[str] = []
    at = 0
    for match in sorted(matches, key=lambda match: (match.start, -match.end)):
        start, end = max(0, match.start - place), min(len(said), match.end - place)
        if start < at:
            at = max(at, end)
            continue
        parts += (said[at:start], match.mark if match.start >= place else "")
        at = end
    return "".join((*parts, said[at:]))
