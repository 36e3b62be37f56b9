"""Asks the hub what is remembered of a user, and puts it into the prompt; a call never fails for it."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from gateway.access import narrowed
from gateway.clock import Clock
from gateway.errors import BadRequest
from gateway.exchange import Exchange
from gateway.link import CallFailed, FrameTooLarge, LinkClient, LinkDown, reader
from gateway.recollection import BUSY, CONFIRM, RECALL, Asker, Question, Recollection, Used
from gateway.response_ids import DERIVED
from gateway.settings import Memory
from gateway.wire.base import Conversation
from telemetry.records import Injection, MemorySwitch

HEADER = b"x-tidegate-memory"
BUDGET_WITH_TOOLS = 400
"""Tokens; an agent's prompt is long already."""
SHARE = 10
"""One part in so many of what a model can read is the most that memories take."""
MANY_TOOLS = 4
"""Whoever brings more is an agent at work, and needs no introduction to its user."""
SHORT_CHARS = 32
"""A turn shorter than this is understood together with the one before."""
QUERY_CHARS = 2000
"""A question stands at the end of what was pasted before it."""

INLINE_BYTES = 128 * 1024
"""Reading or changing more than this takes a good part of a millisecond: it goes to a thread."""

_PROPOSED = frozenset({"injected", "replayed", "empty"})
_SWITCHES: dict[bytes, MemorySwitch] = {b"on": "on", b"read": "read", b"write": "write", b"off": "off"}

logger = logging.getLogger(__name__)


class MemoryStage:
    """Recalls before the call, confirms once its provider has taken it."""

    def __init__(self, link: LinkClient, settings: Memory, clock: Clock) -> None:
        self._link = link
        self._settings = settings
        self._clock = clock
        self._deadline_s = settings.deadline_ms / 1000
        self._trouble = ""

    def concerns(self, exchange: Exchange) -> bool:
        """Set the call's switch, and say whether to look for memories; the row tells why not."""
        if not self._settings.enabled:
            return False
        if reason := self._objection(exchange):
            _skip(exchange, reason)
        return not reason

    async def recall(self, exchange: Exchange) -> None:
        """Look for memories and add them to the prompt; raise BadRequest only if the client left meanwhile."""
        body, read = exchange.adapted or exchange.body, exchange.wire.conversation
        conversation = read(body) if len(body) <= INLINE_BYTES else await asyncio.to_thread(read, body)
        if conversation is not None and conversation.anchors:
            await self._remember(exchange, conversation)
        else:
            _skip(exchange, "surface" if conversation is None else "no_question")

    def confirm(self, exchange: Exchange) -> None:
        """Tell the hub that the call went out as it had proposed: its provider answers."""
        if exchange.memory.status in _PROPOSED:
            used = Used(asker=_asker(exchange), call_id=exchange.call_id, ids=exchange.memory.ids)
            self._link.notify(CONFIRM, used)

    def _objection(self, exchange: Exchange) -> str:
        """Set the call's switch; return why nothing may be recalled, if so."""
        said = exchange.headers.get(HEADER)
        default = exchange.memory_default or self._settings.default
        switch = default if said is None else _SWITCHES.get(said.strip().lower())
        if switch is None:
            return "bad_switch"  # and the switch stays off
        exchange.memory_switch = switch = narrowed(switch, exchange.principal.memory)
        if switch in {"off", "write"}:
            return switch
        identity = exchange.identity
        return "" if identity.user_id or identity.agent_id else "no_user"

    async def _remember(self, exchange: Exchange, conversation: Conversation) -> None:
        began_ns = self._clock.monotonic_ns()
        question = _question(exchange, conversation, self._settings)
        try:
            found = await self._link.call(RECALL, question, timeout_s=self._deadline_s, read=_READ)
        except _TROUBLES as error:
            status, found = self._missed(error), _NOTHING
        else:
            status, found = self._answered(found)
        replayed = _in_place(found.replays, len(conversation.anchors))
        blocks = (*replayed, (-1, found.block)) if found.block else replayed
        if blocks or found.profile:
            try:
                body, change = exchange.adapted or exchange.body, conversation.remember
                small = len(body) <= INLINE_BYTES
                exchange.enriched = (
                    change(blocks, found.profile)
                    if small
                    else await asyncio.to_thread(change, blocks, found.profile)
                )
            except BadRequest:  # its keys are not UTF-8: the provider will say so
                status, found, replayed = "error", _NOTHING, ()
        ids = found.ids + found.profile_ids
        exchange.shown += ids
        latency_us = (self._clock.monotonic_ns() - began_ns) // 1000
        exchange.memory = Injection(
            status=status,
            ids=ids,
            scores=found.scores + (0.0,) * len(found.profile_ids),
            tokens=found.tokens,
            latency_us=latency_us,
            block=_shown(found) if exchange.principal.store == "full" else "",
            anchor=conversation.anchors[-1] if found.block else -1,
            replayed=len(replayed),
            profile_tokens=found.profile_tokens,
        )
        exchange.client.extra += (
            (b"x-tidegate-memory-status", status.encode()),
            (b"x-tidegate-memory-ids", ",".join(ids).encode()),
            (b"x-tidegate-memory-tokens", b"%d" % (found.tokens + found.profile_tokens)),
            (b"x-tidegate-memory-latency-ms", b"%.1f" % (latency_us / 1000)),
        )
        if exchange.client.gone:
            raise BadRequest("the client left while its call waited for memories", code="client_left")

    def _answered(self, found: Recollection) -> tuple[str, Recollection]:
        """Return what became of the recall, and what was found."""
        if found.status == "error":  # what stood in the conversation before stands there still
            return self._failed(found.reason), found
        self._trouble = ""
        if found.block or found.profile or found.replays:
            return found.status, found
        return "empty", _NOTHING

    def _missed(self, error: Exception) -> str:
        """Return what became of a recall that brought nothing."""
        if isinstance(error, TimeoutError):
            return "timeout"
        if isinstance(error, CallFailed) and error.code == BUSY:
            return "skipped:busy"
        return self._failed(str(error))

    def _failed(self, why: str) -> str:
        if why != self._trouble:  # said once, not by every call
            self._trouble = why
            logger.warning("recall_failed", extra={"why": why})
        return "error"


