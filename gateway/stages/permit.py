"""What a key allows of a call: its surface, its user, its models."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.access import matches
from gateway.errors import Forbidden
from gateway.exchange import Exchange
from gateway.principal import Principal
from gateway.routing.deployments import Plan
from gateway.wire.openai_responses import KeptResponse

NAMED_PROVIDER = b"x-tidegate-provider"


class _Body(msgspec.Struct):
    models: Any = None


_bodies = msgspec.json.Decoder(_Body)


def permit(exchange: Exchange, plan: Plan) -> None:
    """Raise Forbidden unless the key allows this call, now that its user and its model are known."""
    principal = exchange.principal
    if principal.surfaces and not matches(principal.surfaces, exchange.wire.surface):
        raise Forbidden(f"this key may not use {exchange.wire.surface}", code="surface_not_allowed")
    if principal.users:
        _permit_user(principal, exchange.identity.user_id)
    if principal.models and not isinstance(exchange.wire, KeptResponse):
        _permit_model(exchange, plan)


def _permit_user(principal: Principal, user: str) -> None:
    if not user:
        raise Forbidden(
            "this key is for some users only: say for whom the call is (x-tidegate-user-id)",
            code="user_required",
            param="user",
        )
    if not matches(principal.users, user):
        raise Forbidden(f"this key may not call for the user {user!r}", code="user_not_allowed", param="user")


def _permit_model(exchange: Exchange, plan: Plan) -> None:
    """A route counts by its name; a model as it was asked for, or as `provider/model`."""
    assert exchange.peek is not None, "the request was read"
    asked, patterns = exchange.peek.model, exchange.principal.models
    if not asked:
        raise Forbidden(
            "this key is for some models only, and this request names none",
            code="model_not_allowed",
            param="model",
        )
    names = {plan.route} if plan.route else {one.id for one in plan.deployments}
    redirected = exchange.place is not None and NAMED_PROVIDER in exchange.headers
    others = _alternatives(exchange.body)
    if wrong := [name for name in others if not matches(patterns, name)]:
        raise Forbidden(
            f"this key may not use the model {wrong[0]!r}", code="model_not_allowed", param="models"
        )
    if matches(patterns, asked) and not redirected:
        return
    if not all(matches(patterns, name) for name in names):
        raise Forbidden(f"this key may not use the model `{asked}`", code="model_not_allowed", param="model")


def _alternatives(body: bytes) -> list[str]:
    """Return the models that a body names beside its own: OpenRouter asks them in turn (its documentation, 2026-11)."""
    try:
        said = _bodies.decode(body).models
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return []  # no JSON object, so nobody reads a list of models in it
    return [str(one) for one in said] if isinstance(said, list) else [] if said is None else [str(said)]
