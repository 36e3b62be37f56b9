"""How memory does, as tables: one for each step of the pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.components.cells import count
from dashboards.components.frame import section
from dashboards.components.table import Cell, Column, Table
from telemetry.figures import Percentiles
from telemetry.memory_figures import MemorySteps, Reading, Retrieval
from telemetry.words import dollars, duration

Named = tuple[str, Cell]
"""A column's label, and what stands below it."""


def memory(steps: MemorySteps) -> None:
    """Show what is known of each step; nothing of a step that nothing is known of."""
    if steps.retrieval.recalls:
        with section("Memory: retrieval"):
            _rows([_retrieval(steps.retrieval)])
    if steps.synthesis:
        with section("Memory: synthesis"):
            _rows([_synthesis(steps, at) for at in range(len(steps.synthesis))])
    if steps.extraction or steps.reading is not None:
        with section("Memory: extraction"):
            if steps.reading is not None:
                _rows([_reading(steps.reading, steps.verified_rate)])
            _rows([_extraction(steps, at) for at in range(len(steps.extraction))])
    if steps.orchestration.events:
        with section("Memory: orchestration"):
            _rows([_orchestration(steps)])
            _rows([_provider(steps, at) for at in range(len(steps.orchestration.providers))])


def _retrieval(told: Retrieval) -> list[Named]:
    return [
        ("Recalls", Cell(count(told.recalls), hint=f"{count(told.skipped)} calls were to have no memories")),
        ("Hit rate", _share(told.hit_rate)),
        ("Relevance", _number(told.best_score, hint="mean score of each recall's best memory")),
        ("Tokens a hit", _number(told.tokens_per_hit)),
        ("Cost", _money(told.cost_nano_usd, hint="their part of what the input cost")),
        *_took(told.latency_us),
        ("Timeouts", _bad(told.timeouts)),
        ("Errors", _bad(told.errors)),
    ]


def _synthesis(steps: MemorySteps, at: int) -> list[Named]:
    told = steps.synthesis[at]
    scores = ", ".join(f"{name} {mean:.3g}" for name, mean in told.scores.items())
    return [
        ("Memories", Cell("in the prompt" if told.with_memory else "none")),
        ("Answers", Cell(count(told.answers))),
        ("Context, median", _number(told.context_tokens.p50)),
        ("95 %", _number(told.context_tokens.p95)),
        ("Cut short", _share(told.truncation_rate)),
        ("Cached", _share(told.cached_share)),
        *_took(told.total_us),
        ("Cost an answer", _money(told.cost_per_answer_nano_usd)),
        ("Scores", Cell(scores or "–", tone="" if scores else "mild")),
    ]


def _reading(told: Reading, verified: float | None) -> list[Named]:
    return [
        ("Conversations", Cell(count(told.jobs))),
        ("Read", Cell(count(told.done))),
        ("To be read", Cell(count(told.open), hint=f"{count(told.failing)} of them failed before")),
        ("Given up", _bad(told.dead)),
        ("Facts", Cell(count(told.facts))),
        ("Known already", _share(told.dedup_rate)),
        (
            "Grounded",
            _share(told.grounded_rate, hint=f"of {count(told.proposed)} facts that models proposed"),
        ),
        ("Held at once", _share(verified, hint="conversations whose first answer could be checked in full")),
        ("Usable answers", _share(told.valid_rate, hint=f"{count(told.refused)} were refused")),
        *_took(told.write_us, name="Written, median"),
    ]


def _extraction(steps: MemorySteps, at: int) -> list[Named]:
    told = steps.extraction[at]
    return [
        ("Purpose", Cell(told.purpose)),
        ("Calls", Cell(count(told.calls))),
        ("Failed", _share(told.failure_rate)),
        ("Tokens in", Cell(count(told.input_tokens))),
        ("Tokens out", Cell(count(told.output_tokens))),
        ("Cost", _money(told.cost_nano_usd)),
        *_took(told.total_us),
    ]


def _orchestration(steps: MemorySteps) -> list[Named]:
    told = steps.orchestration
    return [
        ("Events", Cell(count(told.events))),
        ("Calls an event", _number(told.calls_per_event)),
        *_took(told.event_us),
        ("By a route", _share(told.routing_rate)),
        ("Elsewhere", _share(told.fallback_rate, hint="calls that went to more than one deployment")),
        ("Tried again", _share(told.retry_rate)),
        ("Rate limited", _bad(told.rate_limited)),
    ]


def _provider(steps: MemorySteps, at: int) -> list[Named]:
    told = steps.orchestration.providers[at]
    return [
        ("Provider", Cell(told.provider or "–")),
        ("Model", Cell(told.model or "–")),
        ("Calls", Cell(count(told.calls))),
        ("Tried again", Cell(count(told.retried))),
        ("Elsewhere", Cell(count(told.fallbacks))),
        ("Rate limited", _bad(told.rate_limited)),
        ("Errors", _bad(told.errors)),
        ("Cost", _money(told.cost_nano_usd)),
    ]


_WORDS = frozenset(("Memories", "Purpose", "Provider", "Model", "Scores"))


def _rows(rows: Sequence[Sequence[Named]]) -> None:
    """Show lines that have the same columns."""
    if rows:
        columns = [
            Column("group" if label in _WORDS else "count", label, number=label not in _WORDS)
            for label, _ in rows[0]
        ]
        Table(columns, [[cell for _, cell in row] for row in rows])


def _took(spread: Percentiles, *, name: str = "Took, median") -> list[Named]:
    times = ("–" if us is None else duration(round(us)) for us in (spread.p50, spread.p95))
    return [(label, Cell(time)) for label, time in zip((name, "95 %"), times, strict=True)]


def _share(share: float | None, *, hint: str = "") -> Cell:
    return Cell("–", hint=hint, tone="mild") if share is None else Cell(f"{share:.1%}", hint=hint)


def _number(number: float | None, *, hint: str = "") -> Cell:
    return Cell("–", hint=hint, tone="mild") if number is None else Cell(f"{number:.4g}", hint=hint)


def _money(nano: float | None, *, hint: str = "") -> Cell:
    return (
        Cell("–", hint=hint or "no price is known", tone="mild")
        if nano is None
        else Cell(dollars(round(nano)), hint=hint)
    )


def _bad(number: int) -> Cell:
    return Cell(count(number), tone="bad") if number else Cell("–", tone="mild")
