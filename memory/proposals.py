"""What goes into the prompt of a call: proposed before it, and noted once a provider has taken it.

A proposal that nobody confirms never was: its answer came too late, its call failed, or the hub began anew meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import msgspec

from memory.clock import Clock, SystemClock
from memory.engine import key_of
from memory.injections import PROFILE, Block, Injections, Known, Portrait, Sent
from memory.records import Recall
from memory.render import line_of, profile_of, tokens_of
from memory.scope import Scope
from memory.sealed import UNSEALED, Sealer
from memory.store.place import open_ledger, shared_key
from memory.store.sql_calls import Why

T = TypeVar("T")

COLD_US = 3600 * 1_000_000
"""After so long no provider has a conversation in its cache (Anthropic's longest, 2026-11): what stands in it may
change."""
MOST_REPLAYED = 4000
"""Tokens of all blocks of a conversation; then it gets no more until it is cold, and half of them are left out."""
LEAST_TOKENS = 100
"""A block with less room says nothing."""
LEFT_OUT = 20
"""Candidates not chosen of which is noted why."""
_PENDING = 4096
"""Proposals that wait to be confirmed; the oldest is forgotten."""
_READERS = 2
_PORTRAIT = 60
_LONGEST = 200
"""Characters of a memory in a profile: what is longer is a story."""


_NO_QUESTION = Recall(status="empty", reason="no_question")


class Recalling(Protocol):
    """What finds memories, and counts their uses: an `AsyncMemory`."""

    async def recall(
        self, scope: Scope, query: str, *, budget: int, window: Iterable[str], seen: Collection[str]
    ) -> Recall:
        """Return what to inject; a failure is a status."""
        ...

    async def confirm(self, scope: Scope, call_id: str, ids: Collection[str]) -> int:
        """Note that these memories went into this call."""
        ...


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a call asks for."""

    call_id: str
    query: str
    """Empty: nothing is to be looked up, it is a loop of functions."""
    window: tuple[str, ...] = ()
    """What the user says in the request itself."""
    budget: int
    """Most tokens of a new block."""
    thread: str = ""
    """Empty: the conversation is called after what was said first."""
    anchors: Sequence[bytes] = ()
    """Digests of what the user had said up to each turn, oldest first."""
    profile: int = 0
    """Most tokens of a profile."""
    most: int = 0
    """Most tokens of profile and blocks together; 0: nobody knows how much the model takes."""
    seen: frozenset[str] = frozenset()
    """Memories that the model reads in a part of the conversation that its provider keeps."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What to put into the prompt."""

    status: Literal["injected", "replayed", "empty", "error"]
    reason: str = ""
    block: str = ""
    """New, behind the last anchor."""
    ids: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    tokens: int = 0
    replays: tuple[tuple[int, str], ...] = ()
    """What stood there before: place of the anchor, and text."""
    profile: str = ""
    profile_tokens: int = 0
    profile_ids: tuple[str, ...] = ()
    """Of a profile that is new."""


class Proposals:
    """Over one memory and the ledger of what was injected."""

    def __init__(self, memory: Recalling, ledger: Injections, clock: Clock) -> None:
        self._memory = memory
        self._ledger = ledger
        self._clock = clock
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="memory proposals")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="memory injections")
        self._pending: OrderedDict[str, Sent] = OrderedDict()
        self._unwritten: list[Sent] = []
        self._writing: dict[str, asyncio.Future[None]] = {}
        """By thread; whoever asks next must see it."""

    @classmethod
    async def open(
        cls,
        folder: Path,
        memory: Recalling,
        clock: Clock | None = None,
        *,
        ledger_url: str = "",
        sealer: Sealer = UNSEALED,
    ) -> Proposals:
        """Open the ledger beside the memory's."""
        clock = clock or SystemClock()

        def ledger() -> Injections:
            connections = open_ledger(folder, ledger_url, sealer=sealer)
            return Injections(connections, key=shared_key(connections, key_of(folder)), clock=clock)

        return cls(memory, await asyncio.to_thread(ledger), clock)

    async def close(self) -> None:
        """Write what was confirmed and let go of the ledger."""
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        await asyncio.to_thread(self._ledger.close)

    async def propose(self, scope: Scope, asked: Asked) -> Proposal:
        """Say what to put into a prompt; a failure is a status. The deadline is the caller's."""
        thread, anchors = self._names(scope, asked)
        if (writing := self._writing.get(thread)) is not None:
            await asyncio.wait([writing])
        now_us = self._clock.now_us()
        known = await self._off_loop(partial(self._ledger.read, scope, thread, anchors))
        cold = 0 < known.used_us < now_us - COLD_US
        replays = {
            place: block
            for place, anchor in enumerate(anchors[:-1] if asked.query else anchors)
            if (block := known.blocks.get(anchor)) is not None and block.text
        }
        dropped = _too_much(replays) if cold else []
        for place in dropped:
            del replays[place]
        profile = await self._profile(scope, asked, known, cold=cold)
        new_profile = profile
        if asked.most and profile.tokens > asked.most:
            profile = Block()
        room = min(MOST_REPLAYED, asked.most - profile.tokens) if asked.most else MOST_REPLAYED
        for place in _oldest(replays, room):  # told when the conversation was with a larger model
            del replays[place]
        room -= sum(block.tokens for block in replays.values())
        found = await self._found(scope, asked, [profile, *replays.values()], room) if asked.query else None
        new = _new(known, anchors[-1], new_profile, found)
        before = [*replays.values(), *(() if PROFILE in new else (profile,))]
        again = tuple(one for block in before for one in block.ids)
        self._pending[asked.call_id] = Sent(
            scope=scope,
            call_id=asked.call_id,
            thread=thread,
            blocks=new,
            dropped=(*(anchors[place] for place in dropped), *(known.blocks.keys() & new.keys())),
            read_us=now_us,
            why=_why(found or _NO_QUESTION, profile) if found or again else None,
            again=again,
        )
        while len(self._pending) > _PENDING:
            self._pending.popitem(last=False)
        fresh_profile = profile.ids if PROFILE in new else ()
        return _proposal(found, replays, profile, fresh_profile)

    async def confirm(self, scope: Scope, call_id: str, ids: Collection[str]) -> int:
        """Note that a provider has taken the proposal; return how many memories went into this call.

        `ids`: those that whoever asked knows of, should the proposal itself be forgotten.
        """
        sent = self._pending.pop(call_id, None)
        used = set(ids)
        if sent is not None and sent.scope == scope:
            await self._write(sent)
            used.update(*(block.ids for block in sent.blocks.values()))
        return await self._memory.confirm(scope, call_id, used) if used else 0

    async def why(self, scope: Scope, call_id: str) -> Why | None:
        """Return how the recall of a call went, and what became of the candidates."""
        return await self._off_loop(partial(self._ledger.why, scope, call_id))

    def _names(self, scope: Scope, asked: Asked) -> tuple[str, list[str]]:
        """Return how thread and anchors are called in the ledger."""
        thread = self._ledger.thread(scope, asked.thread or f"\0{asked.anchors[0].hex()}")
        return thread, [self._ledger.anchor(thread, digest) for digest in asked.anchors]

    async def _profile(self, scope: Scope, asked: Asked, known: Known, *, cold: bool) -> Block:
        """Return the thread's profile; it is made where a conversation begins, or where no provider has it cached."""
        if not asked.profile or not scope.user:
            return Block()
        there = known.blocks.get(PROFILE)
        begins = len(asked.anchors) == 1 and (there is None or (bool(asked.query) and not asked.thread))
        if not begins and not cold:
            return there or Block()
        about = await self._off_loop(partial(self._ledger.portrait, scope, most=_PORTRAIT, longest=_LONGEST))
        made = _portrayed(about, min(asked.profile, asked.most or asked.profile))
        return there if there is not None and there.text == made.text else made

    async def _found(self, scope: Scope, asked: Asked, visible: Sequence[Block], room: int) -> Recall:
        """Look for what is neither told nor shown already, and fits into the room."""
        budget = min(asked.budget, room)
        if budget < LEAST_TOKENS:
            return Recall(status="empty", reason="thread_full")
        seen = asked.seen.union(*(block.ids for block in visible))
        return await self._memory.recall(scope, asked.query, budget=budget, window=asked.window, seen=seen)

    async def _write(self, sent: Sent) -> None:
        """Write it together with what else is waiting."""
        self._unwritten.append(sent)
        writing = asyncio.get_running_loop().run_in_executor(self._writer, self._write_all)
        self._writing[sent.thread] = writing
        try:
            await writing
        finally:
            if self._writing.get(sent.thread) is writing:
                del self._writing[sent.thread]

    def _write_all(self) -> None:
        batch, self._unwritten = self._unwritten, []
        if batch:
            self._ledger.write(batch)

    async def _off_loop(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)


