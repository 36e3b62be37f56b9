"""How long a provider asks to be left alone. Pure: the time of day is the one its answer says.

Sources (2026-11): RFC 9110, section 10.2.3; https://platform.openai.com/docs/guides/rate-limits;
https://docs.anthropic.com/en/api/rate-limits; `retry-after-ms` is Azure OpenAI's, and read by OpenAI's own clients.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gateway.providers.base import Headers

LIMITED = 429
_LONGEST_S = 86_400 * 7
_LIMIT = re.compile(
    rb"x-ratelimit-(?P<end>reset|remaining)-(?P<kind>requests|tokens)"
    rb"|anthropic-ratelimit-(?P<named>[a-z-]+)-(?P<what>reset|remaining)"
)
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS_S = (86_400, 3600, 60, 1, 0.001)


def retry_after_s(status: int, headers: Headers) -> float | None:
    """Return the seconds to wait, by the most exact header that says so; None if none does."""
    found = {name: value.decode("latin-1").strip() for name, value in headers}
    now = _date(found.get(b"date", ""))
    for name, unit in ((b"retry-after-ms", 1000.0), (b"retry-after", 1.0)):
        said = found.get(name, "")
        wait = _number(said)
        seconds = _until(_date(said), now) if wait is None else wait / unit
        if seconds is not None and 0 <= seconds < _LONGEST_S:
            return seconds
    return _until_reset(found, now) if status == LIMITED else None


def _until_reset(found: dict[bytes, str], now: datetime | None) -> float | None:
    """Return when the limits that are used up are full again; if none says it is, the first that is."""
    resets: dict[bytes, float] = {}
    spent: set[bytes] = set()
    for name, said in found.items():
        if (match := _LIMIT.fullmatch(name)) is None:
            continue
        kind = match["kind"] or match["named"]
        if (match["end"] or match["what"]) == b"remaining":
            if _number(said) == 0:
                spent.add(kind)
        elif (seconds := _duration(said, now)) is not None and 0 <= seconds < _LONGEST_S:
            resets[kind] = seconds
    used_up = [resets[kind] for kind in spent if kind in resets]
    return max(used_up) if used_up else min(resets.values(), default=None)


def _duration(said: str, now: datetime | None) -> float | None:
    """Read `6m0s`, `20ms`, `7.66s`, plain seconds or a date."""
    if (seconds := _number(said)) is not None:
        return seconds
    if said and (match := _DURATION.fullmatch(said)) is not None:
        return sum(float(part) * unit for part, unit in zip(match.groups(), _UNITS_S, strict=True) if part)
    return _until(_date(said), now)


def _number(said: str) -> float | None:
    return float(said) if re.fullmatch(r"\d{1,12}(?:\.\d{1,9})?", said) else None


def _until(moment: datetime | None, now: datetime | None) -> float | None:
    """Return the seconds in between; what is past is now."""
    return max(0.0, (moment - now).total_seconds()) if moment is not None and now is not None else None


def _date(said: str) -> datetime | None:
    """Read a date of HTTP's, or of RFC 3339."""
    if not said:
        return None
    try:
        found = datetime.fromisoformat(said) if "T" in said[8:12] else parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
