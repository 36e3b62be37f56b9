"""The most that a call can cost, for calls of which nobody learns how they ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ahocorasick_rs import BytesAhoCorasick, MatchKind

from gateway.prices.table import PriceRow, Rates

_IN = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio", "input_image")
_OUT = ("output_text", "output_reasoning", "output_audio", "output_image")
_MILLION = 1_000_000

_OUTSIDE = BytesAhoCorasick(
    (
        *(b'url"', b'"file', b'Uri"', b"_search", b'Search"', b'"mcp"', b'response_id"', b'"conversation"'),
        *(b'cachedContent"', b'cached_content"'),
    ),
    matchkind=MatchKind.LeftmostFirst,
)
"""What a body says that has the model read more than stands in it: by address, by id, or from the web."""
_MOST_OUT = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens"})
_TIMES = frozenset({"n", "best_of", "candidateCount"})


def ceiling(rows: Iterable[PriceRow], at_us: int) -> tuple[int, int, int] | None:
    """Return the highest rates of tokens in, tokens out and calls, at any hour and service tier; None: unknown."""
    found = [
        rates for row in rows if not row.valid_until_us or at_us < row.valid_until_us for rates in _all(row)
    ]
    tokens_in = [rates[name] for rates in found for name in _IN if name in rates]
    tokens_out = [rates[name] for rates in found for name in _OUT if name in rates]
    if not tokens_in or not tokens_out:
        return None
    return max(tokens_in), max(tokens_out), max(rates.get("request", 0) for rates in found)


def _all(row: PriceRow) -> Iterator[Rates]:
    for plan in (row, *row.services.values()):
        yield plan.rates
        yield from (tier.rates for tier in plan.tiers)


def upper_bound(
    rates: tuple[int, int, int],
    body: bytes,
    parameters: Mapping[str, bool | int | float | str],
    *,
    answers: bool,
) -> int | None:
    """Return what the call costs at most, in nano-dollars; None if its request sets no limit.

    No tokenizer makes more than one token of a byte. `answers`: the model writes text, not vectors.
    """
    tokens_out = most_out(parameters) if answers else 0
    if tokens_out is None:
        return None
    if _OUTSIDE.find_matches_as_indexes(body):
        return None
    tokens_in, per_out, per_call = rates
    return -(-(len(body) * tokens_in + tokens_out * per_out + per_call) // _MILLION)


def most_out(parameters: Mapping[str, bool | int | float | str]) -> int | None:
    """Return the most tokens that all answers to a request may have; None if it sets no limit."""
    most = times = -1
    for name, value in parameters.items():
        if name in _MOST_OUT and isinstance(value, int):
            most = max(most, value)
        elif name in _TIMES and isinstance(value, int):
            times = max(times, value)
    return None if most < 0 else most * max(1, times)
