"""`tidegate demo`: a few calls that show what there is to see, made through a running gateway."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from http import HTTPStatus
from urllib.parse import quote, urlencode

import msgspec
from rich.markup import escape
from rich.table import Table

from gateway.caller import Caller, NoAnswer, Reply
from gateway.calls_tree import Call, Page
from telemetry.words import dollars, duration

_PATIENCE_S = 6.0
"""For the memory of what was just said, and then for the ledger."""
_EVERY_S = 0.1
_STATUS = "x-tidegate-memory-status"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the demo."""

    user: str
    thread: str
    event: int
    text: str
    step: str = ""
    script: dict[str, object] = {}
    """What the sandbox is told to do; nothing: echo."""


_TOLD = Said(
    user="ada",
    thread="ada-travel",
    event=1,
    text="I am moving to Lisbon in March, and I am allergic to peanuts.",
    script={"text": "Good to know. Lisbon is lovely in March."},
)
_ASKED = Said(
    user="ada",
    thread="ada-dinner",
    event=2,
    text="What am I allergic to? We are choosing a place for dinner.",
)
_FOUND = Said(
    user="bob",
    thread="bob-report",
    event=3,
    step="retrieval",
    text="Find the sales figures of the third quarter.",
    script={"text": "Four tables match: revenue, units, returns, regions."},
)
_FAILED = Said(
    user="bob",
    thread="bob-report",
    event=3,
    step="synthesis",
    text="Now write the summary.",
    script={
        "status": 503,
        "error": {
            "message": "The engine is overloaded: 212 requests wait before this one.",
            "code": "overloaded",
        },
    },
)


class Made(msgspec.Struct, frozen=True):
    """A call that was made, and what its answer said."""

    said: Said
    event_id: str
    call_id: str
    status: int
    memory: str
    """`x-tidegate-memory-status`; empty if the gateway has no memory."""


class Demo:
    """Two users, three threads, one failure. Every step raises NoAnswer."""

    def __init__(self, gateway: Caller) -> None:
        self._gateway = gateway
        self._name = f"demo-{uuid.uuid4().hex[:6]}"

    def run(self) -> Iterator[Made]:
        """Make the calls, one after another."""
        _wait(lambda: self._memories().status != HTTPStatus.SERVICE_UNAVAILABLE)
        yield self._say(_TOLD)
        _wait(self._remembers)
        yield self._say(_ASKED)
        yield self._say(_FOUND)
        yield self._say(_FAILED)

    def recorded(self, made: list[Made]) -> dict[str, Call]:
        """Return what the ledger says of the calls, by their ids; it may be a moment behind."""
        events = dict.fromkeys(one.event_id for one in made)
        found: dict[str, Call] = {}

        def complete() -> bool:
            for event_id in events:
                reply = self._gateway.get(f"/api/events/{event_id}")
                if reply.status == 200:
                    found.update((call.call_id, call) for call in reply.read(Page).calls)
            return len(found) >= len(made)

        _wait(complete)
        return found

    def _say(self, said: Said) -> Made:
        event_id = f"{self._name}-{said.event}"
        headers = {
            "x-tidegate-user-id": said.user,
            "x-tidegate-agent-id": self._name,  # so that the memories of another run stay out of this one
            "x-tidegate-thread-id": said.thread,
            "x-tidegate-event-id": event_id,
            **({"x-tidegate-step": said.step} if said.step else {}),
        }
        body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": said.text}]}
        reply = self._gateway.post(
            "/v1/chat/completions", body | ({"sandbox": said.script} if said.script else {}), headers
        )
        if reply.status != said.script.get("status", 200):
            raise NoAnswer(reply.complaint())
        if "x-tidegate-call-id" not in reply.headers:
            raise NoAnswer(
                f"{self._gateway.url} answers, but not as a Tidegate. Name the gateway with --url."
            )
        return Made(
            said, event_id, reply.headers["x-tidegate-call-id"], reply.status, reply.headers.get(_STATUS, "")
        )

    def _remembers(self) -> bool:
        """Whether the memory has taken in what was said first; True as well where there is no memory."""
        reply = self._memories()
        return reply.status != HTTPStatus.OK or _TOLD.text.encode() in reply.body

    def _memories(self) -> Reply:
        return self._gateway.get(
            "/api/memories?" + urlencode({"user_id": _TOLD.user, "agent_id": self._name})
        )


def _wait(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not look() and time.monotonic() < deadline:
        time.sleep(_EVERY_S)


def table(made: list[Made], recorded: dict[str, Call]) -> Table:
    """Say of each call who made it and what became of it."""
    shown = Table("event", "user", "thread", "said", "status", "memory", box=None, header_style="dim")
    for name in ("tokens", "cost", "took"):
        shown.add_column(name, justify="right")
    for one in made:
        call = recorded.get(one.call_id)
        colour = "green" if one.status == 200 else "red"
        texts = (one.event_id, one.said.user, one.said.thread, one.said.text)
        numbers = ("", "", "") if call is None else _numbers(call)
        status = f"[{colour}]{one.status}[/{colour}]"
        shown.add_row(*map(escape, texts), status, escape(one.memory or "off"), *numbers)
    return shown


def _numbers(call: Call) -> tuple[str, str, str]:
    cost = "" if call.cost_nano_usd is None else dollars(call.cost_nano_usd)
    return f"{(call.input_tokens or 0) + (call.output_tokens or 0)}", cost, duration(call.total_us or 0)


def what_to_open(url: str, made: list[Made]) -> list[tuple[str, str]]:
    """Return pages to look at, and what each shows."""
    asked, failed = made[1], made[-1]
    remembered = (
        "a question, and the memory that answered it" if asked.memory == "injected" else "a question of ada's"
    )
    pages = [
        (f"/events/{quote(asked.event_id)}", remembered),
        (f"/events/{quote(failed.event_id)}", "two steps of a run; the second one failed"),
        ("/", "everything"),
    ]
    return [(url + path, what) for path, what in pages]
