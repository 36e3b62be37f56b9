"""Tenants that do anything at all to one memory, through every door, under a watch.

Each tenant writes its own secret into all it says, and asks for everybody's canaries. A secret in an answer to a
scope that does not see it, a foreign id that opens something, or a row of a foreign scope that changes is a
`Crossing`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self, cast
from urllib.parse import quote, urlencode

import msgspec

from gateway.asgi import Client, Headers
from gateway.clock import SystemClock
from gateway.exchange import Exchange, Identity
from gateway.link import LinkClient, Read
from gateway.principal import Principal
from gateway.processes.memories import Memories
from gateway.recollection import RECALL, Question, Used
from gateway.settings import Memory
from gateway.stages.memory import MemoryStage
from memory.embed import HashedWords
from memory.errors import MemoryFault
from memory.manager import Asked, Manager
from memory.proposals import Proposals
from memory.records import Entity, Evidence, Operation
from memory.scope import Scope, sees
from memory.service import AsyncMemory
from telemetry.records import Payload
from tests.fakes.formats import WIRES
from tests.fakes.hostile import FILTERS, IDS
from tests.fakes.memory_reading import ScriptedModel, op, ops
from tests.fakes.watch import TENANTS, Crossing, Watch

_WORDS = ("tea", "dog", "boat", "Lisbon", "Rex")


class Reply(NamedTuple):
    """What the memory API said."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Return the answer."""
        return msgspec.json.decode(self.body)


class _Caller:
    """As much of a client as the stage looks at."""

    def __init__(self) -> None:
        self.extra: Headers = []
        self.gone = False


class _Line:
    """The line between worker and hub, as bytes go over it."""

    def __init__(self, memories: Memories) -> None:
        self._memories = memories
        self.confirming: list[Callable[[], Awaitable[int]]] = []

    async def call(self, method: str, params: Question, *, timeout_s: float, read: Read[object]) -> object:
        assert method == RECALL
        asked = msgspec.msgpack.decode(msgspec.msgpack.encode(params), type=Question)
        found = await asyncio.wait_for(self._memories.recall(asked), timeout_s)
        return read(msgspec.msgpack.encode(("", found)))[1]

    def notify(self, _method: str, params: Used) -> None:
        self.confirming.append(partial(self._memories.confirm, params))


