"""What one frame of the journal says, and so what a row of the ledger is made of.

The format is frozen: a frame is a msgpack map with the key `frame` naming its type, fields that
hold their default are left out, and unknown keys are ignored. So a field may be added with a
default, never renamed, retyped or reused; a collector reads older and newer segments alike.

One call writes up to four frames that share a `call_id`; each becomes a row without the others:

* `Opened`   before the first byte goes to a provider: who asks for what
* `Request`  the client's body as received (secrets replaced)
* `Settled`  the full record, written once; an `Opened` that nobody settled is `interrupted`
* `Answer`   what the client was sent (secrets replaced)

A log that somebody sends about a call made elsewhere has no `Opened`.

None of them can stand in a circle, so the garbage collector need not look at them (`gc=False`).

Times of day are microseconds since 1970 (UTC), durations microseconds, money billionths of a US dollar.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "error", "cancelled", "interrupted"]
UsageSource = Literal["provider", "estimated", "none"]
MemorySwitch = Literal["on", "read", "write", "off"]
"""Whether memories go into a call (`on`, `read`), and whether it is remembered (`on`, `write`)."""
Capture = Literal["full", "cut", "lost", "none"]

PENDING = "pending"
"""`Cost.reason` of a call that made a batch whose output nobody has counted."""
BATCH = "batch"
"""`Outcome.service_tier` of the call that counted it."""
SETTLES = "settles"
"""Property of that call: the id of the one that made the batch."""
BATCH_ROW = "batch output"
"""`Cost.price_row` of what costs nothing itself, as the call named in `price_version` has counted the batch's output."""


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Tokens in disjoint buckets: each token is counted in exactly one of them. And what else is billed.

    OpenAI's `prompt_tokens` is `input_uncached + cache_read + input_audio + input_image`, its
    `completion_tokens` is `output_text + output_reasoning + output_audio + output_image`.
    """

    input_uncached: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    input_audio: int = 0
    input_image: int = 0
    output_text: int = 0
    output_reasoning: int = 0
    output_audio: int = 0
    output_image: int = 0
    web_searches: int = 0
    """Not tokens: how often a tool of the provider's searched the web, as far as its usage tells."""

    @property
    def input_total(self) -> int:
        """Every token the model read."""
        return (
            self.input_uncached
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.input_audio
            + self.input_image
        )

    @property
    def output_total(self) -> int:
        """Every token the model wrote."""
        return self.output_text + self.output_reasoning + self.output_audio + self.output_image


