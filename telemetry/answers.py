"""What the query API says: its JSON, and its refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import msgspec
from pydantic import BaseModel

from telemetry.store.base import Row

_json = msgspec.json.Decoder()


class Refusal(Exception):
    """A question that gets no answer; `param` names the field to mend."""

    def __init__(self, status: int, code: str, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param


class ErrorDetail(BaseModel):
    """What is wrong, and where."""

    message: str
    type: str
    param: str | None = None
    code: str


class ErrorAnswer(BaseModel):
    """Every answer that is not 2xx."""

    error: ErrorDetail


class MemoryAnswer(BaseModel):
    """What was remembered in a call, and whether it is remembered itself."""

    switch: str
    """`on`, `read`, `write` or `off`; empty: the call is older than memory."""
    status: str
    """`injected`, `replayed`, `empty`, `skipped:<reason>`, `timeout`, `error`; empty: memory was not asked."""
    ids: list[str]
    scores: list[float]
    tokens: int
    latency_us: int
    replayed: int
    """How many blocks of earlier calls were put back where they had been."""
    profile_tokens: int
    """Of what introduced the user."""
    block: str = ""
    """The text that was added to the prompt; told, with `anchor`, of a call that is asked for alone."""
    anchor: int = -1
    """Index of the message it was added to."""


class CallAnswer(BaseModel):
    """A call. Times are ISO 8601 (UTC) or microseconds, money nano-dollars and, as text, dollars."""

    call_id: str
    kind: str
    project: str
    environment: str
    key_id: str
    user_id: str
    agent_id: str
    event_id: str
    event_id_made: bool
    thread_id: str
    trace_id: str
    parent_span_id: str
    step: str
    tags: list[str]
    properties: dict[str, str]
    surface: str
    operation: str
    model: str
    route: str
    variant: str
    """Of the route's experiment."""
    stream: bool
    status: str
    http_status: int
    error_type: str
    error_code: str
    error_message: str
    provider: str
    deployment: str
    served_model: str
    response_model: str
    response_id: str
    finish_reason: str
    attempt_count: int
    attempts: list[dict[str, Any]]
    parameters: dict[str, Any]
    request_bytes: int
    response_bytes: int
    capture: str
    started_at: str
    started_at_us: int
    first_byte_us: int
    first_token_us: int
    total_us: int
    overhead_us: int
    input_tokens: int
    output_tokens: int
    usage: dict[str, int]
    """Tokens by bucket, and web searches; empty buckets are left out."""
    service_tier: str
    """As the provider's answer names it."""
    usage_source: str
    raw_usage: str
    cost_nano_usd: int | None
    cost_usd: str | None
    cost_lower_nano_usd: int
    cost_upper_nano_usd: int | None
    cost_lines: dict[str, int]
    cache_saved_nano_usd: int
    """What the tokens read from the provider's cache would have cost uncached, less what they did cost; of an answer
    that was kept here, what it cost when it was made."""
    cost_reason: str
    """Why nobody knows the cost, or `settled`: a batch whose cost another call has."""
    price_row: str
    price_version: str
    """Of what is `settled`, the `call_id` of that call."""
    gateway: str
    memory: MemoryAnswer
    metrics: dict[str, float] = {}
    """What a step of a pipeline measured of itself."""
    log_id: str = ""
    """Of a log that was sent to us: its sender's own id."""
    links_to: str = ""
    """Of a log: the call of ours that it is about."""
    span_id: str = ""
    span_name: str = ""
    guardrails: list[dict[str, Any]] = []
    """What each guardrail made of the call: its name, phase and verdict, and the kinds of what it found."""
    cache: str = ""
    """`hit`, `miss` or `refresh`, if the cache of answers was asked."""
    request_preview: str = ""
    answer_preview: str = ""


class PayloadAnswer(BaseModel):
    """A body, with its secrets replaced."""

    text: str
    content_type: str
    bytes_total: int
    bytes_kept: int
    sha256: str
    redactions: int


class CallDetail(CallAnswer):
    """A call, and what was said."""

    request: PayloadAnswer | None = None
    answer: PayloadAnswer | None = None


class Page(BaseModel):
    """Some calls, and where to go on."""

    calls: list[CallAnswer]
    next_cursor: str | None = None


class Totals(BaseModel):
    """Sums. `cost` is of the priced calls; `unpriced` says how many it leaves out."""

    calls: int = 0
    priced: int = 0
    unpriced: int = 0
    errors: int = 0
    interrupted: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    cost_usd: str = "0.000000000"


class Together(Totals):
    """Sums of the calls of one event or thread."""

    cancelled: int = 0
    """Their client hung up before it had its answer."""


S = TypeVar("S", bound=Totals)


class Group(Page):
    """The calls of one event or thread, oldest first."""

    id: str
    totals: Together
    first_at: str | None = None
    last_at: str | None = None


class EventAnswer(Together):
    """An event as a list of them shows it; its sums are of all its calls."""

    event_id: str
    models: list[str]
    """At most six, as `user_ids`."""
    user_ids: list[str]
    first_at: str
    last_at: str
    total_us: int
    """From the beginning of its first call to the end of the last one."""
    request_preview: str = ""
    """Of the newest call that matched."""


class Events(BaseModel):
    """Some events, the one that was active last first, and where to go on."""

    events: list[EventAnswer]
    next_cursor: str | None = None


class CostRow(Totals):
    """One line of a user's cost; `day` and `model` only if grouped by them."""

    day: str | None = None
    model: str | None = None


class UserCost(BaseModel):
    """What a user cost between two days, both included."""

    user_id: str
    from_day: str
    to_day: str
    group_by: list[Literal["day", "model"]]
    rows: list[CostRow]
    total: Totals


_BUCKETS = (
    *("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio", "input_image"),
    *("output_text", "output_reasoning", "output_audio", "output_image", "web_searches"),
)

_MEMORY = "memory_"


def dollars(nano: int) -> str:
    """Nano-dollars as dollars with nine decimals, exactly."""
    whole, rest = divmod(abs(nano), 10**9)
    return f"{'-' if nano < 0 else ''}{whole}.{rest:09d}"


def iso(us: int) -> str:
    """Microseconds since 1970 as ISO 8601."""
    seconds, rest = divmod(us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


def call_fields(row: Row) -> dict[str, Any]:
    """A row of `spans` as the fields of a `CallAnswer`."""
    fields = {
        name: value for name, value in row.items() if name not in _BUCKETS and not name.startswith(_MEMORY)
    }
    cost = row["cost_nano_usd"]
    return {
        **fields,
        "tags": list(row["tags"]),
        "attempts": _json.decode(row["attempts"] or "[]"),
        "parameters": _json.decode(row["parameters"] or "{}"),
        "guardrails": _json.decode(row["guardrails"] or "[]"),
        "memory": {name.removeprefix(_MEMORY): row[name] for name in row if name.startswith(_MEMORY)},
        "started_at": iso(row["started_at_us"]),
        "usage": {name: row[name] for name in _BUCKETS if row[name]},
        "cost_usd": None if cost is None else dollars(cost),
    }


def totals(row: Row, kind: type[S]) -> S:
    """Sums as they are told."""
    known = {name: row[name] for name in kind.model_fields if name in row}
    return kind(**{**known, "cost_usd": dollars(row["cost_nano_usd"])})
