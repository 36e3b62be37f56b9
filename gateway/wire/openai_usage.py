"""OpenAI's usage object as disjoint buckets.

OpenAI counts every detail inside its total. Dialects seen in OpenAI-compatible answers:

* DeepSeek says `prompt_cache_hit_tokens` beside `prompt_tokens` (api-docs.deepseek.com/guides/kv_cache, 2026-11).
* Moonshot says `cached_tokens` beside `prompt_tokens` (genai-prices 0.2.3, provider `moonshotai`).
* xAI leaves reasoning out of `completion_tokens` but counts it in `total_tokens` (litellm 1.106.2, llms/xai).
"""

from __future__ import annotations

import msgspec

from telemetry.records import Usage


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None
    # the same in the words of the Responses API
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


_decoder = msgspec.json.Decoder(_Usage, strict=False)
_NOTHING = _Details()
MOST = 10**12
"""Tokens beyond this are nonsense, and at what models cost more than a column of money can hold."""


def parse_usage(raw: bytes | msgspec.Raw) -> Usage | None:
    """Return the buckets, or None if this is not a usage object; a detail beyond its total is clipped."""
    try:
        said = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if said.prompt_tokens is None and said.completion_tokens is None:
        if said.input_tokens is None and said.output_tokens is None:
            return None
        said.prompt_tokens, said.prompt_tokens_details = said.input_tokens, said.input_tokens_details
        said.completion_tokens, said.completion_tokens_details = (
            said.output_tokens,
            said.output_tokens_details,
        )
    read = said.prompt_tokens_details or _NOTHING
    written = said.completion_tokens_details or _NOTHING
    prompt, completion = said.prompt_tokens or 0, said.completion_tokens or 0
    thought = written.reasoning_tokens or 0
    if not (0 <= prompt <= MOST and 0 <= completion <= MOST and 0 <= thought <= MOST):
        if max(prompt, completion, thought) > MOST:
            return None
        prompt, completion, thought = max(prompt, 0), max(completion, 0), max(thought, 0)
    if thought and said.total_tokens == prompt + completion + thought:
        completion += thought
    cached = read.cached_tokens or said.prompt_cache_hit_tokens or said.cached_tokens
    special = read.cache_write_tokens or read.audio_tokens or read.image_tokens or written.audio_tokens
    if not (cached or thought or special):
        return Usage(input_uncached=prompt, output_text=completion)
    cache_read, rest = _take(cached, prompt)
    cache_write, rest = _take(read.cache_write_tokens, rest)
    input_audio, rest = _take(read.audio_tokens, rest)
    input_image, rest = _take(read.image_tokens, rest)
    reasoning, left = _take(thought, completion)
    output_audio, left = _take(written.audio_tokens, left)
    return Usage(
        input_uncached=rest,
        cache_read=cache_read,
        cache_write_5m=cache_write,
        input_audio=input_audio,
        input_image=input_image,
        output_text=left,
        output_reasoning=reasoning,
        output_audio=output_audio,
    )


def _take(wanted: int | None, available: int) -> tuple[int, int]:
    """Return the part of `available` that is `wanted`, and what is left of it."""
    if not wanted or wanted < 0:
        return 0, available
    taken = min(wanted, available)
    return taken, available - taken
