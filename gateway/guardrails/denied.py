"""Words and patterns that an installation does not want to see."""

from __future__ import annotations

import re

from ahocorasick_rs import AhoCorasick

from gateway.guardrails.base import Match, TextCheck, apart
from gateway.patterns import compiled

MOST_HELD = 256
"""Characters. A match of a pattern that is longer may be cut in two by a stream."""
_BLANK = re.compile(r"\s")


class DeniedWords:
    """Looks for words and phrases, whatever their case; inside other words only in scripts that have no spaces."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = sorted({_plain(word.strip()) for word in words if word.strip()})
        self._places = AhoCorasick(self._words).find_matches_as_indexes
        self._longest = max(map(len, self._words), default=0)

    def find(self, text: str) -> list[Match]:
        """Return the words that stand in a text."""
        plain = _plain(text)
        places = self._places(plain, overlapping=True)
        return apart(
            Match(start, end, "denied") for _, start, end in places if _is_bounded(plain, start, end)
        )

    def open_from(self, text: str) -> int:
        """Hold as much as the longest word and the character behind it."""
        return max(0, len(text) - self._longest - 1) if self._words else len(text)


class DeniedPatterns:
    """Looks for regular expressions of RE2, which takes time linear in the text, whatever the pattern."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = [compiled(pattern) for pattern in patterns]

    def find(self, text: str) -> list[Match]:
        """Return the places where a pattern matches."""
        return apart(
            Match(*found.span(), "denied")
            for pattern in self._patterns
            for found in pattern.finditer(text)
            if found.end() > found.start()
        )

    def open_from(self, text: str) -> int:
        """Hold so much that a match of usual length is whole."""
        return max(0, len(text) - MOST_HELD) if self._patterns else len(text)


class Several:
    """Looks for all that several checks look for."""

    def __init__(self, *checks: TextCheck) -> None:
        self._checks = checks

    def find(self, text: str) -> list[Match]:
        """Return what any of them found."""
        return apart(match for check in self._checks for match in check.find(text))

    def open_from(self, text: str) -> int:
        """Hold what any of them needs."""
        return min(check.open_from(text) for check in self._checks)


def _plain(text: str) -> str:
    """Return the text in lower case, with every blank as a space; as long as before."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters have two in lower case
        lowered = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    return _BLANK.sub(" ", lowered)


def _is_bounded(text: str, start: int, end: int) -> bool:
    """Say whether a word neither begins nor ends inside another one."""
    inside_before = start > 0 and _has_spaces(text[start]) and _has_spaces(text[start - 1])
    inside_behind = end < len(text) and _has_spaces(text[end - 1]) and _has_spaces(text[end])
    return not (inside_before or inside_behind)


def _has_spaces(char: str) -> bool:
    """Say whether this is a letter of a script that puts spaces between words."""
    return (char.isalnum() or char == "_") and char < "\u0e00"
