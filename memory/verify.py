"""What a model says is to be remembered, held against what was said. Pure.

The model labels, code decides: an operation passes only with a quote that stands in its message, and with nothing in
its text that stands nowhere. What reads like an instruction planted by somebody is passed on in quarantine.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from memory.cues import cue_of
from memory.grounding import (
    addresses,
    is_said,
    language_of,
    locate,
    names,
    numbers,
    plain,
    script_of,
    share_said,
    stems_of,
    tokens,
)
from memory.polarity import clauses, is_negative
from memory.records import Entity, Evidence, Kind, Operation, Operator, Trust
from memory.sparse import words
from memory.when import Span, names_a_date, spans_of, words_of

MOST_OPERATIONS = 40
"""Of one answer; a model that says more is out of its mind."""
LONGEST = 500
_LEAST_SAID = 0.5
"""Share of a text's words that must stand in what it goes back to."""
_SELF = frozenset(
    {
        "",
        "user",
        "i",
        "me",
        "nutzer",
        "utilisateur",
        "usuario",
        "utente",
        "пользователь",
        "用户",
        "ユーザー",
        "사용자",
        "المستخدم",
    }
)
_SENSITIVE = frozenset(
    {"health", "finance", "minor", "belief", "sexuality", "political", "legal", "location"}
)
_ONLY_USERS = ("preference", "instruction")
_PLANTED = re.compile(
    r"(?:ignore|disregard|forget|override)\b.{0,30}\b(?:previous|prior|above|earlier|all|your|system)\b.{0,20}\b(?:instruction|prompt|rule|message|polic)"
    r"|system prompt|developer mode|jailbreak|you are now|act as (?:an?|the) |new instructions?:|</?(?:system|tool|recalled|instructions?)\b"
    r"|(?:ignorier|vergiss|missachte).{0,30}(?:anweisung|vorgaben|regeln)|(?:ignore[rz]?|oublie[rz]?).{0,30}(?:instructions|consignes)"
    r"|(?:ignora|olvida).{0,30}(?:instrucciones|istruzioni)|игнорируй.{0,30}(?:инструкц|указан)"
    r"|忽略.{0,12}(?:指令|指示|提示)|(?:指示|命令)を?無視|지시.{0,6}무시|تجاهل.{0,20}(?:التعليمات|الأوامر)"
    r"|(?:execute|run|call|invoke|send|post|upload|forward|exfiltrate)\b.{0,60}(?:https?://|curl |\btool\b|\bapi key|password|\bto \S+@)"
    r"|[A-Za-z0-9+/]{80,}={0,2}",
    re.IGNORECASE | re.DOTALL,
)
_ORDERING = re.compile(
    r"(?:^|[.!;:]\s*|that |to )(?:always|never|you must|you should|from now on|make sure|do not tell|don't tell|recommend|whenever)\b"
    r"|(?:^|\. )(?:immer|niemals|du musst|toujours|jamais|siempre|nunca|sempre|mai|всегда|никогда)\b|总是|總是|必ず|항상|دائما",
    re.IGNORECASE,
)
_HIDDEN = frozenset(("Cf", "Co", "Cn", "Cs"))
_JOINERS = "\u200c\u200d\ufeff\u00ad"
_PASTED = re.compile(
    r"(?m)^(?:>.*|\|.*\|\s*)$|```.*?(?:```|\Z)|<(document|file|article|email|context|page)\b.*?(?:</\1>|\Z)",
    re.DOTALL,
)


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A message that may be quoted."""

    call_id: str
    message_index: int
    role: str
    text: str
    occurred_at_us: int
    thread_id: str = ""
    verbatim: bool = False
    """It is a memory already, word for word."""

    def whole(self) -> Evidence:
        """Return all of it as evidence."""
        return _evidence(self, (0, len(self.text)))


class Quote(msgspec.Struct, frozen=True):
    """A model's evidence: words of message `m`."""

    m: int
    quote: str


class When(msgspec.Struct, frozen=True, rename={"since": "from"}):
    """A model's dates. Only the words count; the days are worked out here."""

    text: str = ""
    since: str = ""
    to: str = ""


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """One operation as the model wrote it."""

    op: Operator
    target: int
    evidence: list[Quote]
    text: str
    kind: Literal["fact", "preference", "event", "plan", "instruction", "procedure"]
    subject: str
    predicate: str
    object: str
    entities: list[Entity]
    when: When
    polarity: Literal["positive", "negative"]
    confidence: float
    sensitivity: str


class Known(msgspec.Struct, frozen=True):
    """A memory that an operation may be about."""

    id: str
    text: str


class Refused(Exception):
    """Why an operation may not be applied; `quotes` of it that are real may still be kept."""

    def __init__(self, reasons: Sequence[str], evidence: Sequence[Evidence] = ()) -> None:
        super().__init__(", ".join(reasons))
        self.reasons = tuple(reasons)
        self.evidence = tuple(evidence)


