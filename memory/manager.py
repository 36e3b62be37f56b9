"""Asks a model what of a conversation is to be remembered, and believes nothing that cannot be checked.

One call with a strict schema; if the check refuses something, one more for what was refused; then the words
themselves, unless they are a memory already. What comes out are verified operations, ready to be applied.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import msgspec

from memory.errors import BadAnswer
from memory.jobs import JobTurn, Leased, Made
from memory.prompts import facts, picture, procedure
from memory.records import Evidence, Line, Operation
from memory.scope import Scope
from memory.verify import MOST_OPERATIONS, Known, Proposed, Refused, Said, Verifier, is_planted, verbatim

logger = logging.getLogger(__name__)

Purpose = Literal["memory.extract", "memory.repair", "memory.summarise", "memory.caption"]
MOST_KNOWN = 20
_LONGEST_SUMMARY = 6000
_LONGEST_CAPTION = 1000
_QUOTE = 300
"""Characters of what a summary or a caption goes back to that are kept as its evidence."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One question to a model, and on whose behalf it is asked."""

    purpose: Purpose
    scope: Scope
    thread_id: str
    event_id: str
    job_id: str
    messages: Sequence[dict[str, Any]]
    """As of a chat completion."""
    schema: dict[str, Any] | None = None
    """What the answer has to be; None: plain text."""


class Model(Protocol):
    """Whoever answers: in a house, the house itself."""

    name: str
    """Of the model that reads conversations."""
    vision: str
    """Of the one that looks at pictures; empty: none does."""

    async def ask(self, asked: Asked) -> str:
        """Return the answer's text. Raises ModelAway, BadAnswer."""
        ...


class _Answer(msgspec.Struct, frozen=True):
    ops: list[Proposed]


_answers = msgspec.json.Decoder(_Answer)


class Manager:
    """`instructions`: the house's own wishes, said to the model after ours. `redact` takes secrets out of texts."""

    def __init__(self, model: Model, *, instructions: str = "", redact: Callable[[str], str] = str) -> None:
        self._model = model
        self._redact = redact
        wishes = f"\n\nOf this installation, where it does not contradict the above:\n{instructions.strip()}"
        self._system = facts.SYSTEM + (wishes if instructions.strip() else "")
        self.version = msgspec.json.encode([model.name, self._system, facts.SCHEMA])
        """What the answer depends on besides the conversation."""

    async def read(self, job: Leased, known: Sequence[Known]) -> Made:
        """Return what of the job's messages is to be remembered. Raises ModelAway, BadAnswer."""
        if job.task == "procedure":
            return Made(operations=[await self._summary(job)])
        messages = [_said(job, turn) for turn in job.turns]
        context = context_of(job.turns)
        aliases = dict(enumerate(known[:MOST_KNOWN], 1))
        verifier = Verifier(messages, [line.text for line in context], aliases, redact=self._redact)
        question = _question(job, context, aliases)
        answer = await self._ask(job, "memory.extract", [question])
        proposed = self._decoded(answer)
        made, refused = await asyncio.to_thread(_sifted, verifier, proposed)
        grounded = len(made)
        if refused:
            again = await self._repaired(job, question, refused)
            if again is not None:
                fixed, refused = await asyncio.to_thread(_sifted, verifier, again)
                made += fixed
        operations = _distinct([*made, *_verbatim(refused, messages)])
        return Made(operations=operations, proposed=len(proposed), grounded=grounded)

    async def look(self, job: Leased) -> list[Operation]:
        """Return the captions of the job's pictures; none without a model for them. Raises ModelAway, BadAnswer."""
        return [await self._caption(job, turn) for turn in job.pictures if self._model.vision]

    async def _caption(self, job: Leased, turn: JobTurn) -> Operation:
        shown = [{"type": "image_url", "image_url": {"url": turn.text}}]
        messages = [_message("system", picture.SYSTEM), {"role": "user", "content": shown}]
        text = await self._model.ask(_asked(job, "memory.caption", messages, event_id=turn.event_id))
        caption = " ".join(self._plain(text, _LONGEST_CAPTION).split())
        evidence = Evidence(
            call_id=turn.call_id,
            message_index=turn.message_index,
            quote=f"sha256:{hashlib.sha256(turn.text.encode()).hexdigest()}",
            thread_id=job.thread_id,
        )
        return Operation(
            op="ADD",
            evidence=(evidence,),
            occurred_at_us=turn.occurred_at_us,
            text=caption,
            kind="episode",
            trust="document",
            quarantined=is_planted(caption, "document"),
        )

    async def _summary(self, job: Leased) -> Operation:
        lines = [{"role": turn.role, "text": self._redact(turn.text)} for turn in job.turns]
        asked = {"messages": lines, "wishes": job.instructions}
        messages = [_message("system", procedure.SYSTEM), _message("user", asked)]
        text = await self._model.ask(_asked(job, "memory.summarise", messages))
        first = job.turns[0]
        evidence = Evidence(
            call_id=first.call_id,
            message_index=first.message_index,
            quote=first.text[:_QUOTE],
            thread_id=job.thread_id,
        )
        plain = self._plain(text, _LONGEST_SUMMARY)
        return Operation(
            op="ADD",
            evidence=(evidence,),
            occurred_at_us=max(turn.occurred_at_us for turn in job.turns),
            text=plain,
            kind="procedure",
            trust="assistant",
            quarantined=is_planted(plain, "user"),
        )

    def _plain(self, text: str, longest: int) -> str:
        said = self._redact(text.strip())
        if not said:
            raise BadAnswer("the model answered nothing")
        return said[:longest]

    async def _repaired(
        self, job: Leased, question: dict[str, Any], refused: Sequence[tuple[Proposed, Refused]]
    ) -> list[Proposed] | None:
        """Return what the model makes of our objections; None if it makes no sense of them."""
        answered = {"ops": [_plain_of(proposed) for proposed, _ in refused]}
        reasons = [{"op": place, "reasons": error.reasons} for place, (_, error) in enumerate(refused)]
        dialogue = [
            question,
            _message("assistant", answered),
            _message("user", {"note": facts.REPAIR, "refused": reasons}),
        ]
        try:
            return self._decoded(await self._ask(job, "memory.repair", dialogue))
        except BadAnswer:
            logger.warning("memory_repair_unreadable", extra={"job": job.id})
            return None

    async def _ask(self, job: Leased, purpose: Purpose, dialogue: Sequence[dict[str, Any]]) -> str:
        messages = [_message("system", self._system), *dialogue]
        return await self._model.ask(_asked(job, purpose, messages, schema=facts.SCHEMA))

    def _decoded(self, answer: str) -> list[Proposed]:
        try:
            ops = _answers.decode(answer.strip().removeprefix("```json").strip("`\n "))
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise BadAnswer(f"the model's answer is not as its schema says: {error}") from error
        return ops.ops[:MOST_OPERATIONS]


