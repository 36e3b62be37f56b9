"""What the tables say of prices: genai-prices' rows, litellm's for models it lacks, and the installation's own.

Imported only while the table is made. Not taken over: prices of cached audio and images, video, searches in files,
pages, hours, messages and characters.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec
from genai_prices import types
from genai_prices.data import providers as genai_providers

from gateway.prices.litellm_rows import spare_rows
from gateway.prices.table import FREE, PER_CALL, Book, Entry, Plan, PriceRow, Rates, Tier, complete
from gateway.settings import PriceOverride, PriceRates

_MISSING = Path(__file__).with_name("missing.toml")
"""What genai-prices' rows lack."""

_NANO = 1_000_000_000
_NAMES = {"aws": "bedrock", "google": "gemini", "moonshotai": "moonshot", "x-ai": "xai"}
"""genai-prices' names of providers that the catalog calls otherwise."""
_NAMED = {"input": "input_uncached", "output": "output_text"}
"""What settings call the buckets of plain text."""
_ON_MACHINES_OF_ONES_OWN = ("ollama",)

_KEYS = {
    "input_uncached": ("input_mtok", "input_text_mtok"),
    "cache_read": ("cache_read_mtok",),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok",),
    "input_audio": ("input_audio_mtok",),
    "input_image": ("input_image_mtok",),
    "output_text": ("output_mtok", "output_text_mtok"),
    "output_reasoning": ("output_reasoning_mtok",),
    "output_audio": ("output_audio_mtok",),
    "output_image": ("output_image_mtok",),
    "web_searches": ("web_searches_kcount",),
    "request": ("requests_kcount",),
}


class _Missing(msgspec.Struct, frozen=True):
    """What a model's rows lack."""

    rates: Rates = {}
    factors: dict[str, int] = {}
    workdays: bool = False
    """Hours with a price of their own are those of workdays."""


_NOTHING = _Missing()


def make_books(
    litellm: bytes, overrides: Mapping[str, PriceOverride], same_as: Mapping[str, str]
) -> dict[str, Book]:
    """Return every provider's book."""
    more = _missing()
    entries = {_NAMES.get(p.id, p.id): tuple(_entries(p, more.get(p.id, {}))) for p in genai_providers}
    spare = spare_rows(litellm) if litellm else {}
    own = _overrides(overrides)
    names = {name: name for name in {**entries, **spare, **own}}
    return {
        name: Book(overrides=own.get(name, {}), entries=entries.get(book, ()), spare=spare.get(book, {}))
        for name, book in {**names, **same_as}.items()
    }


def _entries(provider: types.Provider, more: Mapping[str, _Missing]) -> Iterable[Entry]:
    for model in provider.models:
        prices = (
            model.prices if isinstance(model.prices, list) else [types.ConditionalPrice(prices=model.prices)]
        )
        rows = tuple(
            _row(
                f"genai-prices:{provider.id}/{model.id}#{i}",
                conditional,
                more.get(model.id) or more.get("*", _NOTHING),
                window=model.context_window or 0,
            )
            for i, conditional in enumerate(prices)
        )
        yield Entry(match=_match(model.match), rows=rows)


def _row(row_id: str, conditional: types.ConditionalPrice, more: _Missing, *, window: int) -> PriceRow:
    prices: dict[str, Any] = {k: v for k, v in vars(conditional.prices).items() if v is not None}
    starts = sorted({t.start for v in prices.values() if isinstance(v, types.TieredPrices) for t in v.tiers})
    valid_from = day_from = day_until = 0
    match conditional.constraint:
        case types.StartDateConstraint(start_date=date):
            valid_from = int(datetime(date.year, date.month, date.day, tzinfo=UTC).timestamp()) * 1_000_000
        case types.TimeOfDateConstraint(start_time=start, end_time=end):
            day_from, day_until = _time_us(start), _time_us(end)
        case None:
            pass
    return PriceRow(
        id=row_id,
        rates=complete(more.rates | _rates(prices, 0)),
        factors=more.factors,
        tiers=tuple(Tier(start, complete(more.rates | _rates(prices, start + 1))) for start in starts),
        valid_from_us=valid_from,
        day_from_us=day_from,
        day_until_us=day_until,
        workdays=more.workdays and day_from != day_until,
        window=window,
    )


