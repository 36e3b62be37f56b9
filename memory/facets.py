"""What two texts must agree in before they can mean the same: numbers, names and negation. No I/O, no model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import msgspec

from memory.polarity import is_negative
from memory.sparse import essence

_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_WORD = re.compile(r"[^\W_][\w'’&.-]*")
_SENTENCE_END = re.compile(r"[.!?:;\n]\s*$|^\s*[\"“'(]*$")


class Facets(msgspec.Struct, frozen=True):
    """Equal for texts that may be paraphrases of each other."""

    numbers: frozenset[str]
    names: frozenset[str]
    negative: bool
    first: str
    """The first word: it may be a name, and is written like one in any case."""


def numbers(text: str) -> frozenset[str]:
    """Return the numbers, dates and times in a text, in ASCII digits."""
    digits = "".join(
        str(unicodedata.decimal(one)) if one.isdecimal() else one
        for one in unicodedata.normalize("NFKC", text)
    )
    return frozenset(match.group().replace(",", ".") for match in _NUMBER.finditer(digits))


def names(text: str) -> frozenset[str]:
    """Return the words that are written like names inside a sentence, as `normal` writes them."""
    found = set()
    for match in _WORD.finditer(text):
        word = match.group().rstrip(".'’-").removesuffix("'s").removesuffix("’s")
        inner = any(one.isupper() for one in word[1:])
        begins = _SENTENCE_END.search(text[: match.start()]) is not None
        if len(word) > 1 and word[:1].isalpha() and (inner or (word[0].isupper() and not begins)):
            found.add(normal(word))
    return frozenset(found)


def normal(name: str) -> str:
    """Return a name as names are compared."""
    return essence(name)


def facets_of(text: str, entities: Iterable[str] = (), *, negative: bool = False) -> Facets:
    """Return the facets of a text about these entities."""
    named = frozenset(filter(None, map(normal, entities)))
    first = normal(next(iter(text.split()), ""))
    return Facets(numbers(text), names(text) | named, negative or is_negative(text), first)


def keeps(old: str, entities: Iterable[str], new: str) -> bool:
    """Say whether a text that replaces `old` still has its numbers and its names."""
    told = f" {normal(new)} "
    named = {name for name in map(normal, entities) if name and name in normal(old)} | names(old)
    return numbers(old) <= numbers(new) and all(_tells(told, name) for name in named)


def _tells(told: str, name: str) -> bool:
    """Say whether a text has the name as a word of its own; some scripts set no blanks between words."""
    return name in told if name[0] >= "\u0e00" else f" {name} " in told
