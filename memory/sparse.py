"""Words as numbers: the terms of a text in any script, hashed; no model, no dictionary to download."""

from __future__ import annotations

import itertools
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator

from memory.records import Terms

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
"""Thai, Lao, Burmese, Khmer, Kana, Han and Hangul: their words are not told apart by blanks, or not alone."""
_RUN = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+(?:['’][^\W{_UNSPACED}]+)?")
_PARTS = re.compile(r"[^\W_]+")
_STOP = frozenset(
    re.findall(
        r"\w+",
        "a about after all also am an and any are as at be because been before being but by can could did do"
        " does doing for from had has have having he her here hers him his how i if in into is it its just me"
        " might more most my no nor not of on or other our out over own please s same she should so some such t"
        " tell than that the their them then there these they this those to too up us very was we were what"
        " when where which while who whom why will with would you your yours",
    )
)
_ENDINGS = (("ies", "y", 5), ("sses", "ss", 5), ("ing", "", 6), ("ed", "", 5), ("es", "", 5), ("s", "", 4))
"""Ending, what replaces it, length from which on."""
_NOT_PLURAL = ("ss", "us", "is")


def words(text: str) -> Iterator[str]:
    """Yield the terms of a text: stems of words, pairs of characters where words are not spaced."""
    for match in _RUN.finditer(unicodedata.normalize("NFKC", text).casefold()):
        run = match.group()
        if _unspaced(run[0]):
            yield from (run,) if len(run) == 1 else map("".join, itertools.pairwise(run))
            continue
        whole = run.replace("’", "'").split("'")[0]
        parts = _PARTS.findall(whole)
        if len(parts) > 1:
            yield whole
        for part in parts:
            if part not in _STOP:
                yield _stem(part)


def terms(text: str) -> Terms:
    """Return each term's 32-bit hash and how often it occurs."""
    return dict(Counter(zlib.crc32(word.encode()) for word in words(text)))


def essence(text: str) -> str:
    """Return the text without case, punctuation and spacing: equal for what reads the same."""
    return " ".join(_PARTS.findall(unicodedata.normalize("NFKC", text).casefold()))


def _unspaced(character: str) -> bool:
    return character >= "\u0e00" and re.match(f"[{_UNSPACED}]", character) is not None


def _stem(word: str) -> str:
    if not word.isascii():
        return word
    for ending, instead, least in _ENDINGS:
        if (
            word.endswith(ending)
            and len(word) >= least
            and not (ending == "s" and word.endswith(_NOT_PLURAL))
        ):
            stem = word[: -len(ending)] + instead
            return stem[:-1] if ending in ("ing", "ed") and _doubled(stem) else stem.removesuffix("e")
    return word.removesuffix("e") if len(word) > 3 else word


def _doubled(stem: str) -> bool:
    return len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "aeiouls"
