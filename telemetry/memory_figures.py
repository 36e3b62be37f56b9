"""What the query API says of how memory does, by the steps of the pipeline."""

from __future__ import annotations

from pydantic import BaseModel, Field

from telemetry.figures import Percentiles

Share = float | None


class Retrieval(BaseModel):
    """Finding what is known before a call."""

    recalls: int = Field(
        description="Calls for which memories were looked for, or put back where they had been."
    )
    injected: int
    replayed: int = Field(description="Nothing new, but what stood in earlier calls was put back.")
    abstained: int = Field(description="Nothing was relevant enough, or there was nothing.")
    timeouts: int = Field(description="The call went on without, as there was no answer in time.")
    errors: int
    skipped: int = Field(description="Calls that were to have no memories; no recalls.")
    hit_rate: Share = Field(description="Injected by recalls; null without recalls.")
    tokens: int = Field(description="Of what was injected, estimated.")
    tokens_per_hit: float | None
    cost_nano_usd: int | None = Field(
        description="Of what was injected: its part of what the input of its calls cost; null if no price is known."
    )
    memories: int = Field(description="Memories in what was injected.")
    best_score: float | None = Field(
        description="Mean score of the best memory of each recall that found one."
    )
    latency_us: Percentiles = Field(description="How long calls waited for it.")


class Synthesis(BaseModel):
    """Answers of models: those with memories in the prompt, or those without."""

    with_memory: bool
    answers: int = Field(description="With status `ok`; the memory's own calls are left out.")
    truncated: int = Field(description="Answers that ended because there was no room for more.")
    truncation_rate: Share
    input_tokens: int
    output_tokens: int
    cached_share: Share = Field(description="Of the input tokens, those read from the provider's cache.")
    context_tokens: Percentiles = Field(description="Input tokens of an answer.")
    total_us: Percentiles
    priced: int
    cost_nano_usd: int | None = Field(description="Of the priced answers; null if there are none.")
    cost_per_answer_nano_usd: float | None
    scores: dict[str, float] = Field(description="Means of the numbers that were reported of these calls.")


class Extraction(BaseModel):
    """The memory's own calls for one purpose: `memory.extract`, `memory.repair`, `memory.summarise`, `memory.caption`."""

    purpose: str
    calls: int
    jobs: int = Field(description="Conversations they were made for.")
    failures: int
    failure_rate: Share
    input_tokens: int
    output_tokens: int
    priced: int
    cost_nano_usd: int | None
    total_us: Percentiles


class Reading(BaseModel):
    """What came of conversations that were to be read, as the memory's own ledger has it: for seven days."""

    jobs: int = Field(
        description="Conversations, or parts of them, with something new; at most the latest 2,000."
    )
    done: int
    open: int = Field(description="Not read yet.")
    failing: int = Field(description="Of those, the ones that wait after an attempt that failed.")
    dead: int = Field(description="Given up: a model answered, but never anything of use.")
    failure_rate: Share = Field(description="Given up, by those that are over.")
    outcomes: dict[str, int] = Field(
        description="Of those done: `extracted` by a model, `rules` without one, `no_cue`, `erased`."
    )
    events: dict[str, int] = Field(
        description="What became of memories: ADD, UPDATE, SUPERSEDE, ...; NONE and MERGE: it was known."
    )
    facts: int = Field(description="All of these.")
    duplicates: int = Field(description="Those that were known already.")
    dedup_rate: Share = Field(description="Duplicates by facts.")
    refused: int = Field(
        description="Answers of models that were not of their schema, or held nothing of use."
    )
    valid_rate: Share = Field(description="Conversations read by a model, by those and the refused answers.")
    proposed: int = Field(description="Facts in the first answers of models.")
    grounded_rate: Share = Field(
        description="Those that stood up, word for word, to what was said; the others are repaired, or kept as said."
    )
    write_us: Percentiles = Field(
        description="From a conversation's first new word to its memories, the wait for its end included."
    )


class Provider(BaseModel):
    """Who answered."""

    provider: str
    model: str
    calls: int
    retried: int
    fallbacks: int
    rate_limited: int
    errors: int
    priced: int
    cost_nano_usd: int | None


class Orchestration(BaseModel):
    """How calls were led, and how long the events took to which they belong."""

    events: int
    calls_per_event: float | None
    event_us: Percentiles = Field(description="From an event's first call to the end of its last.")
    calls: int = Field(description="All calls, the memory's own too, of the providers listed.")
    routing_rate: Share = Field(description="Calls that named a route.")
    retry_rate: Share = Field(description="Calls that were tried more than once.")
    retries: int
    fallback_rate: Share = Field(description="Calls that went to more than one deployment.")
    rate_limited: int = Field(description="Calls of which a try met a rate limit.")
    providers: list[Provider] = Field(
        description="By provider and model, the most frequent first; at most 100."
    )


class MemorySteps(BaseModel):
    """How memory does: before a call, in it, after it, and around it."""

    from_: str = Field(serialization_alias="from", description="The first moment looked at.")
    to: str = Field(description="The moment up to which was looked; that itself is left out.")
    retrieval: Retrieval
    synthesis: list[Synthesis]
    extraction: list[Extraction]
    verified_rate: Share = Field(
        description="Conversations read whose first answer held: it was of its schema and all of it could be checked."
    )
    reading: Reading | None = Field(description="Null while the memory is off, or does not answer.")
    orchestration: Orchestration
