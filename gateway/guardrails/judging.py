"""Has a guardrail look at texts, notes what it says, and draws the consequence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from gateway.clock import Clock
from gateway.errors import GuardrailBlocked, Unavailable
from gateway.guardrails.base import Match, TextCheck, redacted
from gateway.guardrails.external import About, CannotSay, External
from gateway.guardrails.rules import Guard
from gateway.guardrails.spoken import Piece
from telemetry.records import Checked

INLINE_CHARS = 16 * 1024
"""Looking through more than this takes about a millisecond: it goes to a thread."""
_MOST_KINDS = 8

Found = list[list[Match]]
"""For each text what is to be redacted in it."""


def checked_by(guard: Guard, phase: str) -> Checked:
    """Return the line of the record that this guardrail fills in."""
    settings = guard.settings
    return Checked(
        guardrail=settings.name,
        check=settings.check,
        phase="request" if phase == "request" else "answer",
        action=settings.action,
    )


async def judge(guard: Guard, checked: Checked, texts: Sequence[str], about: About, clock: Clock) -> Found:
    """Return what is to be redacted; raise GuardrailBlocked, or Unavailable if it cannot say and must."""
    began_ns = clock.monotonic_ns()
    try:
        if guard.external is not None:
            return await _ask(guard, guard.external, checked, texts, about)
        if guard.text is None or not texts:
            return [[] for _ in texts]
        size = sum(map(len, texts))
        look = (guard.text, texts)
        found = _find(*look) if size <= INLINE_CHARS else await asyncio.to_thread(_find, *look)
        return found if conclude(checked, (match for matches in found for match in matches)) else []
    finally:
        checked.latency_us += (clock.monotonic_ns() - began_ns) // 1000


def conclude(checked: Checked, matches: Iterable[Match]) -> bool:
    """Note what was found and say whether it is to be redacted; raise GuardrailBlocked."""
    kinds = {match.kind for match in matches}
    if not kinds:
        return False
    checked.kinds = tuple(sorted({*checked.kinds, *kinds})[:_MOST_KINDS])
    if checked.action == "block":
        raise block(checked)
    checked.verdict = "redacted" if checked.action == "redact" else "flagged"
    return checked.action == "redact"


def block(checked: Checked) -> GuardrailBlocked:
    """Note that it does not let the call pass; return the error that says so."""
    checked.verdict = "blocked"
    what = f": found {', '.join(checked.kinds)}" if checked.kinds else ""
    return GuardrailBlocked(
        f"The guardrail `{checked.guardrail}` does not let this {checked.phase} pass{what}."
    )


def marked(pieces: Sequence[Piece], found: Found) -> dict[Piece, str]:
    """Return what the pieces in which something is to be redacted say without it."""
    return {
        piece: redacted(piece.text, matches, code=piece.is_code)
        for piece, matches in zip(pieces, found, strict=False)
        if matches
    }


def cannot_say(guard: Guard, checked: Checked, why: str) -> None:
    """Note that it could not be checked; raise Unavailable unless its calls may pass all the same."""
    checked.verdict, checked.reason = "failed", why
    if guard.settings.on_error == "refuse":
        raise Unavailable(
            f"The guardrail `{checked.guardrail}` could not check this {checked.phase}: {why}.",
            code="guardrail_unavailable",
            retry_after_s=1,
        )


async def _ask(
    guard: Guard, external: External, checked: Checked, texts: Sequence[str], about: About
) -> Found:
    none: Found = [[] for _ in texts]
    try:
        opinion = await external.ask(about, checked.phase, texts)
    except CannotSay as error:
        cannot_say(guard, checked, str(error))
        return none
    if opinion.passed:
        return none
    checked.reason = opinion.reason or checked.reason
    matches = [match for found in opinion.matches.values() for match in found]
    if checked.action == "flag" or (matches and checked.action == "redact"):
        conclude(checked, matches)
        checked.verdict = "flagged" if checked.action == "flag" else "redacted"
        return [opinion.matches.get(number, []) for number in range(len(texts))] if matches else none
    checked.kinds = tuple(sorted({match.kind for match in matches})[:_MOST_KINDS])
    raise block(checked)


def _find(check: TextCheck, texts: Sequence[str]) -> Found:
    return [check.find(text) for text in texts]
