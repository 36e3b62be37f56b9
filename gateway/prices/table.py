"""The price table as workers use it: plain integers, read from one file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from telemetry.records import Usage

FORMAT = 4

STANDARD = frozenset({"", "default", "standard", "on_demand", "auto", "unspecified"})
"""What providers call the service tier of calls that asked for none."""

PER_CALL = ("web_searches", "request")
"""Rates that no service tier discounts."""

Rates = dict[str, int]
"""Nano-dollars per million of what a bucket of `Usage` counts (75_000_000: 0.075 USD per million tokens).

`request` is the rate of a million calls, whatever their tokens. What is left out has no known price.
"""

_DAY_US = 86_400_000_000
_FOREVER_US = 1 << 62
_FIRST_MONDAY = 4
"""5 January 1970, in days."""
_WORKDAYS = 5
_DATED = re.compile(r"[-@](?:20\d\d-\d\d-\d\d|20\d{6})$")
_COMPACT_DATE = re.compile(r"-(20\d\d)(\d\d)(\d\d)$")
_CACHED = 4096


class Tier(msgspec.Struct, frozen=True):
    """Rates for the whole call once its input has more than `above` tokens."""

    above: int
    rates: Rates


class Plan(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What everything costs at one service tier."""

    id: str
    """Where it comes from: `<source>:<name there>`."""
    rates: Rates
    tiers: tuple[Tier, ...] = ()
    """Ascending."""


class PriceRow(Plan, frozen=True, omit_defaults=True, kw_only=True):
    """What a model costs during some time. Times are microseconds since 1970, 0 for no bound."""

    services: dict[str, Plan] = {}
    """Other service tiers than the standard one: `batch`, `flex`, `priority`, `batch+us` ..."""
    factors: dict[str, int] = {}
    """Service tiers whose rates are so many percent of the standard ones."""
    valid_from_us: int = 0
    valid_until_us: int = 0
    day_from_us: int = 0
    """With `day_until_us`: the part of each day (UTC) in which it holds; may span midnight."""
    day_until_us: int = 0
    workdays: bool = False
    """That part from Monday to Friday only."""
    window: int = 0
    """Tokens of the model's context; 0: unknown."""

    def holds(self, at_us: int) -> bool:
        """Whether the row holds at this time."""
        if at_us < self.valid_from_us or (self.valid_until_us and at_us >= self.valid_until_us):
            return False
        start, end = self.day_from_us, self.day_until_us
        if start == end:
            return True
        day, time = divmod(at_us, _DAY_US)
        if self.workdays and (day - _FIRST_MONDAY) % 7 >= _WORKDAYS:
            return False
        return start <= time < end if start < end else time >= start or time < end

    def served_as(self, other: PriceRow) -> PriceRow:
        """Return the row with the service tiers of another source, if both agree on the standard price."""
        if any(self.rates.get(name) != other.rates.get(name) for name in ("input_uncached", "output_text")):
            return self
        fees = {name: self.rates[name] for name in PER_CALL if name in self.rates}
        services = {name: self._beside(plan, fees) for name, plan in other.services.items()}
        factors = other.factors | self.factors
        services |= {name: self._scaled(name, percent) for name, percent in factors.items()}
        return msgspec.structs.replace(self, services=services | self.services)

    def _beside(self, plan: Plan, fees: Rates) -> Plan:
        """Return the plan with this row's fees; a long input that it has no rates for has no known price."""
        own = {tier.above: tier.rates for tier in plan.tiers}
        edges = sorted({*own, *(tier.above for tier in self.tiers)})
        tiers = tuple(Tier(edge, own[edge] | fees if edge in own else fees) for edge in edges)
        return Plan(id=plan.id, rates=plan.rates | fees, tiers=tiers)

    def _scaled(self, name: str, percent: int) -> Plan:
        tiers = tuple(Tier(tier.above, _scaled(tier.rates, percent)) for tier in self.tiers)
        return Plan(id=f"{self.id} {name}", rates=_scaled(self.rates, percent), tiers=tiers)