_NOTHING = Recollection(status="empty")
_READ = reader(Recollection)
_TROUBLES = (TimeoutError, CallFailed, LinkDown, FrameTooLarge, msgspec.ValidationError)


def _in_place(replays: tuple[tuple[int, str], ...], turns: int) -> tuple[tuple[int, str], ...]:
    """Return those whose turn is there."""
    if not replays or (min(replays)[0] >= 0 and max(replays)[0] < turns):
        return replays
    return tuple(pair for pair in replays if 0 <= pair[0] < turns)


def _shown(found: Recollection) -> str:
    """Return what stands in the prompt beside what was replayed."""
    return (
        f"{found.profile}\n{found.block}" if found.profile and found.block else found.profile or found.block
    )


def _skip(exchange: Exchange, reason: str) -> None:
    exchange.memory = Injection(status=f"skipped:{reason}")
    exchange.client.extra.append((b"x-tidegate-memory-status", exchange.memory.status.encode()))


def _asker(exchange: Exchange) -> Asker:
    identity = exchange.identity
    return Asker(
        project=exchange.principal.project,
        environment=identity.environment,
        user_id=identity.user_id,
        agent_id=identity.agent_id,
    )


def _question(exchange: Exchange, conversation: Conversation, settings: Memory) -> Question:
    turns, query = conversation.turns, ""
    if conversation.fresh:
        query = turns[-1]
        if len(query) < SHORT_CHARS and len(turns) > 1:
            query = f"{turns[-2]}\n{query}"
    tools = 0 if exchange.peek is None else exchange.peek.parameters.get("tools", 0)
    profiled = conversation.profiled and isinstance(tools, int) and tools <= MANY_TOOLS
    identity = exchange.identity
    return Question(
        asker=_asker(exchange),
        query=query[-QUERY_CHARS:],
        window=tuple(turns),
        budget=min(settings.budget_tokens, BUDGET_WITH_TOOLS) if tools else settings.budget_tokens,
        call_id=exchange.call_id,
        thread="" if DERIVED in identity.properties else identity.thread_id,
        chain=conversation.chain,
        profile=settings.profile_tokens if profiled else 0,
        most=exchange.window // SHARE,
        seen=exchange.shown,
    )
