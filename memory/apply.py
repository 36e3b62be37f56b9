"""What is remembered, given all that was asserted: values in, values out, no I/O.

Every operation is kept as a claim. What holds is worked out anew from all claims that bear on each other, in the
order in which they hold in the world, so the order in which they arrived does not matter:

* claims that say the same are one memory with several proofs;
* a claim that contradicts an earlier one ends it where it begins itself, and one that arrives late but began
  earlier is ended by the one that is already there;
* an update that loses a number or a name of what it updates is a memory of its own;
* nobody's word ends what a more trusted one said, and what is quarantined ends nothing.
"""

from __future__ import annotations

import hmac
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from memory.facets import Facets, facets_of, keeps, normal
from memory.records import Evidence, Operation, Trust, Vector
from memory.scope import Scope

_SPACE = uuid.UUID("9d1f7a52-3c1e-5f0b-8a64-55f1a6a1c2ce")
_RANK: Mapping[Trust, int] = {"document": 0, "tool": 1, "assistant": 2, "user": 3}
_LASTING = ("fact", "preference", "plan", "instruction")
"""Kinds that hold for a while; the others happened, and nothing contradicts them."""
_SINGLE = frozenset(
    re.findall(
        r"[^|]+",
        "name|full name|age|birthday|birth date|born on|born in|gender|pronouns|lives in|resides in|located in|home|home town"
        "|hometown|address|works at|works for|works as|employer|job|job title|occupation|profession|role|timezone"
        "|time zone|language|native language|email|phone|phone number|married to|spouse|marital status|relationship status"
        "|nationality|religion|status|weight|height|salary|budget|deadline|version|diet",
    )
)
_OPPOSITES = {
    "dislikes": "likes",
    "hates": "likes",
    "moved from": "lives in",
    "no longer works at": "works at",
}
"""Predicates that deny another one."""
_SINGLE_BEGINNINGS = ("favorite ", "favourite ", "current ", "preferred ", "main ", "primary ", "has age")


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An operation with its name, and what it is compared by; `claim_of` makes it."""

    id: str
    operation: Operation
    same: bytes
    """Digest of the text without case and punctuation."""
    triple: tuple[str, str, str] | None
    """Subject, predicate and object as they are compared, if it has all three."""
    slot: tuple[str, ...]
    """What can have but one value at a time; empty if nothing can contradict it but by name."""
    denies: bool
    """It says that the triple is not so."""
    facets: Facets
    alike: frozenset[str] = frozenset()
    """Ids of claims that mean nearly the same, as an embedder sees it."""

    @property
    def since_us(self) -> int:
        """When it begins to hold."""
        return self.operation.valid_from_us or self.operation.occurred_at_us

    @property
    def order(self) -> tuple[int, int, str]:
        """Where it stands among claims."""
        since_us = self.operation.occurred_at_us if self.operation.op == "DELETE" else self.since_us
        return since_us, self.operation.occurred_at_us, self.id


class Asserted(msgspec.Struct, frozen=True, kw_only=True):
    """A claim on its way into the ledger, with the vector of its text if an embedder was there."""

    claim: Claim
    vector: Vector | None = None


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One memory as it follows from its claims."""

    claims: tuple[Claim, ...]
    """The first one founded it."""
    voice: Claim
    """Gives the text."""
    stated: Claim
    """Gives subject, predicate and object."""
    trust: Trust
    valid_from_us: int
    valid_to_us: int
    """0: still."""
    ended_by: str = ""
    """Id of the claim that ended it."""
    retracted: bool = False
    """The user took it back: it is no answer to anything any more."""

    @property
    def occurred_at_us(self) -> int:
        """When it was first said."""
        return min(claim.operation.occurred_at_us for claim in self.claims)

    @property
    def proofs(self) -> int:
        """How many messages say so."""
        return len({(one.call_id, one.message_index) for one in self.evidence})

    @property
    def evidence(self) -> frozenset[Evidence]:
        """All quotes for it."""
        return frozenset(one for claim in self.claims for one in claim.operation.evidence)


def single_valued(predicate: str) -> bool:
    """Say whether a subject can have but one object of this predicate at a time."""
    said = normal(predicate)
    return said in _SINGLE or said.startswith(_SINGLE_BEGINNINGS)


def is_sound(operation: Operation) -> bool:
    """Say whether it may be applied at all: nothing without evidence, nothing without words or a target."""
    proven = (
        operation.occurred_at_us > 0
        and bool(operation.evidence)
        and all(one.quote.strip() for one in operation.evidence)
    )
    if operation.op == "DELETE":
        return proven and bool(operation.target) and operation.trust == "user" and not operation.quarantined
    if operation.op == "NONE":
        return proven and bool(operation.target)
    return proven and bool(operation.text.strip())


