"""Where a call can go."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.providers.base import Provider
from gateway.providers.google_account import Account
from gateway.settings import Breaker, MemoryDefault, Retries, Strategy, Timeouts
from gateway.translation.bridge import Bridge

Ceiling = tuple[int, int, int]
"""The most a million tokens in, a million tokens out, and a million calls can cost, in nano-dollars."""


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider under one credential."""

    id: str
    """`provider/model`."""
    provider: Provider
    model: str
    """As the provider calls it."""
    secret: str = ""
    account: Account | None = None
    """Its token is sent instead of the secret."""
    native: bool = False
    """The provider is the one this surface was made by."""
    borrowed: bool = False
    """The secret is the client's own: what the provider says of it concerns nobody else."""
    weight: float = 1
    price_nano_usd: int | None = None
    """Of a thousand tokens in and a thousand out; None: unknown."""
    bridge: Bridge | None = None
    """To the format in which the provider is asked, if that is not the client's."""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """What is done differently for the calls that are drawn for it."""

    name: str
    weight: float
    deployment: Deployment | None
    """Asked instead of the route's own."""
    parameters: Mapping[str, object]
    """Merged into the request's body."""
    memory: MemoryDefault


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
    memory: MemoryDefault = ""
    variants: tuple[Variant, ...] = ()
    """One of them is drawn for each call."""
    ceiling: Ceiling | None = None
    """Of whichever of them answers; None: unknown for one of them."""
    window: int = 0
    """Tokens that the smallest of their models can read; 0: unknown for all of them."""
