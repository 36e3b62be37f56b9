"""Where a call can go."""

from __future__ import annotations

import msgspec

from gateway.providers.base import Provider
from gateway.settings import Timeouts


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


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to try for one model name, best first."""

    route: str = ""
    """Name of the route, empty if the client named a model."""
    deployments: tuple[Deployment, ...]
    timeouts: Timeouts