def id_of(scope: Scope, operation: Operation, key: bytes) -> str:
    """Name an operation: the same for every attempt to apply it, and no clue to its words without the key."""
    first = min(operation.evidence, key=lambda one: (one.call_id, one.message_index, one.quote))
    parts = [
        msgspec.structs.astuple(scope),
        operation.op in ("DELETE", "NONE") and operation.op,
        operation.target,
        operation.kind,
        [normal(part) for part in (operation.subject, operation.predicate, operation.object)],
        normal(operation.text) or operation.text,
        operation.negative,
        [first.call_id, first.message_index, first.quote],
    ]
    return str(uuid.uuid5(_SPACE, hmac.digest(key, msgspec.json.encode(parts), "sha256").hex()))


def claim_of(claim_id: str, operation: Operation, same: bytes, alike: Iterable[str] = ()) -> Claim:
    """Return the operation ready to be compared."""
    subject, predicate, thing = map(normal, (operation.subject, operation.predicate, operation.object))
    denies = operation.negative != (predicate in _OPPOSITES)
    predicate = _OPPOSITES.get(predicate, predicate)
    triple = (subject, predicate, thing) if subject and predicate and thing else None
    slot: tuple[str, ...] = ()
    if triple is not None and operation.kind in _LASTING and not operation.quarantined:
        slot = triple[:2] if single_valued(predicate) else triple
    named = [one.name for one in operation.entities] + [operation.object]
    return Claim(
        id=claim_id,
        operation=operation,
        same=same,
        triple=triple,
        slot=slot,
        denies=denies,
        facets=facets_of(operation.text, named, negative=operation.negative),
        alike=frozenset(alike),
    )


class _Run:
    """Claims that say the same, one after the other, until something ends them."""

    def __init__(self, claim: Claim) -> None:
        self.claims = [claim]
        self.voice = self.stated = claim
        self.rank = _RANK[claim.operation.trust]
        self.weakest = _RANK["user"]
        self.since_us = claim.since_us
        self.until_us = 0
        self.ended_by = ""
        self.retracted_us: int | None = None
        self._mind_end(claim)

    @property
    def ids(self) -> set[str]:
        return {claim.id for claim in self.claims}

    def holds_at(self, at_us: int) -> bool:
        return not self.ended_by and (not self.until_us or self.until_us > at_us)

    def join(self, claim: Claim) -> None:
        self.prove(claim)
        if not self.stated.triple and claim.triple:
            self.stated = claim
        self._mind_end(claim)

    def prove(self, claim: Claim) -> None:
        self.claims.append(claim)
        self.rank = max(self.rank, _RANK[claim.operation.trust])

    def refine(self, claim: Claim) -> None:
        self.claims.append(claim)
        self.voice = claim
        self.weakest = min(self.weakest, _RANK[claim.operation.trust])

    def end(self, at_us: int, by: str) -> None:
        """End it there; 0 would mean "still"."""
        self.until_us = min(self.until_us or at_us, max(at_us, self.since_us)) or 1
        self.ended_by = by

    def _mind_end(self, claim: Claim) -> None:
        if claim.operation.valid_to_us:
            self.until_us = max(claim.operation.valid_to_us, self.since_us) or 1


def settle(claims: Iterable[Claim]) -> list[View]:
    """Return the memories that follow from these claims, whatever their order here."""
    known = sorted({claim.id: claim for claim in claims}.values(), key=lambda claim: claim.order)
    refining = _refinements(known)
    while True:
        runs = _Runs(known, refining).runs
        refused = _refine(runs, known, refining)
        if not refused:
            break
        refining = {one: target for one, target in refining.items() if one not in refused}
    for claim in known:
        if claim.operation.op == "NONE":
            for run in runs:
                if claim.operation.target in run.ids and run.retracted_us is None:
                    run.prove(claim)
    return [_view(run) for run in runs]


def _refinements(claims: Sequence[Claim]) -> dict[str, str]:
    """Return which updates may become part of which claim, judged by the two alone."""
    known = {claim.id: claim for claim in claims if claim.operation.op not in ("DELETE", "NONE")}
    return {
        claim.id: target.id
        for claim in known.values()
        if claim.operation.op == "UPDATE"
        and (target := known.get(claim.operation.target)) is not None
        and target.id != claim.id
        and _refines(target.operation, claim.operation)
    }


def _refines(old: Operation, new: Operation) -> bool:
    return (
        old.quarantined == new.quarantined
        and (old.kind in _LASTING) == (new.kind in _LASTING)
        and old.negative == new.negative
        and _RANK[new.trust] >= _RANK[old.trust]
        and keeps(old.text, [one.name for one in old.entities], new.text)
    )


def _refine(runs: Sequence[_Run], claims: Sequence[Claim], refining: Mapping[str, str]) -> set[str]:
    """Let each update speak for the memory it updates; return those that would lose something."""
    waiting = sorted(
        (claim for claim in claims if claim.id in refining),
        key=lambda claim: (claim.operation.occurred_at_us, claim.id),
    )
    while waiting:
        placed = ((claim, run) for claim in waiting for run in runs if refining[claim.id] in run.ids)
        claim, home = next(placed, (waiting[0], None))
        if home is None or not _may_refine(home, claim):
            return {claim.id}
        home.refine(claim)
        waiting.remove(claim)
    return set()