class Cost(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a call cost; `total_nano_usd` is the sum of `lines`, or None with the `reason` why nobody knows."""

    total_nano_usd: int | None = None
    lines: dict[str, int] = {}
    """Nano-dollars by bucket of `Usage`; buckets without tokens are left out."""
    price_row: str = ""
    price_version: str = ""
    reason: str = ""
    """Empty when priced. `unknown_model`, `no_answer`, `no_usage`, `no_price_table`, `no_rate:<bucket>`, `no_tier:<service
    tier>`; `no_rate:units`: told in seconds or searches; `pending`: a batch whose output has not been seen. The
    ledger shows a batch as `settled`, for 0, once another call has its cost: `price_version` names that call."""
    cache_saved_nano_usd: int = 0
    """What the tokens read from the provider's cache would have cost uncached, less what they did cost; of an answer
    that was kept here, what it cost when it was made."""


class Call(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Everything known before a provider is asked."""

    call_id: str
    started_at_us: int
    surface: str
    """Wire format of the client: `openai.chat`, `openai.embeddings`."""
    operation: str = ""
    """`gen_ai.operation.name` of OpenTelemetry: `chat`, `embeddings`."""
    # who
    project: str = ""
    environment: str = ""
    key_id: str = ""
    user_id: str = ""
    agent_id: str = ""
    event_id: str = ""
    event_id_made: bool = False
    """The client sent no event id; this one is ours."""
    thread_id: str = ""
    trace_id: str = ""
    parent_span_id: str = ""
    step: str = ""
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = {}
    # what
    model: str = ""
    """As the client wrote it."""
    route: str = ""
    stream: bool = False
    parameters: dict[str, bool | int | float | str] = {}
    request_bytes: int = 0
    memory: MemorySwitch = "on"
    gateway: str = ""
    """Version of the gateway that wrote this."""
    metrics: dict[str, float] = {}
    """What the client measured of its own step: `hit`, `relevance`; finite numbers."""
    # of a log that somebody sent about a call made elsewhere
    kind: str = ""
    """`log`; empty for a call of our own."""
    log_id: str = ""
    """The sender's own id of it, unique in its project and environment."""
    links_to: str = ""
    """`call_id` of the call of ours that it is about: usage and cost stand there."""
    span_id: str = ""
    span_name: str = ""
    cost_upper_nano_usd: int | None = None
    """What it can cost at most, should nobody learn how it ended; None: nobody can say."""
    variant: str = ""
    """Of the route's experiment."""


class Injection(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Which memories went into the prompt of a call, or why none did."""

    status: str = ""
    """`injected`, `replayed` (only what stood there in earlier calls), `empty`, `skipped:<reason>`, `timeout`, `error`;
    empty where memory is not set up."""
    ids: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    """From 0 to 1, one for each of `ids`; 0 for those of a profile, which nobody looked for."""
    tokens: int = 0
    """Of the block, estimated."""
    latency_us: int = 0
    """How long the request waited for it."""
    block: str = ""
    """The text as it was inserted."""
    anchor: int = -1
    """Index of the message it was added to."""
    replayed: int = 0
    """How many blocks of earlier calls were put back where they had been."""
    profile_tokens: int = 0
    """Of what introduces the user, estimated."""


class Checked(msgspec.Struct, omit_defaults=True):
    """What one guardrail made of a request or an answer; filled in as it goes. Never what was found, only its kind."""

    guardrail: str
    check: str
    """`secrets`, `pii`, `words`, `prompt_tokens`, `tools`, `http`."""
    phase: Literal["request", "answer"]
    verdict: Literal["passed", "flagged", "redacted", "blocked", "failed"] = "passed"
    """`failed`: it could not say."""
    action: str = ""
    """What its settings say is done: `block`, `redact`, `flag`."""
    latency_us: int = 0
    kinds: tuple[str, ...] = ()
    """Of what was found: `email`, `secret:api_key`."""
    reason: str = ""
    """Why it failed, or what an external check said."""


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One try at one deployment; `error_type` is empty for the try that answered.

    Offsets are microseconds since `Call.started_at_us`.
    """

    deployment: str
    provider: str
    model: str
    started_us: int = 0
    connected_us: int = 0
    first_byte_us: int = 0
    ended_us: int = 0
    reused: bool = False
    """The connection had been used before."""
    http_status: int = 0
    request_id: str = ""
    """The provider's own id of this request."""
    error_type: str = ""
    error_message: str = ""
    sent_sha256: str = ""
    """Hex digest of the body as it went to the provider."""
    asked_in: str = ""
    """The format in which the provider was asked, if that is not the client's."""
    dropped: tuple[str, ...] = ()
    """Parameters that had no place in it and were left out, in the client's words."""
    possible_cost_nano_usd: int | None = None
    """What a try that failed after it was sent may have cost at most, as the provider may bill it; None: nothing,
    or nobody can say."""


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How it went."""

    status: Status
    http_status: int = 0
    """As the client saw it; 0 when it saw none."""
    error_type: str = ""
    error_code: str = ""
    error_message: str = ""
    provider: str = ""
    deployment: str = ""
    response_model: str = ""
    response_id: str = ""
    finish_reason: str = ""
    attempts: tuple[Attempt, ...] = ()
    # time, in microseconds since the request's last byte was read
    first_byte_us: int = 0
    first_token_us: int = 0
    total_us: int = 0
    overhead_us: int = 0
    """The part of `total_us` spent before the first attempt began and after the last ended."""
    # money
    usage: Usage = Usage()
    usage_source: UsageSource = "none"
    raw_usage: bytes = b""
    """The provider's own usage object, as JSON."""
    cost: Cost = Cost()
    response_bytes: int = 0
    capture: Capture = "full"
    """Whether the payload frames hold all of what passed."""
    memory: Injection = Injection()
    service_tier: str = ""
    """As the answer names it; prices depend on it."""
    guardrails: tuple[Checked, ...] = ()
    """In the order in which they ran."""
    cache: Literal["", "hit", "miss", "refresh"] = ""
    """Whether the answer is one that was kept here; empty if nobody looked. A hit says in `cost` what it saved."""


class Opened(msgspec.Struct, frozen=True, tag_field="frame", tag="opened", gc=False):
    """Written before the first byte goes to a provider."""

    call: Call


class Settled(msgspec.Struct, frozen=True, tag_field="frame", tag="settled", gc=False):
    """Written once, when the answer is over, however it ended."""

    call: Call
    outcome: Outcome


class Payload(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A body, and what a row of it needs to be found and dropped with its call."""

    call_id: str
    project: str
    environment: str
    started_at_us: int
    surface: str
    content_type: str = ""
    body: bytes = b""
    bytes_total: int = 0
    """Length before anything was cut."""
    sha256: str = ""
    """Hex digest of the whole body, before secrets were replaced; empty if nothing was changed or cut."""
    redactions: int = 0
    """How many secrets were replaced."""
    # of a request that may be remembered: who said it, and in which conversation
    remember: bool = False
    user_id: str = ""
    agent_id: str = ""
    thread_id: str = ""
    log_id: str = ""
    """Of a log that somebody sent: its call's."""
    event_id: str = ""
    """Of a request that may be remembered."""


class Request(msgspec.Struct, frozen=True, tag_field="frame", tag="request", gc=False):
    """The client's body as received."""

    payload: Payload


class Answer(msgspec.Struct, frozen=True, tag_field="frame", tag="answer", gc=False):
    """What the client was sent."""

    payload: Payload


Frame = Opened | Request | Settled | Answer
