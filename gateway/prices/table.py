"""The price table as workers use it: plain integers, read from one file.

Rates are nano-dollars per million tokens: 0.075 USD per million is 75_000_000.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

FORMAT = 1

_DAY_US = 86_400_000_000
_DATED = re.compile(r"[-@](?:20\d\d-\d\d-\d\d|20\d{6})$")
_COMPACT_DATE = re.compile(r"-(20\d\d)(\d\d)(\d\d)$")
_CACHED = 4096


class Rates(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Nano-dollars per million tokens of each kind; None where no price is known."""

    input: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    input_audio: int | None = None
    input_image: int | None = None
    output: int | None = None
    output_reasoning: int | None = None
    output_audio: int | None = None
    request: int | None = None
    """Nano-dollars per call, whatever its tokens."""


class Tier(msgspec.Struct, frozen=True):
    """Rates for the whole call once its input has more than `above` tokens."""

    above: int
    rates: Rates


class PriceRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a model costs during some time. Times are microseconds since 1970, 0 for no bound."""

    id: str
    rates: Rates
    tiers: tuple[Tier, ...] = ()
    """Ascending."""
    valid_from_us: int = 0
    valid_until_us: int = 0
    day_from_us: int = 0
    """With `day_until_us`: the part of each day (UTC) in which it holds; may span midnight."""
    day_until_us: int = 0

    def holds(self, at_us: int) -> bool:
        """Whether the row holds at this time."""
        if at_us < self.valid_from_us or (self.valid_until_us and at_us >= self.valid_until_us):
            return False
        start, end = self.day_from_us, self.day_until_us
        if start == end:
            return True
        time = at_us % _DAY_US
        return start <= time < end if start < end else time >= start or time < end


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A model: how its name is recognised, and its rows; the last row that holds is the one."""

    match: list[Any]
    """`["=", name]`, `["^", start]`, `["$", end]`, `["*", part]`, `["~", regex]`, `["|", ...]`, `["&", ...]`."""
    rows: tuple[PriceRow, ...]


class Book(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The prices of one provider. Overrides win, then entries in their order, then the spare rows."""

    overrides: dict[str, PriceRow] = {}
    entries: tuple[Entry, ...] = ()
    spare: dict[str, PriceRow] = {}
    """For models without an entry, by name."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """The file: each provider's book stays packed until it is asked for."""

    format: int
    version: str
    books: dict[str, msgspec.Raw]


FREE = PriceRow(
    id="sandbox",
    rates=Rates(
        input=0, cache_read=0, cache_write_5m=0, cache_write_1h=0, input_audio=0, input_image=0, output=0,
        output_reasoning=0, output_audio=0,
    ),
)  # fmt: skip
"""The sandbox costs nothing."""

_files = msgspec.msgpack.Decoder(File)
_books = msgspec.msgpack.Decoder(Book)


class PriceTable:
    """Finds the row for a call. Owns the books unpacked so far and a cache of names."""

    def __init__(self, version: str, books: dict[str, msgspec.Raw]) -> None:
        self.version = version
        self._packed = books
        self._books: dict[str, Book] = {}
        self._rows: dict[tuple[str, str], tuple[PriceRow, ...]] = {}
        self._only: dict[tuple[str, str], PriceRow] = {}
        """Of those, what does not depend on the time."""

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
        row = self._only.get((provider, model))
        if row is not None:
            return row
        rows = self._rows.get((provider, model))
        if rows is None:
            rows = self._look_up(provider, model)
            row = self._only.get((provider, model))
        return row or next((row for row in reversed(rows) if row.holds(at_us)), None)

    def _look_up(self, provider: str, model: str) -> tuple[PriceRow, ...]:
        book = self._books.get(provider)
        if book is None:
            packed = self._packed.get(provider)
            book = self._books[provider] = _books.decode(packed) if packed is not None else Book()
        name = model.lower()
        tried = dict.fromkeys((name, _COMPACT_DATE.sub(r"-\1-\2-\3", name), _DATED.sub("", name)))
        rows = next((found for candidate in tried if (found := _rows_of(book, candidate))), ())
        if len(self._rows) >= _CACHED:
            self._rows.clear()
            self._only.clear()
        self._rows[provider, model] = rows
        if len(rows) == 1 and not rows[0].valid_from_us and not rows[0].day_until_us:
            self._only[provider, model] = rows[0]
        return rows


def _rows_of(book: Book, name: str) -> tuple[PriceRow, ...]:
    if (override := book.overrides.get(name)) is not None:
        return (override,)
    for entry in book.entries:
        if _fits(entry.match, name):
            return entry.rows
    spare = book.spare.get(name)
    return (spare,) if spare is not None else ()


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
