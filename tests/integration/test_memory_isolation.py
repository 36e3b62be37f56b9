"""Canaries: whatever is asked in one scope, nothing of another one's comes back or changes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from memory.embed import HashedWords
from memory.given import Statement
from memory.opening import open_engine
from memory.records import Memory
from memory.scope import Scope, sees
from tests.fakes.memory_parts import said

SCOPES = [
    Scope(project=project, environment=environment, user=user, agent=agent, run=run)
    for project, environment, user, agent, run in (
        ("p", "prod", "alice", "", ""),
        ("p", "prod", "bob", "", ""),
        ("q", "prod", "alice", "", ""),
        ("p", "test", "alice", "", ""),
        ("p", "prod", "alice", "guide", ""),
        ("p", "prod", "alice", "coach", ""),
        ("p", "prod", "alice", "guide", "r1"),
        ("p", "prod", "alice", "guide", "r2"),
        ("p", "prod", "", "guide", ""),
        ("p", "prod", "", "", "r1"),
        ("p", "prod", "", "alice", ""),
    )
]
FAST = Path("/dev/shm")
"""Nothing here is about disks, and thousands of commits would wait for one."""
ANY = st.sampled_from(SCOPES)
WORDS = st.sampled_from(["tea", "dog", "boat", "tea dog"])
QUERIES = st.sampled_from(["canary tea", "canary dog boat", "canary", "canary-0 canary-1 canary-2 canary-3"])


class Isolation(RuleBasedStateMachine):
    """Any order of writes and reads over the real stores, against a list of who wrote what."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None)
        self.engine = open_engine(Path(self.folder.name), lambda _: HashedWords())
        self.owner: dict[str, Scope] = {}
        self.number = 0

    @override
    def teardown(self) -> None:
        self.engine.close()
        self.folder.cleanup()

    def canary(self, words: str) -> str:
        self.number += 1
        return f"canary canary-{self.number} {words}"

    @rule(scope=ANY, words=WORDS)
    def add(self, scope: Scope, words: str) -> None:
        ((one, _, new),) = self.engine.add(scope, [Statement(self.canary(words))])
        assert new
        self.owner[one] = scope

    @rule(scope=ANY, words=WORDS, thread=st.sampled_from(["", "t"]))
    def capture(self, scope: Scope, words: str, thread: str) -> None:
        captured = self.engine.capture([said(self.canary(words), scope=scope, thread_id=thread)])
        self.owner |= dict.fromkeys(captured.added, scope)

    @rule(scope=ANY, query=QUERIES)
    def recall(self, scope: Scope, query: str) -> None:
        found = self.engine.recall(scope, query, budget=100_000)
        assert found.status != "error"
        self.mine(scope, list(found.fates))
        texts = {self.text(one) for one in self.owner if not sees(scope, self.owner[one])}
        assert not [text for text in texts if text and text + "\n" in found.block]

    @rule(scope=ANY, query=QUERIES)
    def search(self, scope: Scope, query: str) -> None:
        found = self.engine.search(scope, query, limit=1000, threshold=-1)
        self.mine(scope, [memory.id for memory, _ in found])

    @precondition(lambda self: self.owner)
    @rule(scope=ANY, data=st.data())
    def touch(self, scope: Scope, data: Any) -> None:
        one = data.draw(st.sampled_from(list(self.owner)))  # in order of time: ids are random
        before = self.engine.ledger.get(self.owner[one], one)
        visible = sees(scope, self.owner[one])
        assert (self.engine.get(scope, one) == before) or not visible
        assert visible or self.engine.get(scope, one) is None
        assert visible or self.engine.update(scope, one, "stolen") is None
        assert visible or self.engine.ledger.history(scope, one) == []
        assert self.engine.delete(scope, one) == visible
        if visible:
            del self.owner[one]
        else:
            assert self.engine.ledger.get(self.owner[one], one) == before

    @rule(scope=ANY)
    def delete_all(self, scope: Scope) -> None:
        gone = [one for one, owner in self.owner.items() if sees(scope, owner)]
        assert self.engine.delete_all(scope) == len(gone)
        for one in gone:
            del self.owner[one]

    @invariant()
    def everybody_has_exactly_their_own(self) -> None:
        for scope in SCOPES:
            listed = sorted(one.id for one in self.engine.ledger.page(scope, limit=1000))
            assert listed == sorted(one for one, owner in self.owner.items() if sees(scope, owner))

    def mine(self, scope: Scope, ids: list[str]) -> None:
        assert [one for one in ids if not sees(scope, self.owner[one])] == []

    def text(self, one: str) -> str:
        memory: Memory | None = self.engine.ledger.get(self.owner[one], one)
        return memory.text if memory else ""


TestIsolation = Isolation.TestCase
TestIsolation.settings = settings(
    max_examples=12, stateful_step_count=25, suppress_health_check=list(HealthCheck), deadline=None
)
