"""The health of every deployment as one worker sees it, and what workers tell each other of it. Pure.

    worker: a breaker opens  ->  hub: Ward.take  ->  every worker: Board.hear

Times go over the line as seconds that are left, as hosts share no monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from gateway.clock import Clock
from gateway.errors import UpstreamFailed
from gateway.routing.course import all_of
from gateway.routing.deployments import Deployment, Plan
from gateway.routing.health import Health, State
from gateway.routing.remedy import cooldown_s, is_fault, is_sick_key
from gateway.settings import Breaker, Route

TELL = "health"
"""How a worker tells the hub, and under which topic the hub tells everybody."""
MOST = 4096
"""Deployments that are remembered; clients may name what they like."""
_SECOND = 1_000_000_000
_NEWS = 0.1
"""Telling again is worth while if the time left grew by more than this part of it."""


class Unwell(msgspec.Struct, frozen=True, array_like=True):
    """A deployment to be left alone, and for how many seconds yet."""

    deployment: str
    open_s: float
    cooling_s: float


class News(msgspec.Struct, frozen=True):
    """All that are unwell, and when that was said (microseconds since 1970): it may be read later."""

    at_us: int
    unwell: tuple[Unwell, ...]


class Board(dict[str, Health]):
    """Health by a deployment's id. Owns what it has told so far."""

    def __init__(self, clock: Clock, tell: Callable[[str, object], None]) -> None:
        super().__init__()
        self._clock = clock
        self._tell = tell
        self._told: dict[str, int] = {}

    def of(self, way: Deployment, breaker: Breaker) -> Health:
        """Return its health, new if nothing is known."""
        health = self.get(way.id)
        return health if health is not None else self._add(way.id, breaker)

    def cover(self, plan: Plan) -> None:
        """See to it that everything a plan may come to is on the board."""
        for way in all_of(plan):
            self.of(way, plan.breaker)

    def failed(self, way: Deployment, breaker: Breaker, error: UpstreamFailed, now_ns: int) -> None:
        """Enter a failed call, and tell the others if nobody should ask for a while."""
        health = self.of(way, breaker)
        if way.borrowed or not is_fault(error):
            health.ended()
            return
        health.breaker = breaker
        health.failed(now_ns, cooldown_s=cooldown_s(error), for_good=is_sick_key(error))
        until_ns = max(health.open_until_ns, health.cooling_until_ns)
        told_ns = self._told.get(way.id, 0)
        if until_ns > now_ns and until_ns - max(told_ns, now_ns) > _NEWS * (until_ns - now_ns):
            self._told[way.id] = until_ns
            self._tell(TELL, _unwell(way.id, health.open_until_ns, health.cooling_until_ns, now_ns))

    def tell_again(self) -> None:
        """Tell a hub that is new, or was away, of everything that is to be left alone."""
        now_ns = self._clock.monotonic_ns()
        for name, health in self.items():
            if max(health.open_until_ns, health.cooling_until_ns) > now_ns:
                self._tell(TELL, _unwell(name, health.open_until_ns, health.cooling_until_ns, now_ns))

    def hear(self, payload: Any) -> None:  # noqa: ANN401 - as the link brings it
        """Take over what other workers found out."""
        news = msgspec.convert(payload, News)
        now_ns = self._clock.monotonic_ns()
        late_s = max(0, self._clock.now_us() - news.at_us) / 1e6
        for one in news.unwell:
            open_s, cooling_s = one.open_s - late_s, one.cooling_s - late_s
            if open_s <= 0 and cooling_s <= 0:
                continue
            health = self.get(one.deployment) or self._add(one.deployment, Breaker())
            health.told(
                open_until_ns=now_ns + int(open_s * _SECOND) if open_s > 0 else 0,
                cooling_until_ns=now_ns + int(cooling_s * _SECOND) if cooling_s > 0 else 0,
            )
            self._told[one.deployment] = max(health.open_until_ns, health.cooling_until_ns)

    def _add(self, name: str, breaker: Breaker) -> Health:
        if len(self) >= MOST:
            for known, health in list(self.items()):
                if health.idle:
                    del self[known]
                    self._told.pop(known, None)
        health = self[name] = Health(breaker)
        return health


