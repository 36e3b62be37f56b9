"""Where a call can go."""

from __future__ import annotations

import msgspec

from gateway.providers.base import Provider
from gateway.settings import Breaker, Retries, Strategy, Timeouts


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider under one credential."""

    id: str
    """`provider/model`."""
    provider: Provider
    model: str
    """As the provider calls it."""
    secret: str = ""
    native: bool = False
    """The provider is the one this surface was made by."""
    borrowed: bool = False
    """The secret is the client's own: what the provider says of it concerns nobody else."""
    weight: float = 1
    price_nano_usd: int | None = None
    """Of a thousand tokens in and a thousand out; None: unknown."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to try for one model name, best first."""

    route: str = ""
    """Name of the route, empty if the client named a model."""
    deployments: tuple[Deployment, ...]
    strategy: Strategy = "ordered"
    fallbacks: tuple[Deployment, ...] = ()
    context_window_fallback: Deployment | None = None
    content_filter_fallback: Deployment | None = None
    timeouts: Timeouts
    retries: Retries = Retries()
    breaker: Breaker = Breaker()
    heartbeat_s: float = 0