def _scaled(rates: Rates, percent: int) -> Rates:
    return {name: rate if name in PER_CALL else rate * percent // 100 for name, rate in rates.items()}


SAME = {"output_reasoning": "output_text", "input_image": "input_uncached", "cache_read": "input_uncached"}
"""What is billed like something else by providers that name no price for it. No discount is invented."""


def complete(rates: Rates) -> Rates:
    """Return the rates with those that follow from others; what then has no price, audio first of all, is unknown."""
    found = dict(rates)
    for name, like in SAME.items():
        if like in rates:
            found.setdefault(name, rates[like])
    if "input_uncached" in rates and not ("cache_write_5m" in rates or "cache_write_1h" in rates):
        found["cache_write_5m"] = found["cache_write_1h"] = rates["input_uncached"]
    return found


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A model: how its name is recognised, and its rows; the last row that holds is the one."""

    match: list[Any]
    """`["=", name]`, `["^", start]`, `["$", end]`, `["*", part]`, `["~", regex]`, `["|", ...]`, `["&", ...]`."""
    rows: tuple[PriceRow, ...]


class Book(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The prices of one provider. Overrides win, then entries in their order, then the spare rows."""

    overrides: dict[str, PriceRow] = {}
    """By name; `*` is for every model that is not named."""
    entries: tuple[Entry, ...] = ()
    spare: dict[str, PriceRow] = {}
    """By name: for models without an entry, and for the service tiers of those that have one."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """The file: each provider's book stays packed until it is asked for."""

    format: int
    version: str
    books: dict[str, msgspec.Raw]
    settings: str = ""
    """Digest of the settings it was made for."""


LITELLM = "litellm"
"""Asks others, whom its models' names begin with."""
LITELLM_NAMES = {
    "bedrock_converse": "bedrock",
    "cohere_chat": "cohere",
    "codestral": "mistral",
    "fireworks_ai": "fireworks",
    "friendliai": "friendli",
    "nvidia_nim": "nvidia",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vercel_ai_gateway": "vercel",
    "vertex_ai": "vertex",
    "voyage": "voyageai",
}
"""litellm's names of providers that the books call otherwise."""

FREE = PriceRow(id="free", rates=dict.fromkeys(Usage.__struct_fields__, 0))
"""The sandbox costs nothing, and what runs on machines of one's own."""

_files = msgspec.msgpack.Decoder(File)
_books = msgspec.msgpack.Decoder(Book)
_NO_BOOK = Book()


class PriceTable:
    """Finds the row for a call. Owns the books unpacked so far and a cache of names."""

    def __init__(self, version: str, books: dict[str, msgspec.Raw]) -> None:
        self.version = version
        self._packed = books
        self._books: dict[str, Book] = {}
        self._rows: dict[tuple[str, str], tuple[PriceRow, ...]] = {}
        self._found: dict[tuple[str, str], tuple[PriceRow | None, int, int]] = {}
        """Of those, what was found last, and from when until when that is so."""

    @classmethod
    def load(cls, path: Path) -> PriceTable:
        """Read the file; raise OSError, or ValueError if it is not a table of this format."""
        return cls.decode(path.read_bytes())

    @classmethod
    def decode(cls, data: bytes) -> PriceTable:
        """Read a table; raise ValueError (msgspec's) if it is not one of this format."""
        file = _files.decode(data)
        if file.format != FORMAT:
            raise ValueError(f"price table of format {file.format}, not {FORMAT}")
        return cls(file.version, file.books)

    def find(self, provider: str, model: str, at_us: int) -> PriceRow | None:
        """Return the row that holds for this model at this time (microseconds since 1970)."""
        if provider == "sandbox":
            return FREE
        found = self._found.get((provider, model))
        if found is None or not found[1] <= at_us < found[2]:
            rows = self.rows(provider, model)
            row = next((row for row in reversed(rows) if row.holds(at_us)), None)
            found = self._found[provider, model] = row, *_unchanged(rows, at_us)
        return found[0]

    def rows(self, provider: str, model: str) -> tuple[PriceRow, ...]:
        """Return all rows of the model, whenever they hold."""
        if provider == "sandbox":
            return (FREE,)
        found = self._rows.get((provider, model))
        return self._look_up(provider, model) if found is None else found

    def window(self, provider: str, model: str) -> int:
        """Return how many tokens the model's context holds; 0: unknown."""
        return next((row.window for row in self.rows(provider, model) if row.window), 0)

    def _look_up(self, provider: str, model: str) -> tuple[PriceRow, ...]:
        rows = _rows_of(self._book(provider), model.lower())
        if not rows and provider == LITELLM:
            other, _, name = model.lower().partition("/")
            rows = _rows_of(self._book(LITELLM_NAMES.get(other, other)), name)
        if len(self._rows) >= _CACHED:
            self._rows.clear()
            self._found.clear()
        self._rows[provider, model] = rows
        return rows

    def _book(self, provider: str) -> Book:
        book = self._books.get(provider)
        if book is None:
            packed = self._packed.get(provider)
            if packed is None:
                return _NO_BOOK
            book = self._books[provider] = _books.decode(packed)
        return book


def _unchanged(rows: tuple[PriceRow, ...], at_us: int) -> tuple[int, int]:
    """Return from when until when, around this time, the same of these rows hold."""
    edges = [0, _FOREVER_US]
    midnight = at_us - at_us % _DAY_US
    for row in rows:
        edges += row.valid_from_us, row.valid_until_us
        if row.day_from_us != row.day_until_us:
            edges += (midnight + time for time in (0, row.day_from_us, row.day_until_us, _DAY_US))
    return max(edge for edge in edges if edge <= at_us), min(edge for edge in edges if edge > at_us)


def _rows_of(book: Book, name: str) -> tuple[PriceRow, ...]:
    """Return the model's rows; a dated name has those of the plain one if it has none of its own."""
    names = dict.fromkeys((name, _COMPACT_DATE.sub(r"-\1-\2-\3", name), _DATED.sub("", name)))
    own = next((book.overrides[name] for name in names if name in book.overrides), book.overrides.get("*"))
    rows = next((rows for name in names if (rows := _listed(book, name))), ())
    spare = next((book.spare[name] for name in names if name in book.spare), None)
    window = next((row.window for row in (*rows, *((spare,) if spare else ())) if row.window), 0)
    found = (own,) if own is not None else tuple(row.served_as(spare or row) for row in rows)
    return tuple(msgspec.structs.replace(row, window=window) for row in found) if window else found


def _listed(book: Book, name: str) -> tuple[PriceRow, ...]:
    for entry in book.entries:
        if _fits(entry.match, name):
            return entry.rows
    return (book.spare[name],) if name in book.spare else ()


def _fits(match: list[Any], name: str) -> bool:
    kind, *said = match
    fits: bool
    match kind:
        case "=":
            fits = name == said[0]
        case "^":
            fits = name.startswith(said[0])
        case "$":
            fits = name.endswith(said[0])
        case "*":
            fits = said[0] in name
        case "~":
            fits = re.search(said[0], name) is not None
        case "|":
            fits = any(_fits(part, name) for part in said)
        case _:
            fits = kind == "&" and all(_fits(part, name) for part in said)
    return fits
