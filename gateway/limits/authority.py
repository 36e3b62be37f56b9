"""Chooses who counts."""

from __future__ import annotations

from gateway.clock import Clock
from gateway.limits.base import Limiter
from gateway.limits.hub import HubLimiter
from gateway.limits.in_process import InProcess
from gateway.limits.redis import Address, RespLine
from gateway.limits.redis_limiter import SCRIPTS, RedisLimiter
from gateway.limits.redis_py import RedisPyLine
from gateway.link import LinkClient
from gateway.settings import Settings


def limiter_of(settings: Settings, link: LinkClient, clock: Clock) -> Limiter:
    """Return Redis if there is one, the only worker for itself, or the hub for all."""
    url = settings.redis.url
    if url:
        address = Address.read(url)
        return RedisLimiter(RedisPyLine(url, SCRIPTS) if address is None else RespLine(address, SCRIPTS))
    return InProcess(clock) if settings.server.workers == 1 else HubLimiter(link)