class Watched:
    """A whole memory in this process, and its watch. `ran` counts the operations."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._chance = random.Random(seed)
        self._stack = AsyncExitStack()
        self._calls = 0
        self._written = 0
        self._histories: dict[tuple[int, str, str], list[str]] = {}
        self.ran = 0

    async def __aenter__(self) -> Self:
        model = ScriptedModel(self._read)
        self.memory = await AsyncMemory.open(self._folder, lambda _: HashedWords())
        self._stack.push_async_callback(self.memory.close)
        proposals = await Proposals.open(self._folder, self.memory)
        self._stack.push_async_callback(proposals.close)
        self.extraction = self.memory.extraction(Manager(model))
        self._upkeep = self.memory.upkeep(model)
        self.memories = Memories(self.memory, proposals, self.extraction, self._upkeep)
        self.watch = Watch(self._folder / "memory.sqlite3")
        self._stack.callback(self.watch.close)
        self._line = _Line(self.memories)
        self._stage = MemoryStage(cast("LinkClient", self._line), Memory(deadline_ms=20_000), SystemClock())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def run(self, operations: int) -> None:
        """Do so many, some of them at the same time; raise Crossing."""
        while self.ran < operations:
            before = self.watch.state()
            readers = [self._pick() for _ in range(self._chance.choice((1, 1, 1, 2, 4, 8)))]
            turn = self._chance.random()
            if turn < 0.01:
                readers = [*TENANTS]
                await self._upkeep.once()
            elif turn < 0.02:  # alone: a scope that is made and erased meanwhile would have no name here
                readers = readers[:1]
                await self._erase(*readers)
            elif turn < 0.1:
                readers = self.watch.owed()
                await self.extraction.step()
            else:
                acts = (self._act(scope) for scope in readers)
                for raised in await asyncio.gather(*acts, return_exceptions=True):
                    if raised is not None:
                        raise raised
            confirming, self._line.confirming = self._line.confirming, []
            await asyncio.gather(*(confirm() for confirm in confirming))
            self.watch.unchanged(before, readers)
            self.ran += 1 if turn < 0.1 else len(readers)

    # what tenants do

    def _pick(self) -> Scope:
        return self._chance.choice(TENANTS)

    async def _act(self, scope: Scope) -> None:
        acts: dict[Callable[[Scope], Awaitable[None]], int] = {
            self._add: 14,
            self._capture: 8,
            self._chat: 18,
            self._apply: 8,
            self._look: 22,
            self._in_python: 8,
            self._touch: 16,
            self._index: 4,
            self._break_out: 8,
        }
        (act,) = self._chance.choices([*acts], [*acts.values()])
        await act(scope)

    async def _add(self, scope: Scope) -> None:
        said = self._say(scope)
        body = {
            **self._named(scope),
            **self._chance.choice(
                (
                    {"text": said},
                    {"messages": [{"role": "user", "content": said, "name": "Ann"}]},
                    {"messages": said, "infer": True},
                )
            ),
            "metadata": {"about": self._chance.choice(_WORDS), "own": f"secret{TENANTS.index(scope)}x"},
        }
        reply = await self.ask(scope, "POST", "/api/memories", body)
        assert reply.status == 200, reply.body
        told = reply.json()
        self.watch.note(scope, "memory", *(one["id"] for one in told["results"]))
        if told.get("event_id"):
            self.watch.note(scope, "job", told["event_id"])

    async def _capture(self, scope: Scope) -> None:
        if scope.run:  # a call names no run
            return
        said = [self._say(scope) for _ in range(self._chance.randint(1, 3))]
        self._calls += 1
        payload = Payload(
            call_id=f"c-{self._calls}",
            project=scope.project,
            environment=scope.environment,
            started_at_us=1_790_000_000_000_000 + self._calls,
            surface="openai.chat",
            body=msgspec.json.encode({"messages": [{"role": "user", "content": one} for one in said]}),
            remember=True,
            user_id=scope.user,
            agent_id=scope.agent,
            thread_id=self._chance.choice(("", "t")),
        )
        captured = await self.memories.capture(msgspec.msgpack.encode([payload]))
        self.watch.note(scope, "memory", *captured.added)

    async def _chat(self, scope: Scope) -> None:
        if scope.run:  # a call names no run
            return
        wire, body_of = self._chance.choice(WIRES)
        thread = self._chance.choice(("", "t"))
        said = self._histories.setdefault((TENANTS.index(scope), thread, wire.surface), [])
        del said[: self._chance.choice((0, 0, 0, len(said)))]
        said.append(self._question(scope))
        self._calls += 1
        call_id = f"c-{self._calls}"
        body = msgspec.json.encode(body_of(said))
        call = Exchange(
            call_id=call_id,
            wire=wire,
            headers={},
            body=body,
            client=cast("Client", _Caller()),
            started_at_us=1,
            started_ns=1,
            principal=Principal(key_id="k", project=scope.project),
            identity=Identity(
                event_id="e",
                user_id=scope.user,
                agent_id=scope.agent,
                thread_id=thread,
                environment=scope.environment,
            ),
        )
        call.peek = wire.peek(body, model="m")
        if self._stage.concerns(call):
            await self._stage.recall(call)
        assert not call.memory.status.startswith(("error", "timeout")), call.memory
        self.watch.told(scope, call.enriched or b"")
        self.watch.named(scope, call.memory.ids)
        self._stage.confirm(call)
        self.watch.note(scope, "call", call_id)

    async def _apply(self, scope: Scope) -> None:
        """As a model would that had heard of everybody's memories."""
        said = self._say(scope)
        self._calls += 1
        evidence = Evidence(call_id=f"c-{self._calls}", message_index=0, quote=said, thread_id="t")
        made = Operation(
            op=self._chance.choice(("ADD", "ADD", "UPDATE", "SUPERSEDE", "DELETE", "NONE")),
            target=self.watch.any("memory", self._chance),
            evidence=(evidence,),
            occurred_at_us=1_790_000_000_000_000 + self._calls,
            text=said,
            subject="Rex",
            predicate=self._chance.choice(("lives in", "likes")),
            object=self._chance.choice(("Lisbon", "tea")) + f" secret{TENANTS.index(scope)}x",
            entities=(Entity("Rex", "dog"),),
        )
        changes = await asyncio.to_thread(self.memory._engine.apply, scope, [made], f"b-{self._calls}")
        for change in changes:
            self.watch.named(scope, [change.memory_id])
            self.watch.told(scope, change.text.encode() + change.old_text.encode())
            self.watch.note(scope, "memory", change.memory_id)

    async def _look(self, scope: Scope) -> None:
        ids = self._named(scope)
        query = urlencode(ids)
        method, target, body = self._chance.choice(
            (
                ("GET", f"?{query}&limit=1000", None),
                ("GET", f"?{query}&limit=1000&superseded=true", None),
                ("POST", "/list", {**ids, "filters": {"metadata": {"about": "tea"}}, "top_k": 1000}),
                ("POST", "/list", {"filters": {"AND": [*({name: value} for name, value in ids.items())]}}),
                ("POST", "/search", {**ids, "query": self._question(scope), "top_k": 1000, "threshold": 0}),
                ("GET", f"/graph?{query}&superseded=true", None),
                ("GET", f"/jobs?{query}&limit=1000", None),
            )
        )
        reply = await self.ask(scope, method, f"/api/memories{target}", body)
        assert reply.status == 200, reply.body
        for one in reply.json().get("results", ()):
            self.watch.named(scope, [one["id"]])

    async def _in_python(self, scope: Scope) -> None:
        memory = self.memory.within(scope.project, scope.environment)
        ids: dict[str, Any] = {**self._named(scope)}
        one, call = self.watch.any("memory", self._chance), self.watch.any("call", self._chance)
        told = await self._chance.choice(
            (
                lambda: memory.search(self._question(scope), **ids, top_k=1000, threshold=0.0),
                lambda: memory.get_all(**ids, top_k=1000, superseded=True),
                lambda: memory.get(one, **ids),
                lambda: memory.history(one, **ids),
                lambda: memory.uses(one, **ids),
                lambda: memory.explain(call, **ids),
                lambda: memory.graph(**ids),
                lambda: memory.jobs(**ids, job_id=self.watch.any("job", self._chance)),
                lambda: memory.recall(scope, self._question(scope), budget=100_000),
            )
        )()
        self.watch.told(scope, msgspec.json.encode(told))

    async def _touch(self, scope: Scope) -> None:
        """Use an id, of whomever it is."""
        kind = self._chance.choice(("memory", "memory", "memory", "job", "call"))
        one = self.watch.any(kind, self._chance)
        owner = self.watch.owner(one) or scope
        said = self._say(owner if sees(scope, owner) else scope)
        named = quote(one, safe="")
        query = urlencode(self._named(scope))
        paths: Mapping[str, Sequence[tuple[str, str, Any]]] = {
            "memory": (
                ("GET", f"/{named}?{query}", None),
                ("GET", f"/?id={named}&{query}", None),
                ("GET", f"/{named}/history?{query}", None),
                ("GET", f"/{named}/uses?{query}", None),
                ("PUT", f"/{named}?{query}", {"text": said}),
                ("PUT", f"/{named}?{query}", {"metadata": {"user_id": "bob"}}),
                ("DELETE", f"/{named}?{query}", None),
            ),
            "job": (("GET", f"/jobs/{named}?{query}", None),),
            "call": (("GET", f"/explain?call_id={named}&{query}", None),),
        }
        method, target, body = self._chance.choice(paths[kind])
        reply = await self.ask(scope, method, f"/api/memories{target}", body)
        assert reply.status in (200, 404), reply.body
        if kind == "call":  # a memory of one's own tells into which calls of wider scopes it went
            told = reply.json()
            for found in (*told.get("memories", ()), *told.get("left_out", ())):
                self.watch.named(scope, [found["id"]])
        elif not sees(scope, owner) and reply.status == 200:
            raise Crossing(f"{scope} opened {one} of {owner} with {method}")

    async def _index(self, scope: Scope) -> None:
        """Ask the index itself, below the ledger that would catch what it lets through."""
        index, words = self.memory._engine._shelf.answering.index, HashedWords()
        (vector,) = words.embed([self._question(scope)])
        hits = await asyncio.to_thread(index.nearest, scope, vector, 1000)
        for hit in hits:
            self.watch.named(scope, [hit.id])

    async def _break_out(self, scope: Scope) -> None:
        """Ask in nobody's name, or with filters that are to widen one's own."""
        if self._chance.random() < 0.5:
            name = self._chance.choice(("user_id", "agent_id", "run_id"))
            await self.as_nobody(scope, {name: self._chance.choice(IDS)})
        else:
            await self.with_filters(scope, self._chance.choice(FILTERS))

    async def _erase(self, scope: Scope) -> None:
        reply = await self.ask(scope, "DELETE", f"/api/memories?{urlencode(self._named(scope))}")
        assert reply.status == 200

    # how it is asked

    async def as_nobody(self, scope: Scope, ids: Mapping[str, Any]) -> list[int]:
        """Ask every route with ids that are nobody's; return the statuses."""
        legal = {name: value for name, value in ids.items() if isinstance(value, str)}
        query = urlencode(legal, errors="surrogatepass")
        one = self.watch.any("memory", self._chance)
        replies = [
            await self.ask(None, method, f"/api/memories{target}", body, project=scope)
            for method, target, body in (
                ("GET", f"?{query}", None),
                ("GET", f"/{one}?{query}", None),
                ("GET", f"/{one}/history?{query}", None),
                ("GET", f"/graph?{query}", None),
                ("GET", f"/jobs?{query}", None),
                ("DELETE", f"/{one}?{query}", None),
                ("DELETE", f"?{query}", None),
                ("POST", "/search", {**ids, "query": self._question(scope), "threshold": 0}),
                ("POST", "/list", {"filters": ids}),
                ("PUT", f"/{one}", {**ids, "text": "taken over"}),
            )
        ]
        memory = self.memory.within(scope.project, scope.environment)
        for call in (memory.get_all, memory.delete_all, memory.graph, memory.jobs):
            try:
                self.watch.told(None, msgspec.json.encode(await call(**ids)))
            except MemoryFault:
                continue
        return [reply.status for reply in replies]

    async def with_filters(self, scope: Scope, filters: object) -> list[int]:
        """Ask with filters beside one's own ids; return the statuses."""
        asked = {**self._named(scope), "filters": filters}
        return [
            (await self.ask(scope, "POST", f"/api/memories{path}", {**asked, **more})).status
            for path, more in (("/list", {}), ("/search", {"query": self._question(scope), "threshold": 0}))
        ]

    async def ask(
        self,
        reader: Scope | None,
        method: str,
        target: str,
        body: object = None,
        *,
        project: Scope | None = None,
    ) -> Reply:
        """Ask the memory API, and watch the answer. `reader` None: nobody, in the project of `project`."""
        key = reader or project
        assert key is not None
        path, _, query = target.partition("?")
        who = {"project": key.project, "environment": key.environment, "key_id": "k", "open": False}
        request = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"x-tidegate-principal", msgspec.json.encode(who))],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"" if body is None else msgspec.json.encode(body)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.memories.api(request, receive, send)
        reply = Reply(sent[0]["status"], sent[1]["body"])
        self.watch.told(reader, reply.body)
        return reply

    def _named(self, scope: Scope) -> dict[str, str]:
        ids = {"user_id": scope.user, "agent_id": scope.agent, "run_id": scope.run}
        return {name: value for name, value in ids.items() if value}

    def _say(self, scope: Scope) -> str:
        self._written += 1
        number = TENANTS.index(scope)
        word = self._chance.choice(_WORDS)
        return f"I keep a {word} number {self._written} for canary{number} secret{number}x"

    def _question(self, scope: Scope) -> str:
        """Ask for a canary by name: for one's own, or anybody's."""
        asked = self._chance.choice((scope, self._pick()))
        number = TENANTS.index(asked)
        return f"What of canary{number} and the {self._chance.choice(_WORDS)} of Rex {self._chance.random()}?"

    def _read(self, asked: Asked) -> dict[str, Any]:
        """Make facts of a conversation; it must be one scope's."""
        question = asked.messages[1]["content"]
        self.watch.told(asked.scope, question.encode())
        found = msgspec.json.decode(question)["messages"]
        return ops(
            *(
                op(
                    one["text"],
                    one["text"],
                    m=one["m"],
                    op=self._chance.choice(("ADD", "UPDATE", "SUPERSEDE")),
                    target=self._chance.randint(0, 3),
                )
                for one in found
            )
        )