def _may_refine(run: _Run, claim: Claim) -> bool:
    taken_back = run.retracted_us is not None and claim.operation.occurred_at_us > run.retracted_us
    return not taken_back and _refines(run.voice.operation, claim.operation)


class _Runs:
    """Goes through claims in their order and lets them begin, prove and end memories."""

    def __init__(self, claims: Sequence[Claim], refining: Mapping[str, str]) -> None:
        self.runs: list[_Run] = []
        self._refining = refining
        self._family: dict[str, list[Claim]] = {}
        for claim in claims:
            self._family.setdefault(self._root(claim.id), []).append(claim)
        self._deletes = [claim for claim in claims if claim.operation.op == "DELETE"]
        for claim in claims:
            if claim.operation.op == "DELETE":
                self._retract(claim)
            elif claim.operation.op != "NONE" and claim.id not in refining:
                self._state(claim)

    def _root(self, claim_id: str) -> str:
        """Return the claim that this one is an update of, in the end."""
        seen = {claim_id}
        while (target := self._refining.get(claim_id)) is not None and target not in seen:
            seen.add(target)
            claim_id = target
        return claim_id

    def _state(self, claim: Claim) -> None:
        opposed = [run for run in self.runs if run.holds_at(claim.since_us) and self._opposes(run, claim)]
        stronger = next((run for run in opposed if run.rank > _RANK[claim.operation.trust]), None)
        if stronger is not None:
            dead = _Run(claim)
            dead.end(claim.since_us, stronger.claims[0].id)
            self.runs.append(dead)
            return
        for run in opposed:
            run.end(claim.since_us, claim.id)
        holding = (run for run in self.runs if run.holds_at(claim.since_us))
        home = next((run for run in holding if self._joins(run, claim)), None)
        if home is not None:
            home.join(claim)
            return
        run = _Run(claim)
        self.runs.append(run)
        for delete in self._deletes:
            # it was taken back before it began to hold
            if (
                self._root(delete.operation.target) == claim.id
                and claim.operation.occurred_at_us <= delete.operation.occurred_at_us < claim.since_us
            ):
                self._take_back(run, delete)

    def _retract(self, delete: Claim) -> None:
        target = self._root(delete.operation.target)
        said_us = delete.operation.occurred_at_us
        for run in self.runs:
            said_before = all(one.operation.occurred_at_us <= said_us for one in run.claims)
            if target in run.ids and said_before and run.retracted_us is None:
                self._take_back(run, delete)

    def _take_back(self, run: _Run, delete: Claim) -> None:
        run.retracted_us = delete.operation.occurred_at_us
        if not run.ended_by:
            run.end(delete.operation.occurred_at_us, delete.id)

    def _opposes(self, run: _Run, claim: Claim) -> bool:
        """Say whether the two cannot both hold."""
        if claim.operation.quarantined or run.voice.operation.quarantined or self._joins(run, claim):
            return False
        named = {self._root(one.operation.target) for one in run.claims if one.operation.op == "SUPERSEDE"}
        supersedes = claim.operation.op == "SUPERSEDE" and self._root(claim.operation.target) in run.ids
        return supersedes or claim.id in named or _contradicts(run.stated, claim)

    def _joins(self, run: _Run, claim: Claim) -> bool:
        stated = run.stated.triple
        return self._repeats(run, claim) and not (stated and claim.triple and stated != claim.triple)

    def _repeats(self, run: _Run, claim: Claim) -> bool:
        """Say whether the run says this already, in its own words or in those of an update."""
        told = (one for root in run.claims for one in self._family.get(root.id, [root]))
        return any(_means_the_same(one, claim) for one in told)


def _contradicts(one: Claim, other: Claim) -> bool:
    if not one.slot or one.slot != other.slot:
        return False
    same_object = one.triple == other.triple
    if one.denies != other.denies:
        return same_object
    return not one.denies and not same_object


def _means_the_same(one: Claim, other: Claim) -> bool:
    a, b = one.operation, other.operation
    if a.quarantined != b.quarantined or one.denies != other.denies:
        return False
    lasting = a.kind in _LASTING
    if lasting != (b.kind in _LASTING) or (not lasting and (a.kind != b.kind or not _same_time(a, b))):
        return False
    if one.triple and other.triple and one.triple != other.triple:
        return False
    if one.same == other.same:
        return True
    close = (one.triple and one.triple == other.triple) or other.id in one.alike or one.id in other.alike
    return bool(close) and one.facets == other.facets


def _same_time(one: Operation, other: Operation) -> bool:
    """Say whether two tellings can be of one event: only what has a date of its own can differ."""
    return not one.valid_from_us or not other.valid_from_us or one.valid_from_us == other.valid_from_us


def _view(run: _Run) -> View:
    rank = min(run.rank, run.weakest)
    return View(
        claims=tuple(run.claims),
        voice=run.voice,
        stated=run.voice if run.voice.slot and run.voice.slot == run.stated.slot else run.stated,
        trust=next(trust for trust, value in _RANK.items() if value == rank),
        valid_from_us=run.since_us,
        valid_to_us=run.until_us,
        ended_by=run.ended_by,
        retracted=run.retracted_us is not None,
    )
