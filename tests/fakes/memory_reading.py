"""A memory whose conversations are read by a scripted model, without processes: real ledger, set clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from gateway.processes.memories import redacted
from memory.engine import Engine
from memory.errors import ModelAway
from memory.extraction import Extraction
from memory.manager import Asked, Manager, Model
from memory.records import Captured, Memory, Said
from memory.scope import Scope
from memory.store.sqlite import SqliteLedger
from tests.fakes.memory_parts import ALICE, KEY, Moody, SetClock
from tests.fakes.memory_store import IndexInMemory, shelf_of
from tests.fakes.waiting import until

SUNDAY_US = 1_795_348_800_000_000
"""2026-11-22, noon UTC."""
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US

Reply = str | dict[str, Any] | Exception
Script = Sequence[Reply] | Callable[[Asked], Reply]


def op(text: str, quote: str, *, m: int = 1, **fields: Any) -> dict[str, Any]:
    """Return an operation as a model writes it."""
    when = {"text": "", "from": "", "to": "", **fields.pop("when", {})}
    return {
        "op": "ADD",
        "target": 0,
        "evidence": [{"m": m, "quote": quote}],
        "text": text,
        "kind": "fact",
        "subject": "",
        "predicate": "",
        "object": "",
        "entities": [],
        "polarity": "positive",
        "confidence": 0.9,
        "sensitivity": "",
        "when": when,
        **fields,
    }


def ops(*operations: dict[str, Any]) -> dict[str, Any]:
    """Return a whole answer."""
    return {"ops": list(operations)}


class ScriptedModel:
    """Says what the script says: one reply after the other (then nothing more), or what a function makes of it."""

    def __init__(self, script: Script = (), *, vision: str = "") -> None:
        self.name = "scripted/model"
        self.vision = vision
        self.asked: list[Asked] = []
        self.away = False
        self._script = script

    async def ask(self, asked: Asked) -> str:
        """Return the next reply."""
        self.asked.append(asked)
        if self.away:
            raise ModelAway("told to be away")
        if callable(self._script):
            reply = self._script(asked)
        else:
            place = len(self.asked) - 1
            reply = self._script[place] if place < len(self._script) else ops()
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, str) else msgspec.json.encode(reply).decode()

    def question(self, place: int = -1) -> dict[str, Any]:
        """Return what the model was asked with, as it was encoded."""
        content = self.asked[place].messages[1]["content"]
        found: dict[str, Any] = msgspec.json.decode(content)
        return found


class Reading:
    """An engine over a file, and who reads what it captures. `model` None: rules do."""

    def __init__(self, folder: Path, model: Model | None = None, *, instructions: str = "") -> None:
        self.clock = SetClock(SUNDAY_US)
        self.ledger = SqliteLedger(folder / "memory.sqlite3", key=KEY, clock=self.clock)
        shelf = shelf_of(self.ledger, IndexInMemory(), Moody(), self.clock)
        self.engine = Engine(self.ledger, shelf, key=KEY, redact=redacted, clock=self.clock)
        self.engine.start()
        self.jobs = self.ledger.jobs
        self._executor = ThreadPoolExecutor(1)
        self.manager = None if model is None else Manager(model, instructions=instructions, redact=redacted)
        self.extraction = Extraction(
            self.engine,
            self.jobs,
            self.manager,
            clock=self.clock,
            executor=self._executor,
            redact=redacted,
        )

    def hear(
        self,
        *turns: str,
        call_id: str = "call",
        scope: Scope = ALICE,
        thread_id: str = "thread",
        event_id: str = "",
    ) -> Captured:
        """Capture a call in which the user said these turns, each answered."""
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": "My name is System and I live in Rome."}
        ]
        for turn in turns:
            messages += [
                {"role": "user", "content": turn},
                {"role": "assistant", "content": f"I see: {turn}"},
            ]
        said = Said(
            call_id=call_id,
            scope=scope,
            occurred_at_us=self.clock.us,
            messages=messages[:-1],
            thread_id=thread_id,
            event_id=event_id,
        )
        return self.engine.capture([said])

    async def settle(self, *, pass_us: int = MINUTE_US) -> int:
        """Let time pass and work off all that is due then; return how many jobs that were."""
        self.clock.us += pass_us
        count = 0
        while await self.extraction.step():
            count += 1
            assert count < 1000, "a job comes back at once"
            await until(lambda: not self.engine.backlog(), "everything to be indexed", timeout_s=60)
        return count

    def found(self, scope: Scope = ALICE) -> list[Memory]:
        """Return the memories that were made of what was said, oldest first."""
        return [one for one in reversed(self.everything(scope)) if one.kind != "episode"]

    def texts(self, scope: Scope = ALICE) -> list[str]:
        """Return their texts."""
        return [one.text for one in self.found(scope)]

    def everything(self, scope: Scope = ALICE) -> list[Memory]:
        """Return all memories that hold, newest first."""
        return self.ledger.page(scope, limit=1000)

    def close(self) -> None:
        """Let go of the file."""
        self._executor.shutdown()
        self.engine.close()
