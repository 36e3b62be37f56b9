"""A memory with its upkeep, over a real ledger: its clock is set, and its embedder passes over words that say little."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from typing_extensions import override

from memory.embed import HashedWords
from memory.engine import Engine
from memory.errors import EmbedderAway
from memory.given import Statement
from memory.manager import Asked
from memory.records import Evidence, Operation, Said, Vector
from memory.scope import Scope
from memory.store.sqlite import SqlLedger
from memory.upkeep.jobs import Contradictions, Decay, Merge, Tools
from memory.upkeep.opening import upkeep_of
from memory.upkeep.runner import Rests, Upkeep
from tests.fakes.memory_parts import ALICE, KEY, SetClock
from tests.fakes.memory_store import IndexInMemory, PassingLedger, shelf_of

_LITTLE = frozenset(("really", "so", "very", "just", "certainly"))


class Gist(HashedWords):
    """Hashed words without those that say little; `away` makes it fail."""

    def __init__(self) -> None:
        self.away = False

    @override
    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text."""
        if self.away:
            raise EmbedderAway("told to be away")
        return super().embed(
            [" ".join(word for word in text.split() if word not in _LITTLE) for text in texts]
        )


class Teller:
    """A model that answers what it was told to."""

    name = "m"
    vision = ""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []

    async def ask(self, asked: Asked) -> str:
        """Return the next answer."""
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Tidied:
    """All of it."""

    def __init__(self, ledger: SqlLedger | None = None, clock: SetClock | None = None) -> None:
        self.clock = clock or SetClock()
        self.ledger = ledger or PassingLedger(self.clock)
        self.embedder = Gist()
        shelf = shelf_of(self.ledger, IndexInMemory(), self.embedder, self.clock)
        self.engine = Engine(self.ledger, shelf, key=KEY, clock=self.clock)
        self.engine._indexer.settle()  # the index in memory is lost whenever a ledger is opened again
        self.store = self.ledger.upkeep
        self.tools = Tools(self.store, self.store.reads, self.clock, self.engine.fingerprint)
        self.merge = Merge(self.tools)
        self.contradictions = Contradictions(self.tools)
        self.decay = Decay(self.tools)

    def add(self, *texts: str, scope: Scope = ALICE, **given: Any) -> list[str]:
        """Store texts word for word, as facts; return their ids."""
        stored = self.engine.add(scope, [Statement(text, kind="fact") for text in texts], **given)
        return [one for one, _, _ in stored]

    def claim(
        self, text: str, *triple: str, at_us: int = 5, scope: Scope = ALICE, message: int = 0, **more: Any
    ) -> str:
        """Apply one operation while the embedder is away; return the id of the memory it made or met."""
        subject, predicate, thing = triple or ("", "", "")
        operation = Operation(
            op=more.pop("op", "ADD"),
            evidence=(Evidence(call_id=f"c{message}", message_index=message, quote=text, thread_id="t"),),
            occurred_at_us=at_us,
            text=text,
            subject=subject,
            predicate=predicate,
            object=thing,
            **more,
        )
        self.embedder.away = True
        changes = self.engine.apply(scope, [operation], f"b{message}")
        self.embedder.away = False
        self.index()
        return changes[0].memory_id

    def say(self, *texts: str, thread: str = "talk", scope: Scope = ALICE) -> None:
        """Capture a conversation's turns."""
        messages = [{"role": "user", "content": text} for text in texts]
        self.engine.capture(
            [
                Said(
                    call_id=f"of {thread}",
                    scope=scope,
                    occurred_at_us=self.clock.us,
                    messages=messages,
                    thread_id=thread,
                )
            ]
        )
        self.index()

    def index(self) -> None:
        """Index what waits."""
        with self.ledger._connections.write() as connection:
            waiting = [row["memory_id"] for row in connection.execute("SELECT memory_id FROM outbox")]
        if waiting:
            self.engine._indexer.index_now(waiting)

    def go(self, job: Merge | Contradictions | Decay, *, rows: int = 0) -> str:
        """Make one whole pass; return its id."""
        self.index()
        run = self.store.next_run(job.name, self.clock.us, every_us=0)
        assert run is not None
        place = run.place
        while (found := job.slice(run, place, rows or job.rows)).seen:
            place = found.place
        self.store.move(run, place, 0, self.clock.us, done=True)
        self.index()
        return run.id

    def upkeep(self, model: Teller | None = None, **more: Any) -> Upkeep:
        """Return the whole upkeep, without rests."""
        return upkeep_of(
            self.engine,
            self.store,
            model,
            clock=self.clock,
            executor=ThreadPoolExecutor(1),
            rests=Rests(0, 0, 0),
            **more,
        )

    def texts(self, scope: Scope = ALICE) -> set[str]:
        """Return what holds now."""
        return {memory.text for memory in self.ledger.page(scope, limit=1000)}

    def view(self) -> dict[str, tuple[Any, ...]]:
        """Return all that anybody can see of the memories, histories and indexing left out."""
        columns = (
            "id, scope_id, text, kind, trust, actor, metadata, subject, predicate, object, negative, occurred_us,"
            " valid_from_us, valid_to_us, expires_us, confidence, sensitivity, quarantined, proof_count,"
            " superseded_by, hidden, deleted, weight"
        )
        rows = self.ledger._connections.read().execute(f"SELECT {columns} FROM memories").fetchall()
        evidence = self.ledger._connections.read().execute(
            "SELECT memory_id, call_id, message_index, quote FROM evidence ORDER BY 1, 2, 3, 4"
        )
        proofs: dict[str, list[tuple[Any, ...]]] = {}
        for row in evidence:
            proofs.setdefault(row["memory_id"], []).append(tuple(row))
        return {row["id"]: (*row, tuple(proofs.get(row["id"], ()))) for row in rows}
