"""Usage as a client of Gemini reads it; how it is read stands in `gateway.wire.gemini_usage`."""

from __future__ import annotations

import msgspec

from telemetry.records import Usage


class _Count(msgspec.Struct, rename="camel"):
    modality: str
    token_count: int


class _Usage(msgspec.Struct, rename="camel", omit_defaults=True):
    prompt_token_count: int
    candidates_token_count: int
    total_token_count: int
    thoughts_token_count: int = 0
    cached_content_token_count: int = 0
    prompt_tokens_details: list[_Count] | None = None
    candidates_tokens_details: list[_Count] | None = None
    service_tier: str = ""


def write(usage: Usage, tier: str) -> msgspec.Raw:
    """Return `usageMetadata`; what was written to a cache is counted with the rest of the prompt."""
    prompt, output = usage.input_total, usage.output_total
    heard = {"AUDIO": usage.input_audio, "IMAGE": usage.input_image}
    said = {"AUDIO": usage.output_audio, "IMAGE": usage.output_image}
    candidates = output - usage.output_reasoning
    written = _Usage(
        prompt_token_count=prompt,
        candidates_token_count=candidates,
        total_token_count=prompt + output,
        thoughts_token_count=usage.output_reasoning,
        cached_content_token_count=usage.cache_read,
        prompt_tokens_details=_details(prompt, heard),
        candidates_tokens_details=_details(candidates, said),
        service_tier=tier,
    )
    return msgspec.Raw(msgspec.json.encode(written))


def _details(total: int, others: dict[str, int]) -> list[_Count]:
    counts = {"TEXT": total - sum(others.values()), **others}
    return [_Count(modality, count) for modality, count in counts.items() if count]