def context_of(turns: Sequence[JobTurn]) -> list[Line]:
    """Return what was said around the turns, each message once."""
    lines: list[Line] = []
    for place, turn in enumerate(turns):
        before = list(turn.before)
        if place:  # what stands before the last user turn was there when that was read
            users = [index for index, line in enumerate(before) if line.role == "user"]
            before = before[users[-1] + 1 :] if users else before
        lines += before
    return lines


def _question(job: Leased, context: Sequence[Line], aliases: dict[int, Known]) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "memories": [{"id": alias, "text": known.text} for alias, known in aliases.items()],
        "context": [{"role": line.role, "text": line.text} for line in context],
        "messages": [
            {"m": number, "role": turn.role, "at": _moment(turn.occurred_at_us), "text": turn.text}
            for number, turn in enumerate(job.turns, 1)
        ],
    }
    if job.instructions:
        asked["wishes"] = job.instructions
    return _message("user", asked)


def _sifted(
    verifier: Verifier, proposed: Sequence[Proposed]
) -> tuple[list[Operation], list[tuple[Proposed, Refused]]]:
    made: list[Operation] = []
    refused: list[tuple[Proposed, Refused]] = []
    for one in proposed:
        try:
            made.append(verifier.check(one))
        except Refused as error:
            refused.append((one, error))
    return made, refused


def _verbatim(refused: Sequence[tuple[Proposed, Refused]], messages: Sequence[Said]) -> list[Operation]:
    """Return the quoted words of what was refused, where nothing holds them yet."""
    by_place = {(said.call_id, said.message_index): said for said in messages}
    found = []
    for _, error in refused:
        for evidence in error.evidence[:1]:
            said = by_place[evidence.call_id, evidence.message_index]
            if not said.verbatim and said.role == "user":
                found.append(verbatim(evidence, said))
    return found


def _distinct(operations: Sequence[Operation]) -> list[Operation]:
    return list({(one.op, one.target, one.text, one.evidence[0]): one for one in operations}.values())


def _said(job: Leased, turn: JobTurn) -> Said:
    return Said(
        call_id=turn.call_id,
        message_index=turn.message_index,
        role=turn.role,
        text=turn.text,
        occurred_at_us=turn.occurred_at_us,
        thread_id=job.thread_id,
        verbatim=bool(turn.memory_id),
    )


def _asked(
    job: Leased,
    purpose: Purpose,
    messages: Sequence[dict[str, Any]],
    *,
    schema: dict[str, Any] | None = None,
    event_id: str = "",
) -> Asked:
    return Asked(
        purpose=purpose,
        scope=job.scope,
        thread_id=job.thread_id,
        event_id=event_id or next((turn.event_id for turn in reversed(job.turns) if turn.event_id), ""),
        job_id=job.id,
        messages=messages,
        schema=schema,
    )


def _message(role: str, content: str | dict[str, Any]) -> dict[str, Any]:
    """Return a message; values travel as JSON, so that no text in them can end where it stands."""
    words = content if isinstance(content, str) else msgspec.json.encode(content).decode()
    return {"role": role, "content": words}


def _plain_of(proposed: Proposed) -> Any:  # noqa: ANN401 - JSON
    return msgspec.to_builtins(proposed)


def _moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC, %A")
