"""Makes the frames of a call, and is the only place that does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager

import msgspec

from gateway.clock import Clock
from gateway.errors import JournalFull, StreamRefused
from gateway.exchange import MESSAGE_CHARS, Exchange, full_text
from gateway.prices.ceiling import upper_bound
from gateway.wire.base import Peek
from telemetry.due import DiskFull, Written
from telemetry.journal import CUT_BYTES, Journal
from telemetry.payloads import Body
from telemetry.records import Attempt, Call, Capture, Outcome, Status

logger = logging.getLogger(__name__)

REMEMBERED = ("on", "write")
"""`Call.memory` of calls whose request may be remembered."""

_UNREAD = Peek(model="")
_NO_ATTEMPT = Attempt(deployment="", provider="", model="")


class Recorder:
    """Writes a call to the journal: `open` before a provider hears of it, `settle` when it is over.

    `refused` is told the error code of what did not become a call.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        version: str,
        count: Callable[[Call, Outcome], None],
        refused: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._opening: list[tuple[Exchange, asyncio.Future[None]]] = []
        """Calls that are about to be made, and who waits for that."""
        self._clock = clock
        self._version = version
        self._count = count
        self._refused = refused

    def open(self, exchange: Exchange, *, alone: bool) -> asyncio.Future[None]:
        """Return what is done once it is written that the call is about to be made; it may raise JournalFull.

        That is at once for a call that is `alone`. All others that begin in a turn of the loop are written together,
        with their requests' bodies: at 64 connections that takes half the time.
        """
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        self._opening.append((exchange, opened))
        if alone:
            self._open()
        elif len(self._opening) == 1:
            loop.call_soon(self._open)
        return opened

    def _open(self) -> None:
        """Write what waits for it, but for calls that were given up meanwhile."""
        opening, self._opening = self._opening, []
        begun: list[tuple[Exchange, asyncio.Future[None], Written]] = []
        waiting = [one for one in opening if not one[1].done()]
        if not waiting:
            return
        with self.together:
            for exchange, opened in waiting:
                try:
                    begun.append((exchange, opened, self._begin(exchange)))
                except DiskFull as error:
                    opened.set_exception(self._full(error))
                except Exception as error:  # a bug is this call's, and not the others'
                    logger.exception("open_failed", extra={"call_id": exchange.call_id})
                    opened.set_exception(error)
        for exchange, opened, written in begun:
            if written.refused is not None:
                opened.set_exception(self._full(written.refused))
            else:
                exchange.call = written.call
                opened.set_result(None)

    def _begin(self, exchange: Exchange) -> Written:
        call = self._call(exchange)
        request = None
        if exchange.principal.store == "full" and exchange.body:
            remember = call.memory in REMEMBERED and bool(call.user_id or call.agent_id)
            request = Body("application/json", [exchange.body], call.request_bytes, remember)
        return self._journal.open(call, request)

    def _full(self, error: DiskFull) -> JournalFull:
        self._refused(JournalFull.code)
        full = JournalFull(
            "the journal's disk or quota (journal.quota_mb) is full, so this call could not be accounted "
            "for: free space in the data folder",
            retry_after_s=error.retry_after_s,
        )
        full.__cause__ = error
        return full

    @property
    def together(self) -> AbstractContextManager[None]:
        """What is opened and settled within it is written in one piece, at its end."""
        return self._journal

    def settle(self, exchange: Exchange) -> None:
        """Write how it went, with the answer; never raises. A call the journal refused leaves no row."""
        error = exchange.error
        if error is not None and isinstance(error, JournalFull):
            return
        call = exchange.call or self._call(exchange)
        sent = exchange.upload or exchange.sent
        if sent is not None:  # what it was is known only now
            call = msgspec.structs.replace(call, model=sent.model or call.model, request_bytes=sent.size)
        capture = self._capture(exchange)
        outcome = self._outcome(exchange, capture)
        answer = None
        if exchange.answer and capture != "none":
            answer = Body(exchange.content_type, exchange.answer, exchange.answer_bytes)
        self._journal.settle(call, outcome, answer)
        self._count(call, outcome)

    def _capture(self, exchange: Exchange) -> Capture:
        if exchange.principal.store != "full":
            return "none"
        if not self._journal.payload_room():
            return "lost"
        size = exchange.answer_bytes
        if exchange.upload is not None or len(exchange.body) > CUT_BYTES or size > CUT_BYTES:
            return "cut"
        return "cut" if size and not exchange.answer else "full"

    def _call(self, exchange: Exchange) -> Call:
        principal, identity, wire = exchange.principal, exchange.identity, exchange.wire
        peek = exchange.peek or _UNREAD
        # By position: names would take ten times as long. Not all: Python packs more than 30 into a list first.
        return Call(
            exchange.call_id,
            exchange.started_at_us,
            wire.surface,
            wire.operation,
            principal.project,
            identity.environment,
            principal.key_id,
            identity.user_id,
            identity.agent_id,
            identity.event_id,
            identity.event_id_made,
            identity.thread_id,
            identity.trace_id,
            identity.parent_span_id,
            identity.step,
            identity.tags,
            identity.properties,
            peek.model,
            exchange.route,
            peek.stream,
            peek.parameters,
            len(exchange.body),
            exchange.memory_switch,
            self._version,
            identity.metrics,
            cost_upper_nano_usd=_upper(exchange),
            variant=exchange.variant,
        )

    def _outcome(self, exchange: Exchange, capture: Capture) -> Outcome:
        zero = exchange.started_ns
        total_us = (self._clock.monotonic_ns() - zero) // 1000
        attempts, finding = exchange.attempts, exchange.finding
        last = attempts[-1] if attempts else _NO_ATTEMPT
        status, error_type, message = _verdict(exchange)
        return Outcome(  # by position, as above
            status,
            exchange.client.status,
            error_type,
            exchange.error.code if exchange.error else "",
            message,
            last.provider,
            last.deployment,
            finding.response_model,
            finding.response_id,
            finding.finish_reason,
            tuple(attempts),
            (exchange.first_byte_ns - zero) // 1000 if exchange.first_byte_ns else 0,
            (exchange.first_token_ns - zero) // 1000 if exchange.first_token_ns else 0,
            total_us,
            total_us - (last.ended_us - attempts[0].started_us) if attempts else total_us,
            exchange.usage,
            exchange.usage_source,
            finding.raw_usage,
            exchange.cost,
            exchange.answer_bytes,
            capture,
            exchange.memory,
            finding.service_tier,
            tuple(exchange.checks) if exchange.checks else (),
            exchange.reuse.outcome if exchange.reuse is not None else "",
        )


def _upper(exchange: Exchange) -> int | None:
    """Return what the call costs at most, if that can be said before it is made."""
    if exchange.ceiling is None or exchange.place is not None:
        return None
    assert exchange.peek is not None, "a call with prices has been read"
    body = exchange.enriched or exchange.adapted or exchange.body
    answers = exchange.wire.operation != "embeddings"
    return upper_bound(exchange.ceiling, body, exchange.peek.parameters, answers=answers)


def _verdict(exchange: Exchange) -> tuple[Status, str, str]:
    """Return status, error type and message of a call that is over."""
    error, client = exchange.error, exchange.client
    if client.gone:
        return "cancelled", "client_left", "the client hung up before its answer was finished"
    if error is not None:
        kind = error.code if isinstance(error, StreamRefused) else type(error).__name__
        return "error", kind, full_text(error)
    if exchange.finding.error:
        return "error", "provider_stream_error", exchange.finding.error[:MESSAGE_CHARS]
    if client.finished:
        return "ok", "", ""
    return "error", "internal_error", "the gateway broke this call off; its log says why"