def _rates(prices: dict[str, Any], tokens: int) -> Rates:
    """Return the rates of a call with so many input tokens."""
    found = ((name, next((key for key in keys if key in prices), None)) for name, keys in _KEYS.items())
    return {name: _rate(name, _at(prices[key], tokens)) for name, key in found if key is not None}


def _rate(name: str, dollars: Decimal) -> int:
    """Return nano-dollars per million from dollars per million, or per thousand of what is counted in calls."""
    return int((dollars * (_NANO * 1000 if name in PER_CALL else _NANO)).to_integral_value(ROUND_HALF_UP))


def _at(price: Decimal | types.TieredPrices, tokens: int) -> Decimal:
    if isinstance(price, types.TieredPrices):
        return next((t.price for t in reversed(price.tiers) if tokens > t.start), price.base)
    return price


def _match(clause: Any) -> list[Any]:  # noqa: ANN401 - a union that genai-prices keeps to itself
    found: list[Any]
    match clause:
        case types.ClauseEquals(equals=name):
            found = ["=", name.lower()]
        case types.ClauseStartsWith(starts_with=name):
            found = ["^", name.lower()]
        case types.ClauseEndsWith(ends_with=name):
            found = ["$", name.lower()]
        case types.ClauseContains(contains=name):
            found = ["*", name.lower()]
        case types.ClauseRegex(regex=pattern):
            found = ["~", pattern]
        case types.ClauseOr(or_=clauses):
            found = ["|", *map(_match, clauses)]
        case types.ClauseAnd(and_=clauses):
            found = ["&", *map(_match, clauses)]
        case _:
            raise TypeError(f"genai-prices has a new kind of match: {clause!r}")
    return found


def _missing() -> dict[str, dict[str, _Missing]]:
    """Return what is documented and genai-prices' rows lack, by its names of provider and model."""
    books: dict[str, dict[str, _Missing]] = {}
    for provider, models in tomllib.loads(_MISSING.read_text("utf-8")).items():
        for model, said in models.items():
            rates = {name: _rate(name, Decimal(text)) for name, text in said.get("rates", {}).items()}
            books.setdefault(provider, {})[model] = _Missing(
                rates, said.get("factors", {}), said.get("workdays", False)
            )
    return books


def _overrides(overrides: Mapping[str, PriceOverride]) -> dict[str, dict[str, PriceRow]]:
    books: dict[str, dict[str, PriceRow]] = {name: {"*": FREE} for name in _ON_MACHINES_OF_ONES_OWN}
    for name, said in overrides.items():
        provider, slash, model = name.partition("/")
        if not slash or not model:
            raise ValueError(f"prices.{name}: expected `provider/model`")
        row_id = f"settings:{name}"
        services = {
            tier: Plan(id=f"{row_id} {tier}", rates=_told(f"{name}.service_tiers.{tier}", plan))
            for tier, plan in said.service_tiers.items()
        }
        row = PriceRow(id=row_id, rates=_told(name, said), services=services)
        books.setdefault(provider, {})[model.lower()] = row
    return books


def _told(name: str, said: PriceRates) -> Rates:
    rates = {_NAMED.get(field, field): _dollars(name, field, text) for field, text in said.given().items()}
    return complete(rates)


def _dollars(name: str, field: str, said: str) -> int:
    try:
        value = Decimal(said)
        if value.is_finite() and value >= 0:
            return _rate(field, value)
    except InvalidOperation:
        pass
    raise ValueError(f"prices.{name}.{field}: {said!r} is not a price in dollars")


def _time_us(at: time) -> int:
    offset = at.utcoffset()
    seconds = at.hour * 3600 + at.minute * 60 + at.second - int(offset.total_seconds() if offset else 0)
    return seconds % 86_400 * 1_000_000
