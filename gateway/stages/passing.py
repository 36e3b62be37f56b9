"""Says where a request goes that is only passed on."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec

from gateway.errors import Forbidden, UnknownModel
from gateway.exchange import Exchange
from gateway.providers.passed import PassedOn
from gateway.providers.upgraded import Upgraded
from gateway.routing.deployments import Deployment, Plan
from gateway.routing.resolve import Resolver
from gateway.settings import Retries
from gateway.wire.passthrough_paths import check

HEADER = b"x-tidegate-provider"
_TOKENS = (
    "/realtime/client_secrets",
    "/realtime/sessions",
    "/realtime/transcription_sessions",
    "/auth_tokens",
)
"""Where OpenAI and Gemini (documentation, 2026-11) hand out short-lived keys of their own."""


class Passing:
    """Plans for the provider that the header names, else for the model's own, else for the native one of the path."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def plan(self, exchange: Exchange) -> Plan:
        """Say which deployments may answer; raise BadRequest, Unauthenticated, UnknownModel."""
        place, upload, peek = exchange.place, exchange.upload, exchange.peek
        assert place is not None, "only what is passed on comes here"
        assert peek is not None, "the request was read"
        said = {"method": place.method, "path": place.path[:255]}
        if upload is not None:
            said["content_type"] = upload.content_type[:64]
        exchange.peek = msgspec.structs.replace(peek, parameters={**peek.parameters, **said})
        check(place.path)
        if place.method == "POST" and unquote(place.path).rstrip("/").endswith(_TOKENS):
            _only_for_its_own_key(exchange)
        plan = self._choose(exchange, peek.model)
        exchange.route = plan.route

        def passed(one: Deployment | None) -> Deployment | None:
            if one is None:
                return None
            length = upload.length if upload is not None else None
            kind = Upgraded if place.socket else PassedOn
            provider = kind(one.provider, place, parts=upload, length=length)
            return msgspec.structs.replace(one, provider=provider)

        retries = plan.retries if place.repeatable else Retries(attempts=1)
        return msgspec.structs.replace(
            plan,
            retries=retries,
            deployments=tuple(one for way in plan.deployments if (one := passed(way)) is not None),
            fallbacks=tuple(one for way in plan.fallbacks if (one := passed(way)) is not None),
            context_window_fallback=passed(plan.context_window_fallback),
            content_filter_fallback=passed(plan.content_filter_fallback),
        )

    def _choose(self, exchange: Exchange, model: str) -> Plan:
        named = exchange.headers.get(HEADER, b"").decode("latin-1").strip()
        surface = exchange.wire.surface
        secret, is_open = exchange.client_secret, exchange.principal.open
        if model and not named and exchange.upload is None:
            try:
                return self._resolver.plan(model, client_secret=secret, open=is_open, surface=surface)
            except UnknownModel:
                pass  # pictures, speech and moderations have names of their own, which the provider knows
        return self._resolver.passed(named, model, client_secret=secret, open=is_open, surface=surface)


def _only_for_its_own_key(exchange: Exchange) -> None:
    """Raise Forbidden if a provider would hand out a key to this installation's account, past all that is recorded."""
    if not exchange.principal.open:
        raise Forbidden(
            "the gateway gives no keys of its providers away: open the WebSocket through it instead",
            code="provider_key_not_given",
        )
