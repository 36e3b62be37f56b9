"""Reads the fields of one log, each by its kind, and says of a wrong one how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec

MAX_ID = 255
MAX_TEXT = 16_384
"""Characters of an error message or a note; what is longer is cut."""
MOST_TOKENS = 10**12
"""More than any call takes, and few enough that nine million of them still add up."""
MOST_DOLLARS = Decimal(1_000_000)
MOST_SECONDS = 30 * 86_400.0
MAX_METRICS = 32
MAX_METRIC_NAME = 64
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD_US = 86_400_000_000
"""A clock may be wrong by a time zone, not by more."""

_NULL = b"null"
_MILLIS_FROM, _MICROS_FROM = 1e11, 1e14
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Item = Mapping[str, msgspec.Raw]
"""A log as it was sent: the values are still JSON."""

T = TypeVar("T")

_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Wrong(Exception):
    """A log that cannot be taken: which field is wrong, and what it has to be."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(f"{param}: {message}" if param else message)
        self.param = param


def item_of(raw: bytes) -> dict[str, msgspec.Raw]:
    """Return a log's fields, nulls left out; those inside `respan_params` count where the log itself has none."""
    try:
        raw.decode()
        said = _objects.decode(raw)
    except UnicodeDecodeError as error:
        raise Wrong("", f"byte {error.start} of the log is not UTF-8: encode it as UTF-8") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Wrong("", "a log is a JSON object with flat fields") from error
    for wrapper in ("respan_params", "keywordsai_params"):
        said = {**part(said, wrapper), **said}
    return {name: value for name, value in said.items() if bytes(value) != _NULL}


def part(item: Item, name: str) -> dict[str, msgspec.Raw]:
    """Return a field that is an object; nothing if it is anything else."""
    try:
        return _objects.decode(item[name]) if name in item else {}
    except _UNREADABLE:
        return {}


def first(read: Callable[[Item, str], T], item: Item, *names: str) -> T:
    """Return the first of these fields that says something, else what an absent field says."""
    for name in names:
        if found := read(item, name):
            return found
    return read({}, names[0])


def identifier(item: Item, name: str) -> str:
    """Return an id; numbers are ids as well."""
    if name not in item:
        return ""
    value = _decoded(item, name, str | int, "must be a string or a number")
    text = str(value).strip()
    if text and (len(text) > MAX_ID or not text.isprintable() or text == "*"):
        raise Wrong(name, f"an id has 1 to {MAX_ID} printable characters and is not `*`")
    return text


def text(item: Item, name: str) -> str:
    """Return what somebody wrote, or the JSON of what is no string; cut if it is long."""
    if name not in item:
        return ""
    value = _decoded(item, name, Any, "cannot be read")
    shown = value if isinstance(value, str) else bytes(item[name]).decode()
    return shown[:MAX_TEXT]


def flag(item: Item, name: str) -> bool:
    """Return a yes or no."""
    return name in item and bool(_decoded(item, name, bool | int, "must be true or false"))


def tokens(item: Item, name: str) -> int | None:
    """Return a count of tokens."""
    if name not in item:
        return None
    value: int | float = _decoded(item, name, int | float, "must be a whole number")
    if not 0 <= value <= MOST_TOKENS or value != int(value):
        raise Wrong(
            name, f"must be a whole number from 0 to {MOST_TOKENS:,}: count tokens, not bytes or time"
        )
    return int(value)


def seconds(item: Item, name: str) -> int | None:
    """Return a duration, told in seconds, in microseconds."""
    if name not in item:
        return None
    value = _decoded(item, name, float, "must be a number of seconds")
    if not 0 <= value <= MOST_SECONDS:
        raise Wrong(name, f"must be seconds from 0 to {MOST_SECONDS:,.0f}: is the sender's clock right?")
    return int(value * 1e6 + 0.5)


def dollars(item: Item, name: str) -> int | None:
    """Return an amount, told in dollars, in nano-dollars."""
    if name not in item:
        return None
    try:
        value = _decoded(item, name, Decimal, "must be a number of US dollars")
        if not value.is_finite() or not 0 <= value <= MOST_DOLLARS:
            raise Wrong(name, f"must be US dollars from 0 to {MOST_DOLLARS:,}")
        return int((value * 10**9).to_integral_value(ROUND_HALF_UP))
    except InvalidOperation as error:
        raise Wrong(name, "must be a number of US dollars") from error


def amount(item: Item, name: str) -> float:
    """Return a number that is not negative."""
    value: float = _decoded(item, name, float, "must be a number")
    if value < 0:
        raise Wrong(name, "must not be negative")
    return value


def status_code(item: Item, name: str) -> int | None:
    """Return an HTTP status."""
    if name not in item:
        return None
    value: int = _decoded(item, name, int, "must be an HTTP status, as in 200")
    if not 100 <= value <= 599:
        raise Wrong(name, "must be an HTTP status from 100 to 599")
    return value


def moment(item: Item, name: str, *, now_us: int) -> int | None:
    """Return a time in microseconds since 1970: of ISO 8601 (UTC unless it says otherwise) or seconds since then."""
    if name not in item:
        return None
    rule = "must be ISO 8601, as in 2026-11-21T18:00:00Z, or seconds since 1970"
    value = _decoded(item, name, str | int | float, rule)
    try:
        us = _iso_us(value) if isinstance(value, str) else _epoch_us(value)
    except (ValueError, OverflowError) as error:
        raise Wrong(name, rule) from error
    if us > now_us + AHEAD_US:
        raise Wrong(
            name, "is more than a day ahead of this gateway's clock: set the sender's, or leave it out"
        )
    if us < int(EARLIEST.timestamp()) * 1_000_000:
        raise Wrong(name, "is before the year 2000: tell seconds since 1970, or ISO 8601")
    return us


def metrics(item: Item, name: str) -> dict[str, float]:
    """Return the numbers that a step measured."""
    if name not in item:
        return {}
    rule = f"must be an object of at most {MAX_METRICS} numbers"
    found = _decoded(item, name, dict[str, bool | float], rule)
    if len(found) > MAX_METRICS:
        raise Wrong(name, rule)
    for metric in found:
        if not 1 <= len(metric) <= MAX_METRIC_NAME or not metric.isprintable():
            raise Wrong(
                name, f"{metric[:80]!r}: a metric's name has 1 to {MAX_METRIC_NAME} printable characters"
            )
    return {metric: float(value) for metric, value in found.items()}


def _iso_us(said: str) -> int:
    when = datetime.fromisoformat(said.strip())
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    since = when - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _epoch_us(said: float) -> int:
    """Senders count seconds, milliseconds or microseconds; which one it is shows in the size."""
    if abs(said) >= _MICROS_FROM:
        return int(said)
    return round(said * 1e3) if abs(said) >= _MILLIS_FROM else round(said * 1e6)


def _decoded(item: Item, name: str, kind: type[T] | Any, rule: str) -> Any:  # noqa: ANN401  # as `kind` says
    try:
        return msgspec.json.decode(item[name], type=kind, strict=False)
    except _UNREADABLE as error:
        raise Wrong(name, rule) from error