class Ward:
    """The hub's list of what is unwell; whatever is new on it goes to every worker."""

    def __init__(self, clock: Clock, publish: Callable[[str, object], None]) -> None:
        self._clock = clock
        self._publish = publish
        self._until: dict[str, tuple[int, int]] = {}

    async def take(self, params: Any) -> None:  # noqa: ANN401 - as the link brings it
        """Enter what one worker says, and tell all of them what is known."""
        said = msgspec.convert(params, Unwell)
        now_ns = self._clock.monotonic_ns()
        until = {name: times for name, times in self._until.items() if max(times) > now_ns}
        known = until.get(said.deployment, (0, 0))
        if said.deployment in until or len(until) < MOST:
            until[said.deployment] = (
                max(known[0], now_ns + int(said.open_s * _SECOND)),
                max(known[1], now_ns + int(said.cooling_s * _SECOND)),
            )
        self._until = until
        unwell = tuple(_unwell(name, *times, now_ns) for name, times in until.items())
        self._publish(TELL, News(self._clock.now_us(), unwell))


class Way(msgspec.Struct, frozen=True):
    """A line of the report: one deployment of one route."""

    route: str
    """Empty: models that were asked for without one."""
    strategy: str
    deployment: str
    role: str
    """`deployment`, `variant`, `fallback`, `context_window` or `content_filter`."""
    weight: float
    state: State
    failure_ratio: float
    latency_ms: float
    cooldown_s: float
    in_flight: int
    variant: str = ""
    """Name of the variant; its `deployment` is empty if it asks the route's own."""


def report(routes: Mapping[str, Route], board: Mapping[str, Health], now_ns: int) -> list[Way]:
    """Say how everything is doing: the configured routes, then what was asked for without one."""
    lines = [
        _line(msgspec.structs.replace(way, route=name, strategy=route.strategy), board, now_ns)
        for name, route in routes.items()
        for way in _ways(route)
    ]
    routed = {line.deployment for line in lines}
    others = sorted(board.keys() - routed)
    return lines + [_line(_way(name), board, now_ns) for name in others]


def unwell(routes: Mapping[str, Route], board: Mapping[str, Health], now_ns: int) -> dict[str, str]:
    """Return the routes' deployments that are left alone now, as `open`, `half_open` or `cooling`."""
    return {
        line.deployment: "cooling" if line.state == "closed" else line.state
        for line in report(routes, board, now_ns)
        if line.route and (line.state != "closed" or line.cooldown_s)
    }


def _ways(route: Route) -> Iterable[Way]:
    for one in route.deployments:
        yield _way(one.model, weight=one.weight)
    for name, variant in route.variants.items():
        yield _way(variant.model, "variant", weight=variant.weight, variant=name)
    for model in route.fallbacks:
        yield _way(model, "fallback", weight=0)
    if route.context_window_fallback:
        yield _way(route.context_window_fallback, "context_window", weight=0)
    if route.content_filter_fallback:
        yield _way(route.content_filter_fallback, "content_filter", weight=0)


def _way(name: str, role: str = "deployment", *, weight: float = 1, variant: str = "") -> Way:
    """Return the line of one that nothing is known of."""
    return Way("", "", name, role, weight, "closed", 0, 0, 0, 0, variant)


def _line(way: Way, board: Mapping[str, Health], now_ns: int) -> Way:
    """Return the line with what is known of the deployment."""
    health = board.get(way.deployment)
    if health is None:
        return way
    return msgspec.structs.replace(
        way,
        state=health.state(now_ns),
        failure_ratio=round(health.failure_ratio, 3),
        latency_ms=round(health.latency_us / 1000, 1),
        cooldown_s=round(max(0, health.cooling_until_ns - now_ns) / _SECOND, 1),
        in_flight=health.in_flight,
    )


def _unwell(name: str, open_until_ns: int, cooling_until_ns: int, now_ns: int) -> Unwell:
    return Unwell(name, max(0, open_until_ns - now_ns) / _SECOND, max(0, cooling_until_ns - now_ns) / _SECOND)
