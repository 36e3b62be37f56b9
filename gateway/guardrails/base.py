"""What a check says of a text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

import msgspec

_QUOTE = re.compile(r'(?<!\\)(?:\\\\)*"')


class Match(msgspec.Struct, frozen=True, order=True, gc=False):
    """Something that was looked for, by where it stands; what it says is never repeated."""

    start: int
    end: int
    kind: str
    bare: bool = False
    """A value in JSON that has no quotes, which its mark then needs."""

    @property
    def mark(self) -> str:
        """What stands in its place once it is redacted."""
        return f'"[{self.kind}]"' if self.bare else f"[{self.kind}]"


class TextCheck(Protocol):
    """Looks for one kind of thing in a text. Pure, and linear in the text's length."""

    def find(self, text: str) -> list[Match]:
        """Return what was found, in order, without overlaps."""
        ...

    def open_from(self, text: str) -> int:
        """Return from where on the end of a text might turn out to begin a match, once more of it is known."""
        ...


def apart(matches: Iterable[Match]) -> list[Match]:
    """Return the matches in order; of those that overlap the one that begins first, then the longest."""
    kept: list[Match] = []
    for match in sorted(matches, key=lambda match: (match.start, -match.end)):
        if not kept or match.start >= kept[-1].end:
            kept.append(match)
    return kept


def bared(text: str, match: Match, *, inside: bool = False) -> Match:
    """Return the match as one in JSON that is written in a text; `inside`: the text begins inside a string."""
    return Match(match.start, match.end, match.kind, ends_outside(text[: match.start], inside=inside))


def ends_outside(text: str, *, inside: bool) -> bool:
    """Say whether a part of JSON ends outside its strings."""
    return (len(_QUOTE.findall(text)) % 2 == 0) != inside


def redacted(text: str, matches: Iterable[Match], *, code: bool = False) -> str:
    """Return the text with a mark for each match; `code`: it is JSON."""
    parts: list[str] = []
    at = 0
    for match in apart(matches):
        parts += (text[at : match.start], (bared(text, match) if code else match).mark)
        at = match.end
    return "".join((*parts, text[at:]))
