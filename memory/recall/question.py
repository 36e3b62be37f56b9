"""A question as recall understands it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from memory.records import Terms, Vector
from memory.sparse import essence, terms
from memory.temporal import Time

_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_UNSPACED_RUN = re.compile(rf"{_UNSPACED.pattern}{{2,}}")
_MOST_RUNS = 300


class Question(msgspec.Struct, frozen=True):
    """What is asked: its terms, and its vector if the embedder was there."""

    terms: Terms
    same: bytes
    vector: Vector | None = None
    speakers: frozenset[str] = frozenset()
    """Who of those who speak in the memories is asked about."""
    time: Time = Time()
    now_us: int = 0
    linked: Mapping[str, int] = {}
    """Memories about entities it names, and in how many hops."""


class Asked(msgspec.Struct, frozen=True):
    """The words of a question, and whom it is about."""

    text: str
    """In the first person, as those it is about would say it."""
    terms: Terms
    speakers: frozenset[str]


def asked(text: str, speakers: Iterable[str]) -> Asked:
    """Turn a question about somebody who speaks in the memories into one about what they say of themselves.

    `Where did Ann grow up?` is answered by Ann's `I grew up in Turin`, and looks much more like somebody
    else's `Thanks, Ann!`. So the name becomes `I`, and who speaks is compared by itself.
    """
    about = set()
    for speaker in speakers:
        names = {speaker, speaker.split()[0]} if speaker.strip() else set()
        for name in sorted(names, key=len, reverse=True):
            changed = _in_first_person(text, name)
            if changed != text:
                about.add(speaker)
                text = changed
    return Asked(text, terms(text), frozenset(about))


def _in_first_person(text: str, name: str) -> str:
    if _UNSPACED.match(name):
        return text.replace(name, "")
    word = re.escape(name)
    owned = re.sub(rf"(?<!\w){word}['’]s(?!\w)", "my", text)
    return re.sub(rf"(?<!\w){word}(?!\w)", "I", owned)


def names_in(text: str) -> Sequence[str]:
    """Return what of a question may be a name: its runs of one to three words, as `facets.normal` writes them."""
    return list(dict.fromkeys(islice(_runs(essence(text)), _MOST_RUNS)))


def _runs(plain: str) -> Iterator[str]:
    words = plain.split()
    for length in (1, 2, 3):
        for start in range(len(words) - length + 1):
            yield " ".join(words[start : start + length])
    for run in _UNSPACED_RUN.findall(plain):
        for length in (2, 3, 4):
            for start in range(len(run) - length + 1):
                yield run[start : start + length]
