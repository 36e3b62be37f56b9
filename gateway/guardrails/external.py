"""Asks a service of somebody else's what it thinks of a text.

It is sent one JSON object by POST and answers with 200 and another, within the guardrail's `timeout_s`:

    {"guardrail": "moderation", "phase": "request", "call_id": "...", "surface": "openai.chat",
     "project": "...", "user_id": "...", "model": "...", "texts": ["what is said", "..."]}

    {"verdict": "pass"}
    {"verdict": "fail", "reason": "why, for the record", "matches": [{"text": 0, "start": 5, "end": 9, "kind": "name"}]}

`matches` count characters (Unicode code points) of `texts[text]`; they are optional, but without them nothing can be
redacted and the call is blocked instead. Of a streamed answer `texts` is the next part of it, after some of the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from gateway.errors import UpstreamFailed
from gateway.guardrails.base import Match
from gateway.providers.base import Outgoing
from gateway.providers.openai import parse_base_url
from gateway.settings import Guardrail, Timeouts
from gateway.transport import Transport

MOST_BYTES = 1 << 20
_REASON_CHARS = 200

_Place = Annotated[int, msgspec.Meta(ge=0)]


class CannotSay(Exception):
    """The service did not answer, or not in time, or not as it should."""


class About(msgspec.Struct, frozen=True):
    """The call whose words are looked at."""

    call_id: str
    surface: str
    project: str
    user_id: str
    model: str


class Opinion(msgspec.Struct, frozen=True):
    """What the service thinks of some texts."""

    passed: bool
    reason: str = ""
    matches: dict[int, list[Match]] = {}
    """By the number of the text."""


class _Found(msgspec.Struct, frozen=True):
    text: _Place
    start: _Place
    end: _Place
    kind: str = "match"


class _Answer(msgspec.Struct, frozen=True):
    verdict: Literal["pass", "fail"]
    reason: str = ""
    matches: list[_Found] = []


_answers = msgspec.json.Decoder(_Answer)


class External:
    """One service. `transports` are by the scheme of an origin."""

    def __init__(self, settings: Guardrail, transports: Mapping[str, Transport]) -> None:
        self._name = settings.name
        self._origin, self._path = parse_base_url(settings.url)
        self._transport = transports[urlsplit(settings.url).scheme]
        self._headers = [
            (b"content-type", b"application/json"),
            (b"accept-encoding", b"identity"),
            *((name.lower().encode(), value.encode()) for name, value in settings.headers.items()),
        ]
        self._timeout_s = settings.timeout_s
        self._timeouts = Timeouts(connect_s=settings.timeout_s, total_s=settings.timeout_s)

    async def ask(self, about: About, phase: str, texts: Sequence[str]) -> Opinion:
        """Ask about these texts; raise CannotSay."""
        said = {"guardrail": self._name, "phase": phase, **msgspec.to_builtins(about), "texts": texts}
        outgoing = Outgoing("POST", self._origin, self._path or "/", self._headers, msgspec.json.encode(said))
        try:
            async with asyncio.timeout(self._timeout_s):
                with closing(await self._transport.open(outgoing, self._timeouts, stream=False)) as answer:
                    if answer.status != 200:
                        raise CannotSay(f"it answered with status {answer.status}")
                    return _opinion(_answers.decode(await answer.read(MOST_BYTES)), texts)
        except TimeoutError as error:
            raise CannotSay("it took too long") from error
        except UpstreamFailed as error:
            raise CannotSay(error.code) from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CannotSay("its answer is not what it should be") from error


def _opinion(said: _Answer, texts: Sequence[str]) -> Opinion:
    matches: dict[int, list[Match]] = {}
    for found in said.matches:
        if found.text >= len(texts) or not found.start < found.end <= len(texts[found.text]):
            raise CannotSay("its matches are outside the texts")
        matches.setdefault(found.text, []).append(Match(found.start, found.end, found.kind[:64]))
    return Opinion(said.verdict == "pass", said.reason[:_REASON_CHARS], matches)
