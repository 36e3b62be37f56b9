"""What `tidegate calls` prints: the calls of an event, thread or user as a tree, with every attempt."""

from __future__ import annotations

import msgspec
from rich.markup import escape
from rich.tree import Tree

from telemetry.words import dollars, duration


class Attempt(msgspec.Struct, kw_only=True):
    """One try at one deployment; times are microseconds since the call began."""

    deployment: str = ""
    http_status: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    started_us: int | None = None
    ended_us: int | None = None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What was remembered in a call."""

    status: str = ""
    ids: list[str] = []
    scores: list[float] = []
    tokens: int = 0
    profile_tokens: int = 0
    latency_us: int = 0


class Call(msgspec.Struct, kw_only=True):
    """A call as the query API tells it; what it says beyond this is not printed."""

    call_id: str
    started_at: str | int = ""
    model: str | None = None
    provider: str | None = None
    deployment: str | None = None
    status: str = ""
    http_status: int | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    usage_source: str = ""
    cost_nano_usd: int | None = None
    cost_reason: str | None = None
    price_version: str = ""
    total_us: int | None = None
    first_byte_us: int | None = None
    attempts: list[Attempt] = []
    user_id: str | None = None
    thread_id: str | None = None
    error_message: str | None = None
    memory: Memory = Memory()


class Page(msgspec.Struct, kw_only=True):
    """An answer of `/api/events/{id}`, `/api/threads/{id}` or `/api/calls`."""

    calls: list[Call]
    next_cursor: str | None = None


_COLOURS = {"ok": "green", "error": "red", "cancelled": "yellow", "interrupted": "yellow", "refused": "red"}
_SHOWN = 200
"""Characters of an error message; the whole of it is in the API's answer."""


def parse(body: bytes) -> Page:
    """Read an answer of the query API; msgspec.DecodeError if it is none."""
    return msgspec.json.decode(body, type=Page)


def build(title: str, page: Page) -> Tree:
    """Make the tree: calls in the order the API gave them, attempts below, totals last."""
    tree = Tree(f"[bold]{escape(title)}[/bold]")
    if not page.calls:
        tree.add("[dim]no calls (one appears within a second of its end)[/dim]")
        return tree
    for call in page.calls:
        _add_call(tree, call)
    tree.add(_totals(page.calls))
    if page.next_cursor:
        tree.add("[dim]there are more: raise --limit[/dim]")
    return tree


def _add_call(tree: Tree, call: Call) -> None:
    colour = _COLOURS.get(call.status, "white")
    parts = [
        f"[{colour}]{escape(call.status or 'unknown')}[/{colour}]",
        f"[bold]{escape(call.model or 'no model')}[/bold]",
    ]
    where = call.deployment or call.provider
    if where and where != call.model:
        parts.append(f"on {escape(where)}")
    parts += [_tokens(call), _cost(call)]
    if call.total_us is not None:
        parts.append(_time(call.total_us, call.first_byte_us))
    branch = tree.add("  ".join(parts))
    branch.add(f"[dim]{escape(_facts(call))}[/dim]")
    if call.memory.ids:
        branch.add(f"[dim]{escape(_memories(call.memory))}[/dim]")
    failed = any(attempt.error_type for attempt in call.attempts)
    if call.error_message and not failed:  # else the attempts say it, and better
        branch.add(f"[red]{escape(_short(call.error_message))}[/red]")
    # One good attempt says nothing that its call does not say.
    if len(call.attempts) > 1 or failed:
        for number, attempt in enumerate(call.attempts, 1):
            branch.add(_attempt(number, attempt))


def _tokens(call: Call) -> str:
    if call.usage_source == "none" or (call.input_tokens is None and call.output_tokens is None):
        return "tokens unknown"
    about = "about " if call.usage_source == "estimated" else ""
    return f"{about}{_count(call.input_tokens)} in, {_count(call.output_tokens)} out"


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


def _cost(call: Call) -> str:
    if call.cost_nano_usd is None:
        return f"no cost: {escape(call.cost_reason or 'unknown')}"
    if call.cost_reason == "settled":
        return f"settled by {escape(call.price_version)}"
    return dollars(call.cost_nano_usd)


def _time(total_us: int, first_byte_us: int | None) -> str:
    first = "" if not first_byte_us else f" (first byte {duration(first_byte_us)})"
    return duration(total_us) + first


def _facts(call: Call) -> str:
    """The second line: what identifies the call."""
    facts = [call.call_id, str(call.started_at)]
    if call.http_status is not None:
        facts.append(f"HTTP {call.http_status}")
    named = (
        *(("finish", call.finish_reason), ("user", call.user_id), ("thread", call.thread_id)),
        ("memory", call.memory.status),
    )
    facts += [f"{name} {value}" for name, value in named if value]
    return "  ".join(fact for fact in facts if fact)


def _memories(memory: Memory) -> str:
    named = ", ".join(
        f"{one} ({f'{score:.2f}' if score else 'profile'})"
        for one, score in zip(memory.ids, memory.scores, strict=False)
    )
    tokens = memory.tokens + memory.profile_tokens
    return f"remembered in {duration(memory.latency_us)}, {tokens} tokens: {named}"


def _attempt(number: int, attempt: Attempt) -> str:
    parts = [f"attempt {number}", escape(attempt.deployment)]
    if attempt.http_status:
        parts.append(f"HTTP {attempt.http_status}")
    if attempt.started_us is not None and attempt.ended_us is not None:
        parts.append(duration(attempt.ended_us - attempt.started_us))
    if attempt.error_type or attempt.error_message:
        reason = ": ".join(part for part in (attempt.error_type, attempt.error_message) if part)
        parts.append(f"[red]{escape(_short(reason))}[/red]")
    return "  ".join(parts)


def _totals(calls: list[Call]) -> str:
    priced = [call.cost_nano_usd for call in calls if call.cost_nano_usd is not None]
    parts = [
        f"{len(calls)} {'call' if len(calls) == 1 else 'calls'}",
        f"{sum(call.input_tokens or 0 for call in calls)} in",
        f"{sum(call.output_tokens or 0 for call in calls)} out",
        dollars(sum(priced)),
    ]
    if len(priced) < len(calls):
        parts.append(f"{len(calls) - len(priced)} without a cost")
    return f"[bold]{', '.join(parts)}[/bold]"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
