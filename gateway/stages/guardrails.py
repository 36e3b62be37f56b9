"""Has the installation's guardrails look at a call before it is made, and at its answer before the client sees it."""

from __future__ import annotations

from functools import partial

from gateway.clock import Clock
from gateway.exchange import Exchange
from gateway.guardrails.asked import forbidden_tool, tokens
from gateway.guardrails.base import Match
from gateway.guardrails.external import About
from gateway.guardrails.judging import checked_by, conclude, judge, marked
from gateway.guardrails.rules import Guard, Rules
from gateway.guardrails.screen import DocumentScreen, StreamScreen, Watch
from gateway.guardrails.screened import in_turn
from gateway.guardrails.spoken import Piece, asked, changed, spoken_in
from gateway.wire.base import Screen
from gateway.wire.openai_responses import KeptResponse
from telemetry.records import Checked

ANSWERING = frozenset(
    {"openai.chat", "openai.responses", "openai.completions", "anthropic.messages", "gemini.generate"}
)
"""Surfaces whose answers say something in words."""


class Guardrails:
    """The guardrails of every call."""

    def __init__(self, rules: Rules, clock: Clock) -> None:
        self._rules = rules
        self._clock = clock

    def of(self, exchange: Exchange) -> tuple[Guard, ...]:
        """Return the guardrails of a call; of what is only passed on, none."""
        if not self._rules.any or exchange.place is not None:
            return ()
        peek = exchange.peek
        route = exchange.route or (peek.model if peek is not None else "")
        return self._rules.of(exchange.principal.project, exchange.principal.key_id, route)

    async def check(self, exchange: Exchange, guards: tuple[Guard, ...]) -> None:
        """Look at what the client says, and see to it that the answer is looked at.

        Raises GuardrailBlocked, Unavailable, BadRequest. What is redacted reaches nobody: no provider, no record.
        """
        about = _about(exchange)
        before = [guard for guard in guards if "request" in guard.settings.when]
        if before and exchange.body:
            await self._look(exchange, before, about)
        if any("answer" in guard.settings.when for guard in guards) and _answers(exchange):
            exchange.screen = in_turn(exchange.screen, partial(self._screen, exchange, guards, about))

    async def _look(self, exchange: Exchange, guards: list[Guard], about: About) -> None:
        body = exchange.adapted or exchange.body
        pieces = await spoken_in(body, asked)
        said: dict[str, str] = {}
        for guard in guards:
            checked = checked_by(guard, "request")
            exchange.checks.append(checked)
            if guard.settings.check in ("prompt_tokens", "tools"):
                self._judge_whole(guard, checked, body, pieces)
                continue
            found = await judge(guard, checked, [piece.text for piece in pieces], about, self._clock)
            if texts := marked(pieces, found):
                said |= {piece.text: text for piece, text in texts.items()}
                body = changed(body, texts)
                pieces = await spoken_in(body, asked)
        if said and exchange.adapted:
            exchange.adapted, body = body, await self._as_said(exchange.body, said)
        if said:
            exchange.body = body

    async def _as_said(self, body: bytes, said: dict[str, str]) -> bytes:
        """Return what the client sent with the same texts replaced."""
        pieces = await spoken_in(body, asked)
        texts = {}
        for piece in pieces:
            text = piece.text
            while text in said:  # one guardrail after the other
                text = said[text]
            texts[piece] = text
        return changed(body, {piece: text for piece, text in texts.items() if text != piece.text})

    def _judge_whole(self, guard: Guard, checked: Checked, body: bytes, pieces: list[Piece]) -> None:
        """Judge what is no single text: the length of all, the tools."""
        began_ns = self._clock.monotonic_ns()
        settings = guard.settings
        if settings.check == "tools":
            broken, kind = forbidden_tool(body, settings.tools), "tool"
        else:
            broken, kind = tokens(piece.text for piece in pieces) > settings.max_tokens, "prompt_tokens"
        checked.latency_us = (self._clock.monotonic_ns() - began_ns) // 1000
        if broken:
            conclude(checked, [Match(0, 0, kind)])

    def _screen(self, exchange: Exchange, guards: tuple[Guard, ...], about: About, stream: bool) -> Screen:  # noqa: FBT001 - as Exchange calls it
        watches: list[Watch] = []
        for guard in guards:
            if "answer" in guard.settings.when and (guard.text or guard.external):
                checked = checked_by(guard, "answer")
                exchange.checks.append(checked)
                watches.append((guard, checked))
        return (StreamScreen if stream else DocumentScreen)(watches, about, self._clock)


def _answers(exchange: Exchange) -> bool:
    return exchange.wire.surface in ANSWERING or isinstance(exchange.wire, KeptResponse)


def _about(exchange: Exchange) -> About:
    return About(
        call_id=exchange.call_id,
        surface=exchange.wire.surface,
        project=exchange.principal.project,
        user_id=exchange.identity.user_id,
        model=exchange.peek.model if exchange.peek is not None else "",
    )
