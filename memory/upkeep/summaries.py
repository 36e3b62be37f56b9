"""Tells old conversations in short: one model call each, checked in code, with what was said as evidence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from memory.errors import BadAnswer
from memory.facets import names, normal
from memory.grounding import addresses, numbers, share_said, stems_of
from memory.manager import Asked, Model
from memory.polarity import is_negative
from memory.prompts import summary as prompt
from memory.records import Change, Evidence, Operation
from memory.scope import Scope
from memory.store.sql_summaries import BATCH
from memory.store.sql_upkeep import JobName, Run
from memory.store.sql_upkeep_reads import Conversation, Told
from memory.upkeep.jobs import DAY_US, Slice, Tools
from memory.verify import is_planted

logger = logging.getLogger(__name__)

LEAST_TURNS = 8
"""A shorter conversation is its own summary."""
MOST_TURNS = 60
RESTED_US = DAY_US
"""A conversation that was silent for so long is over for now."""
_LONGEST = 1200
_QUOTE = 300
_LEAST_SAID = 0.5
"""Share of a summary's words that stand in what was said."""
_OURS = " user "


class Applying(Protocol):
    """What carries operations out: an `Engine`."""

    def apply(
        self, scope: Scope, operations: Sequence[Operation], batch_id: str, *, actor: str = ""
    ) -> Sequence[Change]:
        """Carry out verified operations; the same ones again change nothing."""
        ...


class _Answer(msgspec.Struct, frozen=True):
    text: str
    evidence: list[int]


_answers = msgspec.json.Decoder(_Answer)


class Summaries:
    """Finds conversations that are over and not told yet; `found` and `keep` may block, `ask` waits for a model."""

    name: JobName = "summaries"
    rows = 64

    def __init__(
        self, tools: Tools, engine: Applying, model: Model, *, redact: Callable[[str], str] = str
    ) -> None:
        self._tools = tools
        self._engine = engine
        self._model = model
        self._redact = redact

    def found(self, place: str, rows: int) -> tuple[Slice, Conversation | None]:
        """Return how far it looked, and the first conversation there that is to be told."""
        reads = self._tools.reads
        behind = int(place or 0)
        upto, seen = reads.place_behind(behind, rows)
        for seq, scope_id, thread_id in reads.threads(behind, rows):
            about = reads.conversation(scope_id, thread_id, MOST_TURNS)
            if self._is_due(about):
                return Slice(str(seq), max(1, seq - behind)), about
        return Slice(str(upto), seen), None

    async def ask(self, run: Run, about: Conversation) -> Operation | None:
        """Return what the model makes of it; None if nothing. Raises ModelAway, BadAnswer."""
        said = [
            {"n": number, "at": _moment(turn), "text": self._redact(turn.text)}
            for number, turn in enumerate(about.turns, 1)
        ]
        answer = await self._model.ask(
            Asked(
                purpose="memory.summarise",
                scope=about.scope,
                thread_id=about.thread_id,
                event_id="",
                job_id=run.id,
                messages=[
                    {"role": "system", "content": prompt.SYSTEM},
                    {"role": "user", "content": msgspec.json.encode({"said": said}).decode()},
                ],
                schema=prompt.SCHEMA,
            )
        )
        return checked(answer, about, self._redact)

    def keep(self, run: Run, about: Conversation, operation: Operation | None) -> bool:
        """Store the summary, and that there is one; said twice it is stored once."""
        upto = about.turns[-1].seq
        batch = batch_of(run, about)
        if operation is not None:
            told = msgspec.structs.replace(operation, target=batch)
            self._engine.apply(about.scope, [told], batch, actor="upkeep")
        store, now_us = self._tools.store, self._tools.clock.now_us()
        store.summarised(run, about.scope_id, about.thread_id, upto, batch, now_us)
        return not store.told_of_the_deleted(about, now_us) and operation is not None

    def is_kept(self, run: Run, about: Conversation) -> bool:
        """Say whether a process that was killed has stored the summary already."""
        return self._tools.store.applied(batch_of(run, about))

    def _is_due(self, about: Conversation) -> bool:
        rested = self._tools.clock.now_us() - RESTED_US
        return len(about.turns) >= LEAST_TURNS and about.turns[-1].occurred_us <= rested


def batch_of(run: Run, about: Conversation) -> str:
    """Name the telling of these turns: told again in a later pass, word for word, it is another memory."""
    return f"{BATCH}{about.scope_id}:{about.turns[-1].seq}:{run.number}"


def checked(answer: str, about: Conversation, redact: Callable[[str], str]) -> Operation | None:
    """Return the answer as an operation, if all of it rests on what was said; None if it is empty. Raises BadAnswer."""
    try:
        told = _answers.decode(answer.strip().removeprefix("```json").strip("`\n "))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadAnswer("the summary is not as its schema says") from error
    text = " ".join(redact(told.text).split())
    if not text:
        return None
    cited = sorted(set(told.evidence))
    if not cited or cited[0] < 1 or cited[-1] > len(about.turns) or len(text) > _LONGEST:
        raise BadAnswer("the summary names nothing it could rest on, or is too long")
    turns = [about.turns[number - 1] for number in cited]
    _grounded(text, "\n".join(turn.text for turn in turns))
    return Operation(
        op="ADD",
        evidence=tuple(
            Evidence(
                call_id=turn.call_id,
                message_index=turn.message_index,
                quote=turn.text[:_QUOTE],
                thread_id=about.thread_id,
            )
            for turn in turns
        ),
        occurred_at_us=about.turns[-1].occurred_us,
        text=text,
        kind="event",
        trust="assistant",
        quarantined=is_planted(text, "user"),
    )


def _grounded(text: str, said: str) -> None:
    ground = f" {normal(said)}{_OURS}"
    if (
        numbers(text) - numbers(said)
        or addresses(text) - addresses(said)
        or any(f" {name} " not in ground for name in names(text))
        or (is_negative(text) and not is_negative(said))
        or share_said(text, stems_of([said])) < _LEAST_SAID
    ):
        raise BadAnswer("the summary says what nobody said")


def _moment(turn: Told) -> str:
    return datetime.fromtimestamp(turn.occurred_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
