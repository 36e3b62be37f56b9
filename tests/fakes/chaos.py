"""A provider that fails at random, as often as one says, and signs every answer that it gives."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from tests.fakes import anthropic, gemini
from tests.fakes.provider import Provider, Received, Script, chat, chat_stream, refusal, sse

RETRY_AFTER_S = 0.3
WORDS = 6
THINKS_S = 0.05
_RESET = Script(raw=b" ", cut_at=0, cut="rst")
_STALL = Script(raw=b" ", stall_at=0)


class Api(NamedTuple):
    """How a provider of one family says things."""

    name: str
    """As `providers.X.api` has it."""
    path: str
    """Behind the origin, in `providers.X.base_url`."""
    whole: Callable[[str], Script]
    stream: Callable[[Sequence[str]], Script]
    refusal: Callable[[int], Script]
    overloaded: bytes
    """The event with which a stream says that it failed."""
    prelude: int
    """Events of a stream that come before anything of its answer."""


def _claude(words: Sequence[str]) -> Script:
    return anthropic.stream(anthropic.events(anthropic.text("".join(words))))


def _gemini(words: Sequence[str]) -> Script:
    said = [gemini.response([{"text": word}]) for word in words]
    return sse([gemini.line(event) for event in [*said, gemini.response([{"text": ""}], "STOP")]])


OPENAI = Api(
    name="openai",
    path="/v1",
    whole=chat,
    stream=chat_stream,
    refusal=lambda status: refusal(status, "out of order"),
    overloaded=b'data: {"error": {"message": "overloaded", "type": "overloaded_error"}}\n\n',
    prelude=1,
)
ANTHROPIC = Api(
    name="anthropic",
    path="",
    whole=lambda text: anthropic.message(anthropic.text(text)),
    stream=_claude,
    refusal=lambda status: anthropic.refusal(status, "api_error"),
    overloaded=anthropic.event("error", error={"type": "overloaded_error", "message": "overloaded"}),
    prelude=1,
)
GEMINI = Api(
    name="gemini",
    path="",
    whole=lambda text: Script(
        headers=gemini.JSON, body=msgspec.json.encode(gemini.response([{"text": text}], "STOP"))
    ),
    stream=_gemini,
    refusal=lambda status: gemini.refusal(status, "UNAVAILABLE"),
    overloaded=gemini.line({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}),
    prelude=0,
)
APIS = (OPENAI, ANTHROPIC, GEMINI)


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

    def __init__(self, name: str, api: Api, odds: Odds, dice: random.Random) -> None:
        self.name = name
        self.api = api
        self.down = False
        self.happened: Counter[str] = Counter()
        self.asked_at: list[float] = []
        self.limited_at: list[float] = []
        self.provider = Provider(self._script)
        self._odds = odds
        self._dice = dice
        self._numbers = itertools.count()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self.provider.base_url

    def early(self, *, grace_s: float) -> int:
        """Count the requests that came while this one had asked to be left alone.

        `grace_s`: what was under way already, and the time that news take.
        """
        spans = [(at + grace_s, at + RETRY_AFTER_S * 0.9) for at in self.limited_at]
        return sum(any(start < at < end for start, end in spans) for at in self.asked_at)

    def returns(self, *, grace_s: float) -> list[float]:
        """Return how long after it had asked to be left alone, and did not again, it was asked next."""
        alone = [
            at
            for at, after in zip(self.limited_at, [*self.limited_at[1:], math.inf], strict=True)
            if after > at + RETRY_AFTER_S
        ]
        coming = [next((asked for asked in self.asked_at if asked > at + grace_s), math.inf) for at in alone]
        return [asked - at for asked, at in zip(coming, alone, strict=True) if asked < math.inf]

    def _script(self, request: Received) -> Script:
        if request.method != "POST":
            return refusal(404)
        self.asked_at.append(time.monotonic())
        fault = "down" if self.down else self._fault()
        stream = ":stream" in request.path or bool(request.json().get("stream"))
        self.happened[fault] += 1
        match fault:
            case "down" | "reset":
                return _RESET
            case "error":
                return self.api.refusal(self._dice.choice((500, 502, 503)))
            case "limit":
                self.limited_at.append(time.monotonic())
                return self._limit()
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
        said = self.api.stream(words) if stream else self.api.whole("".join(words))
        return msgspec.structs.replace(said, delay_s=THINKS_S)

    def _limit(self) -> Script:
        said = self.api.refusal(429)
        pause = ("retry-after-ms", f"{RETRY_AFTER_S * 1000:.0f}")
        return msgspec.structs.replace(said, headers=(*said.headers, pause))

    def _broken_beginning(self) -> Script:
        whole = self._answer(stream=True)
        before = [piece for piece in whole.body[: self.api.prelude] if isinstance(piece, bytes)]
        if self._dice.random() < 0.5:
            return sse([*before, self.api.overloaded])
        pieces = [piece for piece in whole.wire() if isinstance(piece, bytes)]
        first_word = pieces[self.api.prelude]
        cut_at = sum(map(len, pieces[: self.api.prelude])) + len(first_word) // 2
        return msgspec.structs.replace(whole, cut_at=cut_at)
