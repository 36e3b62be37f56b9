"""Whether a clause says that something is so or is not so, and where a clause begins and ends. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_SPACED = """
not no never none neither nor cannot without longer isnt dont doesnt didnt wont cant arent wasnt
nicht kein keine keinen keinem keiner keines nie niemals ohne
ne pas jamais aucun aucune sans
no nunca jamás ningún ninguna ninguno sin
non mai nessun nessuna nessuno senza
não nunca nenhum nenhuma sem
не нет никогда без ни
لا ليس ليست لست لم لن غير بدون
hate hates hated dislike dislikes disliked detest detests avoid avoids refuse refuses stopped quit unable
hasse hasst verabscheue verabscheut vermeide vermeidet
déteste détestes évite
odio odia detesto detesta evito evita
odeio odeia
ненавижу ненавидит избегаю избегает
أكره اكره يكره تكره
"""
_NEGATIVE = re.compile(
    rf"(?<!\w)(?:{'|'.join(sorted(set(_SPACED.split()), key=len, reverse=True))})(?!\w)|n't(?!\w)|(?<!\w)n'(?=\w)"
    "|不(?!错|過|过|久|断|同)|没|沒|讨厌|討厭"
    "|(?<!少)(?<!危)(?<!切)ない|ません|なかった|ずに|嫌い|苦手"
    "|안 |못 |않|없|아니(?!요)|싫어"
)
_CLAUSE = re.compile(
    r"(?<!\bSt)(?<!\bMr)(?<!\bMs)(?<!\bDr)[.!?;:,\n]+(?=\s|\Z)|[。！？；：，、؟،؛]+|\s[-–—]\s"
    r"|(?<!\w)(?:and|but|so|because|while|und|aber|weil|et|mais|parce que|y|pero|porque|e|ma|perché|mas|и|но|а|ولكن|لكن)(?!\w)"
    "|但是?|可是|不过|而且|けど|けれど|でも|하지만|그런데"
)


def is_negative(text: str) -> bool:
    """Say whether the text denies something, or says it of what somebody will not have."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    return _NEGATIVE.search(plain) is not None


def clauses(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each clause of a text begins and ends; never empty ones."""
    start = 0
    for match in _CLAUSE.finditer(text):
        yield from _trimmed(text, start, match.start())
        start = match.end()
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    words = text[start:end]
    left = start + len(words) - len(words.lstrip())
    right = left + len(words.strip())
    if right > left:
        yield left, right
