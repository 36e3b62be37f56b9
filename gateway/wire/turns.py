"""What a user says in a request, whatever its format: what is read for a recall, and where memories were put."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

MOST_TURNS = 8
MOST_CHARS = 8192
"""Of the turns read for a recall together; of a last one that is longer, its end."""
DIGEST_BYTES = 16
"""Of each anchor's digest."""
FENCE = "<recalled-memories>"
"""How our blocks begin. `memory.render` makes them, which is nothing that a worker imports."""
_BLOCK = re.compile(r"<recalled-memories>.*?(?:</recalled-memories>|\Z)", re.DOTALL)
_NOTES = ("<system-reminder>",)
"""How Claude Code (2.1.197, November 2026) marks what it adds to a user's turn; it comes and goes between calls."""


Said = tuple[int, str]
"""Index of a message, and what the user says in it; "" if that is no word, or a function brings its result."""


class Turns:
    """The user's turns of one request, read from its first message to its last.

    A message that says something in words is an anchor: what was once put behind it has to stand there in every
    later request, or the provider's cache is lost. Its digest covers all that the user said up to it.
    """

    def __init__(self) -> None:
        self.anchors: list[int] = []
        """Index of each message in which the user says something."""
        self.fresh = False
        """The last anchor is being answered now: no results of functions, and no picture, came after it."""
        self._digests: list[bytes] = []
        self._before = b""
        self._texts: list[str] = []

    def begin(self, seed: str) -> None:
        """Take the turns for those that follow a conversation which is kept elsewhere under this name."""
        self._before = seed.encode()

    def hear(self, said: list[Said]) -> None:
        """Take all that is said, from the first message to the last."""
        anchors, texts, digests, before = self.anchors, self._texts, self._digests, self._before
        text = ""
        for index, words in said:
            text = words.strip()
            if "<" in text:
                text = "" if text.startswith(_NOTES) else scrubbed(text).strip()
            if text:
                before = blake2b(before + text.encode(), digest_size=DIGEST_BYTES).digest()
                digests.append(before)
                texts.append(text)
                anchors.append(index)
        self.fresh = bool(text)

    @property
    def chain(self) -> bytes:
        """The anchors' digests, one after the other."""
        return b"".join(self._digests)

    @property
    def turns(self) -> list[str]:
        """What the user said, oldest first, as far back as there is room for."""
        last = self._texts[-MOST_TURNS:]
        if sum(map(len, last)) <= MOST_CHARS:
            return last
        room = MOST_CHARS
        kept: list[str] = []
        for text in reversed(last):
            room -= len(text)
            if room < 0 and kept:
                break
            kept.append(text[-MOST_CHARS:])
        kept.reverse()
        return kept


def own_words(parts: Iterable[str]) -> str:
    """Return what a message of several parts says, without what a client adds to it."""
    return "\n".join([part for part in parts if not part.lstrip().startswith(_NOTES)])


def scrubbed(text: str) -> str:
    """Return a text without blocks of ours that a client quotes."""
    return _BLOCK.sub("", text) if FENCE in text else text
