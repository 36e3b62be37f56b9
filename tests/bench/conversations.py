"""LoCoMo's conversations as values. The dataset is CC BY-NC 4.0: read where it lies, never part of this repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

KS = (3, 5, 10, 20)
"""After how many turns recall is measured."""


class Turn(msgspec.Struct, frozen=True):
    """One thing said."""

    id: str
    speaker: str
    text: str
    at: datetime

    @property
    def dated(self) -> str:
        """The turn with its date and its speaker, for those who know nothing but text."""
        return f"[{self.at:%d %B %Y}] {self.speaker}: {self.text}"


class Asked(msgspec.Struct, frozen=True):
    """A question, and the turns that answer it."""

    text: str
    evidence: frozenset[str]
    category: int


class Conversation(msgspec.Struct, frozen=True):
    """All that two people said to each other."""

    id: str
    turns: list[Turn]
    questions: list[Asked]


def read(path: Path) -> Iterator[Conversation]:
    """Yield the conversations of a dataset file."""
    for number, item in enumerate(msgspec.json.decode(path.read_bytes())):
        said = item["conversation"]
        sessions = sorted(int(name[8:]) for name in said if re.fullmatch(r"session_\d+", name))
        turns = [turn for session in sessions for turn in _turns(said, session)]
        questions = [_asked(one) for one in item["qa"]]
        there = [one for one in questions if one.evidence]
        yield Conversation(str(item.get("sample_id", number)), turns, there)


def _turns(said: dict[str, Any], session: int) -> Iterator[Turn]:
    written = said[f"session_{session}_date_time"].upper() + " +0000"
    at = datetime.strptime(written, "%I:%M %p ON %d %B, %Y %z")
    for turn in said[f"session_{session}"]:
        shared = f" [shares {turn['blip_caption']}]" if turn.get("blip_caption") else ""
        yield Turn(turn["dia_id"], turn["speaker"], turn["text"] + shared, at)


def _asked(one: dict[str, Any]) -> Asked:
    places = re.findall(r"(\d+):(\d+)", " ".join(one["evidence"]))
    evidence = frozenset(f"D{session}:{turn}" for session, turn in places)
    return Asked(one["question"], evidence, one["category"])
