"""A clock that is set, an embedder that fails when told to, and short ways to make memories."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from memory.capture import draft_of, turns_of
from memory.embed import HashedWords
from memory.errors import EmbedderAway
from memory.records import Draft, Evidence, Said, Turn, Vector
from memory.scope import Scope
from memory.service import AsyncMemory

KEY = b"k" * 32
ALICE = Scope(project="p", environment="prod", user="alice")
BOB = Scope(project="p", environment="prod", user="bob")


class SetClock:
    """Stands still until it is set."""

    def __init__(self, now_us: int = 1_700_000_000_000_000) -> None:
        self.us = now_us

    def now_us(self) -> int:
        """Microseconds since 1970, UTC."""
        return self.us


class Moody(HashedWords):
    """Hashed words; `away` makes it fail. Counts what it was asked."""

    def __init__(self) -> None:
        self.away = False
        self.asked: list[str] = []

    @override
    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text."""
        if self.away:
            raise EmbedderAway("told to be away")
        self.asked += texts
        return super().embed(texts)


def draft(text: str, *, at_us: int = 1, call_id: str = "") -> Draft:
    """Return a draft of a memory."""
    evidence = Evidence(call_id=call_id, message_index=0, quote=text, thread_id="t") if call_id else None
    return draft_of(text, key=KEY, occurred_at_us=at_us, evidence=evidence)


def said(*texts: str, call_id: str = "call", scope: Scope = ALICE, thread_id: str = "") -> Said:
    """Return a call in which the user said these turns, each answered."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}]
    for text in texts:
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": f"I see: {text}"}]
    return Said(
        call_id=call_id,
        scope=scope,
        occurred_at_us=1,
        messages=messages[: 2 * len(texts)],
        thread_id=thread_id,
    )


def turns(*texts: str, call_id: str = "call", thread_id: str = "") -> list[Turn]:
    """Return the turns of such a call."""
    return turns_of(said(*texts, call_id=call_id, thread_id=thread_id), key=KEY, redact=str)


async def settled(memory: AsyncMemory) -> None:
    """Return once nothing waits for the index; fail if that takes long."""
    end = time.monotonic() + 20
    while await memory.backlog():
        assert time.monotonic() < end