class Verifier:
    """Knows what was said. `messages` are numbered from 1, `known` by the model's aliases."""

    def __init__(
        self,
        messages: Sequence[Said],
        context: Sequence[str],
        known: Mapping[int, Known],
        *,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._messages = messages
        self._context = context
        self._known = known
        self._redact = redact

    def check(self, proposed: Proposed) -> Operation:
        """Return the operation as it may be applied; raise Refused with every reason."""
        found = [self._found(quote) for quote in proposed.evidence]
        quotes = [one for one in found if one is not None]
        evidence = tuple(dict.fromkeys(_evidence(said, span) for said, span in quotes))
        if not evidence or len(quotes) < len(found):
            raise Refused(["quote_not_found" if found else "no_evidence"], evidence)
        op, target = self._aim(proposed, evidence)
        operation = self._operation(proposed, op, target, quotes, evidence)
        if op in ("NONE", "DELETE"):
            return operation
        reasons = [*self._form(proposed), *self._grounds(proposed, target, evidence, operation)]
        reasons += self._polarity(proposed, quotes)
        if reasons:
            raise Refused(reasons, evidence)
        return operation

    def _found(self, quote: Quote) -> tuple[Said, tuple[int, int]] | None:
        """Return the message that holds the words, and where; models count badly, so it may be another than `m`."""
        named = self._messages[max(0, quote.m - 1) : max(0, quote.m)]
        for said in (*named, *self._messages):
            span = locate(quote.quote, said.text)
            if span is not None and any(char.isalnum() for char in said.text[slice(*span)]):
                return said, span
        return None

    def _aim(self, proposed: Proposed, evidence: Sequence[Evidence]) -> tuple[Operator, Known | None]:
        """Return what is done to which memory; an alias nobody gave makes an addition of it."""
        target = self._known.get(proposed.target)
        if proposed.op == "ADD":
            return "ADD", None
        if proposed.op in ("DELETE", "NONE") and target is None:
            raise Refused(["unknown_target"])
        if proposed.op == "DELETE":
            asked = [one for one in evidence if cue_of(one.quote).forget]
            if not asked or any(self._role(one) != "user" for one in asked):
                raise Refused(["nobody_asked_to_forget"])
        return (proposed.op, target) if target is not None else ("ADD", None)

    def _role(self, evidence: Evidence) -> str:
        return next(
            said.role
            for said in self._messages
            if (said.call_id, said.message_index) == (evidence.call_id, evidence.message_index)
        )

    def _operation(
        self,
        proposed: Proposed,
        op: Operator,
        target: Known | None,
        quotes: Sequence[tuple[Said, tuple[int, int]]],
        evidence: tuple[Evidence, ...],
    ) -> Operation:
        trust = min((_trust(said, span) for said, span in quotes), key=_RANK.index)
        text = " ".join(unicodedata.normalize("NFC", proposed.text).split())
        span = _when(proposed, quotes)
        return Operation(
            op=op,
            evidence=evidence,
            occurred_at_us=max(said.occurred_at_us for said, _ in quotes),
            target=target.id if target else "",
            text=text,
            kind=_kind(proposed, trust),
            subject=proposed.subject.strip(),
            predicate=proposed.predicate.strip(),
            object=proposed.object.strip(),
            entities=tuple(dict.fromkeys(one for one in proposed.entities if one.name.strip())),
            valid_from_us=max(0, span.start_us) if span else 0,
            valid_to_us=max(0, span.end_us) if span and proposed.kind in ("event", "plan") else 0,
            negative=proposed.polarity == "negative",
            confidence=min(1.0, max(0.0, proposed.confidence)),
            sensitivity=proposed.sensitivity if proposed.sensitivity in _SENSITIVE else "",
            trust=trust,
            quarantined=is_planted(text, trust) or any(is_planted(one.quote, trust) for one in evidence),
        )

    def _form(self, proposed: Proposed) -> list[str]:
        reasons = []
        if not any(char.isalnum() for char in proposed.text):
            reasons.append("no_text")
        if len(proposed.text) > LONGEST or any(
            len(part) > LONGEST for part in (proposed.subject, proposed.predicate, proposed.object)
        ):
            reasons.append("too_long")
        if self._redact(proposed.text) != proposed.text:
            reasons.append("secret")
        return reasons

    def _grounds(
        self, proposed: Proposed, target: Known | None, evidence: Sequence[Evidence], made: Operation
    ) -> list[str]:
        """Say what of the text stands neither in quotes nor context nor target, nor follows from its dates."""
        quoted = " \n".join(one.quote for one in evidence)
        ground = " \n".join([quoted, *self._context, target.text if target else ""])
        stems = stems_of([ground])
        said_us = made.occurred_at_us
        dates = {
            word for span in spans_of(f"{quoted} {proposed.when.text}", said_us) for word in words_of(span)
        }
        if not self._timed(proposed):
            return ["when_not_said"]
        reasons = []
        if numbers(proposed.text) - numbers(ground) - {word.lstrip("0") for word in dates}:
            reasons.append("number_not_said")
        if addresses(proposed.text) - addresses(ground):
            reasons.append("address_not_said")
        if self._unknown_names(proposed, tokens(ground) | stems | dates):
            reasons.append("name_not_said")
        if not is_said(proposed.object, ground, stems | dates):
            reasons.append("object_not_said")
        if share_said(proposed.text, stems | {stem for word in dates for stem in words(word)}) < _LEAST_SAID:
            reasons.append("words_not_said")
        if _other_language(proposed.text, quoted):
            reasons.append("other_language")
        if made.kind in _ONLY_USERS and made.trust != "user":
            reasons.append("not_the_users_words")
        return reasons

    def _timed(self, proposed: Proposed) -> bool:
        """Say whether the words for the time are somebody's."""
        wanted = proposed.when.text.strip()
        said = (*(one.text for one in self._messages), *self._context)
        return not wanted or any(locate(wanted, text) for text in said)

    def _unknown_names(self, proposed: Proposed, said: set[str]) -> bool:
        claimed = set(names(proposed.text))
        for phrase in (*(one.name for one in proposed.entities), proposed.subject):
            if phrase.strip().casefold() not in _SELF:
                claimed |= tokens(phrase)
        unknown = {name for name in claimed if name not in said and name not in _SELF}
        # a name in another form, or between characters that are not spaced
        return any(
            (not names_a_date(name) and not set(words(name)) <= said)
            or (names_a_date(name) and name not in said)
            for name in unknown
        )

    def _polarity(self, proposed: Proposed, quotes: Sequence[tuple[Said, tuple[int, int]]]) -> list[str]:
        """Say whether the text denies what was said or says what was denied, clause by clause."""
        wanted = stems_of([f"{proposed.text} {proposed.object}"])
        denied, told = False, False
        for said, (start, end) in quotes:
            for left, right in clauses(said.text):
                clause = said.text[left:right]
                if left < end and right > start and wanted & set(words(clause)):
                    told = True
                    denied = denied or is_negative(clause)
        if not told:
            denied = any(is_negative(said.text[start:end]) for said, (start, end) in quotes)
        if is_negative(proposed.text) != denied:
            return ["negation_differs"]
        if proposed.polarity == "negative" and not denied:
            return ["polarity_differs"]
        return []


_RANK: tuple[Trust, ...] = ("document", "tool", "assistant", "user")


def is_planted(text: str, trust: Trust) -> bool:
    """Say whether a text reads like an instruction meant for the model, or hides something."""
    if any(unicodedata.category(char) in _HIDDEN and char not in _JOINERS for char in text):
        return True
    folded = plain(text)
    return _PLANTED.search(folded) is not None or (trust != "user" and _ORDERING.search(folded) is not None)


def verbatim(evidence: Evidence, said: Said) -> Operation:
    """Return the sentence itself as a memory: what is left of an operation that was refused."""
    return Operation(
        op="ADD",
        evidence=(evidence,),
        occurred_at_us=said.occurred_at_us,
        text=" ".join(evidence.quote.split()),
        kind="episode",
        trust="user" if said.role == "user" else "assistant",
        quarantined=is_planted(evidence.quote, "user" if said.role == "user" else "assistant"),
    )


def _evidence(said: Said, span: tuple[int, int]) -> Evidence:
    return Evidence(
        call_id=said.call_id,
        message_index=said.message_index,
        quote=said.text[span[0] : span[1]],
        thread_id=said.thread_id,
    )


def _trust(said: Said, span: tuple[int, int]) -> Trust:
    """Return whose word it is: what stands in something pasted is a document's."""
    if said.role != "user":
        return "assistant" if said.role == "assistant" else "document" if said.role == "document" else "tool"
    pasted = any(match.start() < span[1] and match.end() > span[0] for match in _PASTED.finditer(said.text))
    return "document" if pasted else "user"


def _kind(proposed: Proposed, trust: Trust) -> Kind:
    return "fact" if proposed.kind == "procedure" and trust == "user" else proposed.kind


def _when(proposed: Proposed, quotes: Sequence[tuple[Said, tuple[int, int]]]) -> Span | None:
    """Return the days meant, if they can be worked out; the model's own count only if they are among them."""
    said = quotes[0][0]
    spans = spans_of(proposed.when.text, said.occurred_at_us)
    agreed = [span for span in spans if span.start.isoformat() == proposed.when.since]
    return next(iter([*agreed, *spans]), None)


def _other_language(text: str, quoted: str) -> bool:
    script, of_quote = script_of(text), script_of(quoted)
    if script and of_quote and script != of_quote:
        return not {script, of_quote} <= {"Kana", "Han"}
    one, other = language_of(text), language_of(quoted)
    return bool(one and other and one != other)
