"""Makes the frames of a call, and is the only place that does."""

from __future__ import annotations

from collections.abc import Callable

from gateway.clock import Clock
from gateway.errors import JournalFull, Refused
from gateway.exchange import Exchange
from gateway.wire.base import Peek
from telemetry.journal import CUT_BYTES, DiskFull, Journal
from telemetry.records import Answer, Attempt, Call, Capture, Outcome, Payload, Request, Status
from telemetry.redact import replace_secrets

MESSAGE_CHARS = 16_384
"""A provider's error text longer than this is cut on the row."""


class Recorder:
    """Writes a call to the journal: `open` before a provider hears of it, `settle` when it is over."""

    def __init__(
        self, journal: Journal, clock: Clock, *, version: str, count: Callable[[Call, Outcome], None]
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._version = version
        self._count = count

    def open(self, exchange: Exchange) -> None:
        """Write `Opened` and hand over the request's body; raise JournalFull."""
        call = self._call(exchange)
        try:
            self._journal.open(call)
        except DiskFull as error:
            raise JournalFull(
                "the journal's disk or quota (journal.quota_mb) is full, so this call could not be accounted "
                "for: free space in the data folder",
                retry_after_s=error.retry_after_s,
            ) from error
        exchange.call = call
        if exchange.principal.store == "full":
            self._journal.keep(
                Request, self._payload(exchange, "application/json", len(exchange.body)), [exchange.body]
            )

    def settle(self, exchange: Exchange) -> None:
        """Write `Settled` and hand over the answer; never raises. A call the journal refused leaves no row."""
        if isinstance(exchange.error, JournalFull):
            return
        call = exchange.call or self._call(exchange)
        capture = self._capture(exchange)
        outcome = self._outcome(exchange, capture)
        self._journal.settle(call, outcome)
        self._count(call, outcome)
        if exchange.answer and capture != "none":
            head = self._payload(exchange, exchange.content_type, exchange.answer_bytes)
            self._journal.keep(Answer, head, exchange.answer)

    def _capture(self, exchange: Exchange) -> Capture:
        if exchange.principal.store != "full":
            return "none"
        if not self._journal.payload_room():
            return "lost"
        return "cut" if max(len(exchange.body), exchange.answer_bytes) > CUT_BYTES else "full"

    def _call(self, exchange: Exchange) -> Call:
        principal, identity = exchange.principal, exchange.identity
        peek = exchange.peek or Peek(model="")
        return Call(
            call_id=exchange.call_id,
            started_at_us=exchange.started_at_us,
            surface=exchange.wire.surface,
            operation=exchange.wire.operation,
            project=principal.project,
            environment=identity.environment,
            key_id=principal.key_id,
            user_id=identity.user_id,
            agent_id=identity.agent_id,
            event_id=identity.event_id,
            event_id_made=identity.event_id_made,
            thread_id=identity.thread_id,
            trace_id=identity.trace_id,
            parent_span_id=identity.parent_span_id,
            step=identity.step,
            tags=identity.tags,
            properties=identity.properties,
            model=peek.model,
            route=exchange.route,
            stream=peek.stream,
            parameters=peek.parameters,
            request_bytes=len(exchange.body),
            gateway=self._version,
        )

    def _outcome(self, exchange: Exchange, capture: Capture) -> Outcome:
        zero = exchange.started_ns
        total_us = (self._clock.monotonic_ns() - zero) // 1000
        attempts, finding = exchange.attempts, exchange.finding
        last = attempts[-1] if attempts else Attempt(deployment="", provider="", model="")
        status, error_type, message = _verdict(exchange)
        return Outcome(
            status=status,
            http_status=exchange.client.status,
            error_type=error_type,
            error_code=exchange.error.code if exchange.error else "",
            error_message=message[:MESSAGE_CHARS],
            provider=last.provider,
            deployment=last.deployment,
            response_model=finding.response_model,
            response_id=finding.response_id,
            finish_reason=finding.finish_reason,
            attempts=tuple(attempts),
            first_byte_us=(exchange.first_byte_ns - zero) // 1000 if exchange.first_byte_ns else 0,
            first_token_us=(exchange.first_token_ns - zero) // 1000 if exchange.first_token_ns else 0,
            total_us=total_us,
            overhead_us=total_us - (attempts[-1].ended_us - attempts[0].started_us) if attempts else total_us,
            usage=exchange.usage,
            usage_source=exchange.usage_source,
            raw_usage=finding.raw_usage,
            cost=exchange.cost,
            response_bytes=exchange.answer_bytes,
            capture=capture,
        )

    def _payload(self, exchange: Exchange, content_type: str, size: int) -> Payload:
        return Payload(
            call_id=exchange.call_id,
            project=exchange.principal.project,
            environment=exchange.identity.environment,
            started_at_us=exchange.started_at_us,
            surface=exchange.wire.surface,
            content_type=content_type,
            bytes_total=size,
        )


def _verdict(exchange: Exchange) -> tuple[Status, str, str]:
    """Return status, error type and message of a call that is over."""
    error, client = exchange.error, exchange.client
    if client.gone:
        return "cancelled", "client_left", "the client hung up before its answer was finished"
    if error is not None:
        message = str(error)
        if isinstance(error, Refused) and error.body:
            # Providers quote the key they refuse.
            message = replace_secrets(error.body)[0].decode("utf-8", "replace")
        return "error", type(error).__name__, message
    if exchange.finding.error:
        return "error", "provider_stream_error", exchange.finding.error
    if client.finished:
        return "ok", "", ""
    return "error", "internal_error", "the gateway broke this call off; its log says why"
