"""One request on its way through the gateway, and what each stage learnt about it."""

from __future__ import annotations

import msgspec

from gateway.asgi import Client
from gateway.errors import GatewayError
from gateway.principal import Principal
from gateway.wire.base import Finding, Peek, Reading, Wire
from telemetry.records import Attempt, Call, Cost, Injection, MemorySwitch, Usage, UsageSource

KEEP_BYTES = 1 << 20
"""As much of an answer is kept for the payload; the rest is counted."""


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
    """The model, where the path names it."""
    query: bytes = b""
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
    # memory
    memory_switch: MemorySwitch = "on"
    memory: Injection = Injection()
    # record: set once the journal holds `Opened`
    call: Call | None = None
    # route, relay
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