def _too_much(replays: Mapping[int, Block]) -> list[int]:
    """Return which of the blocks are left out of a conversation that has too many."""
    full = sum(block.tokens for block in replays.values()) > MOST_REPLAYED - LEAST_TOKENS
    return _oldest(replays, MOST_REPLAYED // 2) if full else []


def _oldest(replays: Mapping[int, Block], room: int) -> list[int]:
    """Return the oldest of the blocks, without which the others fit into the room (tokens)."""
    rest = sum(block.tokens for block in replays.values())
    dropped = []
    for place, block in replays.items():
        if rest <= room:
            break
        rest -= block.tokens
        dropped.append(place)
    return dropped


def _portrayed(about: Sequence[Portrait], budget: int) -> Block:
    """Fill the budget, most telling first; what stands there goes by id, so that it reads the same each time."""
    chosen: dict[str, str] = {}
    tokens = tokens_of(profile_of(["-"]))
    for one in about:
        line = line_of(one.text, one.occurred_us)
        cost = tokens_of(line) + 1
        if tokens + cost <= budget:
            tokens += cost
            chosen[one.id] = line
    text = profile_of(chosen[one] for one in sorted(chosen))
    return Block(text=text, tokens=tokens_of(text), ids=tuple(sorted(chosen)))


def _new(known: Known, anchor: str, profile: Block, found: Recall | None) -> dict[str, Block]:
    """Return what would stand in the ledger and does not yet."""
    new = {PROFILE: profile}
    if found is not None and found.status != "error":
        new[anchor] = Block(text=found.block, tokens=found.tokens, ids=found.ids)
    return {
        name: block
        for name, block in new.items()
        if (there := known.blocks.get(name)) is None or there.text != block.text
    }


def _why(found: Recall, profile: Block) -> Why:
    others = ((one, fate) for one, fate in found.fates.items() if fate != "chosen")
    return Why(
        status=found.status,
        reason=found.reason,
        counts=dict(Counter(found.fates.values())),
        left_out=tuple(islice(others, LEFT_OUT)),
        scores=dict(zip(found.ids, found.scores, strict=True)),
        profile=profile.ids,
    )


def _proposal(
    found: Recall | None, replays: Mapping[int, Block], profile: Block, new_in_profile: tuple[str, ...]
) -> Proposal:
    found = found or _NO_QUESTION
    status: Literal["injected", "replayed", "empty", "error"] = found.status
    if status == "empty":
        status = "injected" if new_in_profile else "replayed" if replays or profile.text else "empty"
    return Proposal(
        status=status,
        reason=found.reason,
        block=found.block,
        ids=found.ids,
        scores=found.scores,
        tokens=found.tokens,
        replays=tuple((place, block.text) for place, block in replays.items()),
        profile=profile.text,
        profile_tokens=profile.tokens,
        profile_ids=new_in_profile,
    )
