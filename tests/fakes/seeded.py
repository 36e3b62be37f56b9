"""Calls of all kinds from a seed, a ledger that holds them, and sums over them computed slowly."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from telemetry.collector import Pipe
from telemetry.delivery import StoreConsumer
from telemetry.follower import Follower
from telemetry.records import Attempt, Call, Cost, Frame, Outcome, Settled, Usage
from telemetry.store.base import Store
from tests.fakes.ledger import BASE_US, SegmentWriter, call

DAY_US = 24 * 3_600_000_000
DAYS = 40
"""How far back the calls reach."""


class Made(NamedTuple):
    """A call and what became of it."""

    call: Call
    outcome: Outcome

    @property
    def day(self) -> str:
        """When it was made."""
        return moment(self.call.started_at_us).date().isoformat()

    @property
    def model(self) -> str:
        """As served, or as asked for."""
        return self.outcome.attempts[-1].model if self.outcome.attempts else self.call.model

    @property
    def cost(self) -> int | None:
        """Nano-dollars, if anybody knows."""
        return self.outcome.cost.total_nano_usd


def make(count: int, *, seed: int = 7, project: str = "p1", environment: str = "prod") -> list[Made]:
    """Return calls; every id of theirs begins with their project and environment."""
    source = random.Random(f"{seed}{project}{environment}")
    home = f"{project}-{environment}"
    first = {"p1-prod": 0, "p1-test": 100_000, "p2-prod": 200_000}[home]
    return [Made(_call(source, first + number, home), _outcome(source, home)) for number in range(count)]


def _call(source: random.Random, number: int, home: str) -> Call:
    project, environment = home.split("-")

    def one_of(name: str, count: int, *, none: float = 0.2) -> str:
        return "" if source.random() < none else f"{home}-{name}{source.randrange(count)}"

    step = source.choice(("", "retrieval", "synthesis"))
    metrics = {"relevance": source.uniform(-1, 1), "hit": float(source.random() < 0.5)} if step else {}
    return call(
        number,
        # some share their moment, so that only the id decides
        started_at_us=BASE_US - source.randrange(DAYS * 24 * 40) * 90_000_000,
        project=project,
        environment=environment,
        key_id=one_of("key", 3, none=0),
        user_id=one_of("user", 6),
        agent_id=one_of("agent", 2),
        event_id=one_of("event", 80, none=0),
        thread_id=one_of("thread", 25),
        step=f"{home}-{step}" if step else "",
        tags=tuple(sorted({f"{home}-{tag}" for tag in source.choices("abc", k=source.randrange(3))})),
        properties={"variant": f"{home}-{source.choice('xy')}"} if source.random() < 0.7 else {},
        metrics=metrics,
        model=f"{home}-asked{source.randrange(2)}",
        route=one_of("route", 2),
        variant=one_of("variant", 2),
        stream=source.random() < 0.5,
        operation=source.choice(("chat", "chat", "embeddings")),
    )


def _outcome(source: random.Random, home: str) -> Outcome:
    status = source.choices(("ok", "error", "cancelled", "interrupted"), (8, 2, 1, 1))[0]
    provider = f"{home}-provider{source.randrange(2)}"
    served = f"{home}-served{source.randrange(3)}"
    answered = status != "interrupted"
    cost = Cost(total_nano_usd=source.randrange(10**9), cache_saved_nano_usd=source.randrange(10**6))
    if not answered:
        cost = Cost(reason="interrupted")
    elif source.random() < 0.2:
        cost = Cost(reason=source.choice(("unknown_model", "no_usage")))
    total_us = int(source.lognormvariate(13, 1)) if answered else 0
    failed = status == "error"
    return Outcome(
        status=status,  # type: ignore[arg-type]
        http_status={"ok": 200, "error": 502}.get(status, 0),
        error_type=source.choice(("rate_limited", "timeout")) if failed else "",
        error_message=f"{home} said {source.randrange(1000)}" if failed else "",
        provider=provider if answered else "",
        deployment=f"{provider}/{served}" if answered else "",
        finish_reason=source.choice(("stop", "length")) if status == "ok" else "",
        attempts=(Attempt(deployment=f"{provider}/{served}", provider=provider, model=served),)
        if answered
        else (),
        first_token_us=total_us // 3 if source.random() < 0.5 else 0,
        total_us=total_us,
        overhead_us=source.randrange(5_000) if answered else 0,
        usage=Usage(
            input_uncached=source.randrange(2_000),
            cache_read=source.randrange(500),
            output_text=source.choice((0, source.randrange(900))),
        )
        if answered
        else Usage(),
        usage_source="provider",
        cost=cost,
    )


def fill(store: Store, journal: Path, frames: Iterable[Frame]) -> None:
    """Bring frames into the store as the collector does."""

    def now_us() -> int:
        return time.time_ns() // 1000

    writer = SegmentWriter(journal, "w1")
    for frame in frames:
        writer.write(frame)
    writer.die()
    follower = Follower("store", journal, now_us=now_us)
    pipe = Pipe(follower, StoreConsumer(store, journal / "dead", origin="here", now_us=now_us), now_us=now_us)
    while pipe.step():
        pass


def settled(made: Iterable[Made]) -> list[Frame]:
    """Return the frames of calls."""
    return [Settled(one.call, one.outcome) for one in made]


def moment(us: int) -> datetime:
    """Return a time of day."""
    return datetime.fromtimestamp(us / 1e6, UTC)


def _week(one: Made) -> str:
    day = moment(one.call.started_at_us).date()
    return (day - timedelta(days=day.weekday())).isoformat()


KEYS: Mapping[str, Callable[[Made], str]] = {
    "day": lambda one: one.day,
    "week": _week,
    "month": lambda one: one.day[:7],
    "hour": lambda one: f"{moment(one.call.started_at_us):%Y-%m-%dT%H}:00:00Z",
    "user": lambda one: one.call.user_id,
    "key": lambda one: one.call.key_id,
    "agent": lambda one: one.call.agent_id,
    "event": lambda one: one.call.event_id,
    "thread": lambda one: one.call.thread_id,
    "step": lambda one: one.call.step,
    "route": lambda one: one.call.route,
    "variant": lambda one: one.call.variant,
    "model": lambda one: one.model,
    "provider": lambda one: one.outcome.provider,
    "deployment": lambda one: one.outcome.deployment,
    "project": lambda one: one.call.project,
    "environment": lambda one: one.call.environment,
    "kind": lambda one: "embedding" if one.call.operation == "embeddings" else "llm",
    "status": lambda one: one.outcome.status,
    "error_type": lambda one: one.outcome.error_type,
    "cost_reason": lambda one: one.outcome.cost.reason,
    "property:variant": lambda one: one.call.properties.get("variant", ""),
}
"""How calls are grouped, by the names of the API."""

FILTERS: Mapping[str, Callable[[Made], Sequence[str]]] = {
    "event_id": lambda one: [one.call.event_id],
    "thread_id": lambda one: [one.call.thread_id],
    "user_id": lambda one: [one.call.user_id],
    "billed_model": lambda one: [one.model],
    "agent_id": lambda one: [one.call.agent_id],
    "key_id": lambda one: [one.call.key_id],
    "tag": lambda one: one.call.tags,
    "kind": lambda one: [KEYS["kind"](one)],
    "model": lambda one: [one.call.model, *(tried.model for tried in one.outcome.attempts)],
    "served_model": lambda one: [tried.model for tried in one.outcome.attempts],
    "provider": lambda one: [one.outcome.provider],
    "deployment": lambda one: [one.outcome.deployment],
    "route": lambda one: [one.call.route],
    "variant": lambda one: [one.call.variant],
    "step": lambda one: [one.call.step],
    "status": lambda one: [one.outcome.status],
    "error_type": lambda one: [one.outcome.error_type],
    "finish_reason": lambda one: [one.outcome.finish_reason],
    "cost_reason": lambda one: [one.outcome.cost.reason],
    "environment": lambda one: [one.call.environment],
    "project": lambda one: [one.call.project],
    "surface": lambda one: [one.call.surface],
    "stream": lambda one: [str(one.call.stream).lower()],
    "priced": lambda one: [str(one.cost is not None).lower()],
    "property:variant": lambda one: [one.call.properties.get("variant", "")],
}
"""Which values of a filter find a call."""


def sums(made: Iterable[Made]) -> dict[str, Any]:
    """Return what the API says of these calls, all together."""
    found: dict[str, Any] = defaultdict(int)
    days = []
    for one in made:
        usage = one.outcome.usage
        days.append(one.day)
        found["calls"] += 1
        found["priced"] += one.cost is not None
        found["unpriced"] += one.cost is None
        found["errors"] += one.outcome.status == "error"
        found["interrupted"] += one.outcome.status == "interrupted"
        found["input_tokens"] += usage.input_uncached + usage.cache_read
        found["output_tokens"] += usage.output_text
        found["cache_read"] += usage.cache_read
        found["cost_nano_usd"] += one.cost or 0
        found["cache_saved_nano_usd"] += one.outcome.cost.cache_saved_nano_usd
        found["total_us"] += one.outcome.total_us
    told = dict(found)
    if told and not told["priced"]:
        told["cost_nano_usd"] = None
    return told | {"first_day": min(days, default=None), "last_day": max(days, default=None)}


def groups(made: Iterable[Made], by: Sequence[str]) -> dict[tuple[str, ...], list[Made]]:
    """Return the calls by what they share."""
    found: dict[tuple[str, ...], list[Made]] = defaultdict(list)
    for one in made:
        found[tuple(KEYS[name](one) for name in by)].append(one)
    return dict(found)
