"""What becomes of a call's failures: on its record, and in what its client is told. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.asgi import JSON_TYPE
from gateway.errors import NotCarried, Refused, StreamRefused, Unreachable, UpstreamFailed
from gateway.exchange import Exchange, full_text
from gateway.routing.deployments import Deployment
from gateway.routing.remedy import remedy
from gateway.translation.bridge import REQUEST_ID
from telemetry.records import Attempt

ENOUGH = (b"x-should-retry", b"false")
"""Tells OpenAI's and Anthropic's clients not to multiply our attempts. Source: their `_should_retry` (2026-11)."""
_KNOWN_CODES: Mapping[str, str] = {"longer": "context_length_exceeded", "gentler": "content_filter"}
"""What clients look for, by what may help, whatever the provider's word for it is."""


def not_asked(exchange: Exchange, way: Deployment, error: UpstreamFailed, at_us: int) -> UpstreamFailed:
    """Record that a deployment could not be asked, and return why."""
    exchange.attempts.append(
        Attempt(
            deployment=way.id,
            provider=way.provider.name,
            model=way.model,
            started_us=at_us,
            ended_us=at_us,
            error_type=error.code,
            error_message=str(error),
            asked_in=way.bridge.surface if way.bridge else "",
        )
    )
    return error


def failed(exchange: Exchange, attempt: Attempt, error: UpstreamFailed) -> Attempt:
    """Return the record of an attempt with what became of it."""
    return msgspec.structs.replace(
        attempt,
        error_type=error.code,
        error_message=full_text(error),
        possible_cost_nano_usd=_possible_cost(exchange, error),
    )


def costs_nothing(error: UpstreamFailed) -> bool:
    """Say whether a failed try cannot be billed: it was refused, or never sent."""
    unsent = type(error) is Unreachable or error.code == "upstream_timeout_connect"
    return unsent or isinstance(error, Refused)


def _possible_cost(exchange: Exchange, error: UpstreamFailed) -> int | None:
    """Return what a failed try may be billed with at most; None: nothing, or nobody can say."""
    call = exchange.call
    return None if call is None or costs_nothing(error) else call.cost_upper_nano_usd


def blamed(
    before: UpstreamFailed | None, exchange: Exchange, way: Deployment, error: UpstreamFailed
) -> UpstreamFailed:
    """Return the failure that the client is told if it is the last, another API's refusal in its own format.

    That a fallback could not be asked is no news for whom the first one had failed.
    """
    if before is not None and isinstance(error, NotCarried):
        return before
    if way.bridge is None or not isinstance(error, Refused) or isinstance(error, StreamRefused):
        return error
    code = _KNOWN_CODES.get(remedy(error), error.code)
    said = Refused(str(error), status=error.status, headers=[], body=b"", retryable=False, code=code)
    said.retry_after_s, said.request_id = error.retry_after_s, exchange.client.request_id.decode()
    said.headers = [*(pair for pair in error.headers if pair[0] not in (b"content-type", REQUEST_ID))]
    said.headers += [JSON_TYPE, (REQUEST_ID, exchange.client.request_id)]
    said.body = exchange.wire.error(said)
    return said


def last(exchange: Exchange, error: UpstreamFailed) -> UpstreamFailed:
    """Prepare the failure that the client will be told."""
    client = exchange.client
    client.watch(None)
    if not client.started:
        client.extra.append(ENOUGH)
    if isinstance(error, Refused):
        error.headers = [pair for pair in error.headers if pair[0] != ENOUGH[0]]
    if isinstance(error, StreamRefused):
        exchange.answer, exchange.answer_bytes = [error.body], len(error.body)
    return error
