"""In which order the deployments of a route are asked, and in which variant. Pure: dice and health are given."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from random import Random

from gateway.routing.deployments import Deployment, Variant
from gateway.routing.health import Health
from gateway.settings import Strategy

_CURIOSITY = 0.05
"""Of the calls that go to the quickest: so many look whether the others have become quicker."""


def order(
    strategy: Strategy,
    deployments: Sequence[Deployment],
    health: Mapping[str, Health],
    *,
    dice: Random,
    stick_to: str = "",
) -> list[Deployment]:
    """Return all of them, the one to ask first at the front. `stick_to`: a thread, or a user."""
    if len(deployments) < 2 or strategy == "ordered":
        return list(deployments)
    if strategy == "least_latency":
        return _quickest_of_two(deployments, health, dice)
    shuffled = dice.sample(deployments, len(deployments))
    match strategy:
        case "least_busy":
            return sorted(shuffled, key=lambda d: health[d.id].in_flight)
        case "cheapest":
            return sorted(shuffled, key=lambda d: math.inf if d.price_nano_usd is None else d.price_nano_usd)
        case "sticky" if stick_to:
            return sorted(shuffled, key=lambda d: _lot(_hash(stick_to, d.id), d.weight))
        case _:
            return sorted(shuffled, key=lambda d: _lot(dice.random(), d.weight))


def draw(route: str, variants: Sequence[Variant], *, dice: Random, stick_to: str = "") -> Variant:
    """Return one of a route's variants by weight: for a thread, or a user, always the same."""

    def place(variant: Variant) -> float:
        return _lot(_hash(stick_to, f"{route}/{variant.name}") if stick_to else dice.random(), variant.weight)

    return min(variants, key=place)


def _quickest_of_two(
    deployments: Sequence[Deployment], health: Mapping[str, Health], dice: Random
) -> list[Deployment]:
    """Draw two and put the quicker first: nearly the best choice, without all calls running to one place.

    One of which nothing is known counts as quick, so that it becomes known; now and then chance alone decides, so
    that a slow one becomes known again.
    """
    drawn = dice.sample(deployments, len(deployments))
    first, second = drawn[:2]
    if health[second.id].latency_us < health[first.id].latency_us and dice.random() >= _CURIOSITY:
        drawn[:2] = second, first
    return drawn


def _lot(chance: float, weight: float) -> float:
    """Return a key by which the smallest comes first with a probability that follows its weight.

    Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006).
    """
    return -math.log(chance or 1e-300) / weight if weight > 0 else math.inf


def _hash(stick_to: str, name: str) -> float:
    """Return a number from 0 to 1 that is always the same for these two."""
    digest = hashlib.blake2b(f"{stick_to}\0{name}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) + 1) / (2**64 + 1)
