"""How memory does, step by step of the pipeline, from the calls themselves."""

from __future__ import annotations

import math
from collections.abc import Callable

from telemetry.answers import iso
from telemetry.figures import percentiles, share
from telemetry.memory_figures import (
    Extraction,
    MemorySteps,
    Orchestration,
    Provider,
    Reading,
    Retrieval,
    Synthesis,
)
from telemetry.questions.asker import Asker
from telemetry.questions.scope import Range, Scope
from telemetry.store.base import Parameter, Row

AskReading = Callable[[Scope, Range], Reading | None]
"""Asks the memory itself; may block."""


def nobody_reads(_who: Scope, _within: Range) -> None:
    """Be an `AskReading` where there is no memory."""


class MemoryQuestions(Asker):
    """Asks about the steps of memory."""

    def memory_steps(self, scope: Scope, within: Range, reading: AskReading = nobody_reads) -> MemorySteps:
        """Return all four; `reading` asks the memory itself."""
        asked = {**scope.parameters(), **within.parameters()}
        extraction = [_extraction(row) for row in self._ask_calls("memory_extraction", asked)]
        jobs = {one.purpose: one.jobs for one in extraction}
        read = jobs.get("memory.extract", 0)
        return MemorySteps(
            from_=iso(within.from_us),
            to=iso(within.to_us),
            retrieval=_retrieval(self._ask("memory_retrieval", asked)[0]),
            synthesis=self._synthesis(asked),
            extraction=extraction,
            verified_rate=share(read - jobs.get("memory.repair", 0), read),
            reading=reading(scope, within),
            orchestration=self._orchestration(asked),
        )

    def _synthesis(self, asked: dict[str, Parameter]) -> list[Synthesis]:
        scores: dict[int, dict[str, float]] = {}
        for row in self._ask("memory_scores", asked):
            scores.setdefault(row["with_memory"], {})[row["name"]] = row["mean"]
        return [
            _synthesis(row, scores.get(row["with_memory"], {}))
            for row in self._ask_calls("memory_synthesis", asked)
        ]

    def _orchestration(self, asked: dict[str, Parameter]) -> Orchestration:
        (events,) = self._ask("memory_events", asked)
        rows = self._ask_calls("memory_routing", asked)
        sums = {name: sum(row[name] for row in rows) for name in _SUMMED}
        return Orchestration(
            events=events["events"],
            calls_per_event=share(events["calls"], events["events"]),
            event_us=percentiles(events["spread_total_us"]),
            calls=sums["calls"],
            routing_rate=share(sums["routed"], sums["calls"]),
            retry_rate=share(sums["retried"], sums["calls"]),
            retries=sums["retries"],
            fallback_rate=share(sums["fallbacks"], sums["calls"]),
            rate_limited=sums["rate_limited"],
            providers=[Provider(**{**row, "cost_nano_usd": _cost(row)}) for row in rows],
        )


_SUMMED = ("calls", "routed", "retried", "retries", "fallbacks", "rate_limited")


def _retrieval(row: Row) -> Retrieval:
    known = {name: row[name] for name in Retrieval.model_fields if name in row}
    return Retrieval(
        **known
        | {
            "best_score": None if math.isnan(row["best_score"]) else row["best_score"],
            "hit_rate": share(row["injected"], row["recalls"]),
            "tokens_per_hit": share(row["tokens"], row["injected"]),
            "cost_nano_usd": _cost(row),
            "latency_us": percentiles(row["spread_latency_us"]),
        }
    )


def _synthesis(row: Row, scores: dict[str, float]) -> Synthesis:
    known = {name: row[name] for name in Synthesis.model_fields if name in row}
    return Synthesis(
        **known
        | {
            "truncation_rate": share(row["truncated"], row["answers"]),
            "cached_share": share(row["cache_read"], row["input_tokens"]),
            "context_tokens": percentiles(row["spread_context_tokens"]),
            "total_us": percentiles(row["spread_total_us"]),
            "cost_nano_usd": _cost(row),
            "cost_per_answer_nano_usd": share(row["cost_nano_usd"], row["priced"]),
            "scores": scores,
        }
    )


def _extraction(row: Row) -> Extraction:
    known = {name: row[name] for name in Extraction.model_fields if name in row}
    return Extraction(
        **known
        | {
            "failure_rate": share(row["failures"], row["calls"]),
            "cost_nano_usd": _cost(row),
            "total_us": percentiles(row["spread_total_us"]),
        }
    )


def _cost(row: Row) -> int | None:
    return int(row["cost_nano_usd"]) if row["priced"] else None
