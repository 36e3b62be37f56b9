"""A provider that fails at random, as often as one says, and signs every answer that it gives."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter

from tests.fakes.provider import Provider, Received, Script, chat, chat_stream, refusal, sse

RETRY_AFTER_S = 0.3
WORDS = 6
_RESET = Script(raw=b" ", cut_at=0, cut="rst")
_STALL = Script(raw=b" ", stall_at=0)
_OVERLOADED = b'data: {"error": {"message": "overloaded", "type": "overloaded_error"}}\n\n'


class Odds:
    """How often each thing goes wrong, of one."""

    def __init__(
        self,
        *,
        error: float = 0,
        reset: float = 0,
        first_event: float = 0,
        limit: float = 0,
        stall: float = 0,
    ) -> None:
        self.faults = {
            "error": error,
            "reset": reset,
            "first event": first_event,
            "limit": limit,
            "stall": stall,
        }


class Chaos:
    """One deployment. `down` makes it reset every connection."""

    def __init__(self, name: str, odds: Odds, dice: random.Random) -> None:
        self.name = name
        self.down = False
        self.happened: Counter[str] = Counter()
        self.asked_at: list[float] = []
        self.limited_at: list[float] = []
        self.provider = Provider(self._script)
        self._odds = odds
        self._dice = dice
        self._numbers = itertools.count()

    def early(self, *, grace_s: float) -> int:
        """Count the requests that came while this one had asked to be left alone.

        `grace_s`: what was under way already, and the time that news take.
        """
        spans = [(at + grace_s, at + RETRY_AFTER_S * 0.9) for at in self.limited_at]
        return sum(any(start < at < end for start, end in spans) for at in self.asked_at)

    def _script(self, request: Received) -> Script:
        if request.method != "POST":
            return refusal(404)
        self.asked_at.append(time.monotonic())
        fault = "down" if self.down else self._fault()
        stream = bool(request.json().get("stream"))
        self.happened[fault] += 1
        match fault:
            case "down" | "reset":
                return _RESET
            case "error":
                return refusal(self._dice.choice((500, 502, 503)), "out of order")
            case "limit":
                self.limited_at.append(time.monotonic())
                return refusal(429, "slow down", headers=(("retry-after-ms", f"{RETRY_AFTER_S * 1000:.0f}"),))
            case "stall":
                return _STALL
            case "first event" if stream:
                return self._broken_beginning()
        return self._answer(stream=stream)

    def _fault(self) -> str:
        drawn = self._dice.random()
        for name, odds in self._odds.faults.items():
            if drawn < odds:
                return name
            drawn -= odds
        return "fine"

    def _answer(self, *, stream: bool) -> Script:
        words = [f"{self.name}-{next(self._numbers)} "] * WORDS
        return chat_stream(words) if stream else chat("".join(words))

    def _broken_beginning(self) -> Script:
        whole = self._answer(stream=True)
        if self._dice.random() < 0.5:
            role = whole.body[0]
            assert isinstance(role, bytes)
            return sse([role, _OVERLOADED])
        first, second, *_ = (piece for piece in whole.wire() if isinstance(piece, bytes))
        cut_at = len(first) + len(second) // 2
        return Script(headers=whole.headers, body=whole.body, framing="chunked", cut_at=cut_at)
