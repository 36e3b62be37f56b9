"""One request on its way through the gateway, and what each stage learnt about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import msgspec

from gateway.asgi import Client
from gateway.errors import GatewayError, Refused, StreamRefused
from gateway.heartbeat import Heartbeat
from gateway.principal import Principal
from gateway.settings import MemoryDefault
from gateway.upload import Upload
from gateway.wire.base import Finding, Peek, Reading, Screen, Wire
from gateway.wire.batch_output import BatchOutput
from gateway.wire.passthrough_paths import Place
from telemetry.records import Attempt, Call, Checked, Cost, Injection, MemorySwitch, Usage, UsageSource
from telemetry.redact import OVERLAP, replace_secrets

KEEP_BYTES = (1 << 20) + OVERLAP
"""As much of an answer is kept for the payload, and to find secrets at its end; the rest is counted."""

MESSAGE_CHARS = 16_384
"""A provider's error text longer than this is cut on the row."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who and what a call belongs to, as its sender says."""

    event_id: str
    event_id_made: bool = False
    user_id: str = ""
    agent_id: str = ""
    thread_id: str = ""
    environment: str = ""
    trace_id: str = ""
    parent_span_id: str = ""
    step: str = ""
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = {}
    metrics: dict[str, float] = {}
    """What the client measured of its own step."""


class Spending(Protocol):
    """A call's budgets: what its attempts may cost is put aside before they are made."""

    async def admit(self, surface: str, provider: str, model: str, body: bytes) -> bytes:
        """Put aside what an attempt with this body may cost; return the body to send, with a limit if it has none.

        Raises OverBudget, NoPriceBound, Unavailable.
        """
        ...

    def failed(self, *, free: bool) -> None:
        """The attempt failed; `free`: it cost nothing, as it was refused, or never sent."""
        ...

    def settle(self, cost: Cost, source: UsageSource) -> None:
        """The call is over, and cost that much."""
        ...


class Sent(Protocol):
    """What a client sends while its call is under way."""

    @property
    def model(self) -> str:
        """As it names it; empty: it does not."""
        ...

    @property
    def size(self) -> int:
        """Bytes so far."""
        ...


class Reuse(msgspec.Struct, kw_only=True):
    """A call whose answer may be one that is kept here, or be kept."""

    key: bytes
    """Names what is asked, and for whom it may be answered."""
    ttl_s: float
    outcome: Literal["hit", "miss", "refresh"] = "miss"
    saved_nano_usd: int = 0
    """What the answer had cost."""


class Exchange(msgspec.Struct, kw_only=True):
    """Made by the endpoint, handed to every stage, written as one row.

    The fields stand in the order in which the stages fill them. `*_ns` are `Clock.monotonic_ns()`.
    """

    # endpoint
    call_id: str
    wire: Wire
    headers: dict[bytes, bytes]
    """Lower-case names; of a repeated header the last value."""
    body: bytes
    named: str = ""
    """The model, or the kept response, where the path names it."""
    query: bytes = b""
    place: Place | None = None
    """Where a provider has what is only passed on."""
    upload: Upload | None = None
    """Its body, if it is not read here."""
    sent: Sent | None = None
    """What is said over its WebSocket, if it is one."""
    client: Client
    started_at_us: int
    started_ns: int
    # auth
    principal: Principal
    client_secret: str = ""
    """The key the client sent, in open mode; never stored, never logged."""
    # identity
    identity: Identity
    # route
    peek: Peek | None = None
    route: str = ""
    ceiling: tuple[int, int, int] | None = None
    """The most a million tokens in, a million out and a million calls can cost here, in nano-dollars."""
    window: int = 0
    """Tokens that every model that may answer can read, as far as that is known; 0: it is not."""
    variant: str = ""
    """Of the route's experiment."""
    adapted: bytes = b""
    """The body with what its route, or a response that is kept here, adds to it; empty if that is nothing."""
    # limits
    took: Callable[[int], None] | None = None
    """Called with the tokens of the call when it is over; None: no limit holds for it."""
    # guardrails
    checks: list[Checked] = msgspec.field(default_factory=list)
    """What each guardrail made of the call."""
    screen: Callable[[bool], Screen] | None = None
    """Makes what looks through an answer, or through a stream of one."""
    # memory
    memory_default: MemoryDefault = ""
    """What holds if the client says nothing, where its route or variant differs from the settings."""
    memory_switch: MemorySwitch = "off"
    memory: Injection = Injection()
    enriched: bytes = b""
    """The body with memories in it, for the provider; empty if there are none."""
    shown: tuple[str, ...] = ()
    """Ids of the memories in a response that the provider keeps; with those of this call once they are in it."""
    # budget
    spending: Spending | None = None
    """None: no budget applies."""
    # cache
    reuse: Reuse | None = None
    # record: set once the journal holds `Opened`
    call: Call | None = None
    # kept
    on_id: Callable[[Exchange, str], Awaitable[None]] | None = None
    """Awaited with the answer's id before the client is sent it."""
    on_whole: Callable[[Exchange, bytes], Awaitable[None]] | None = None
    """Awaited instead, with the last part of an answer that was translated: its provider does not keep it."""
    counting: BatchOutput | None = None
    """Reads the answer instead, if it is the output of a batch."""
    # route, relay
    deployment: str = ""
    """The one that is being tried, or that answered."""
    heartbeat: Heartbeat | None = None
    """Of a stream whose route has one."""
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    reading: Reading | None = None
    content_type: str = ""
    first_byte_ns: int = 0
    first_token_ns: int = 0
    answer: list[bytes] = msgspec.field(default_factory=list)
    """What the client was sent, for the payload."""
    answer_bytes: int = 0
    drained: list[bytes] = msgspec.field(default_factory=list)
    """What the provider went on to send after the client had hung up; for its usage only."""
    finding: Finding = Finding()
    # meter
    usage: Usage = Usage()
    usage_source: UsageSource = "none"
    cost: Cost = Cost()
    # whatever went wrong
    error: GatewayError | None = None

    @property
    def committed(self) -> bool:
        """Whether the client was sent a part of an answer, so that no other deployment may go on with it."""
        return self.answer_bytes > 0 if self.heartbeat is not None else self.client.started


def full_text(error: GatewayError) -> str:
    """Return what went wrong: of a refusal all the provider said, without the key that it may quote."""
    said = str(error).encode()
    if isinstance(error, Refused) and not isinstance(error, StreamRefused):
        said = error.body or said
    return replace_secrets(said)[0].decode("utf-8", "replace")[:MESSAGE_CHARS]
