"""Which time a question asks about, seen from the moment it is asked. Pure; seasons are those of the north."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import msgspec

from memory.when import Span, names_a_date, spans_of

Intent = Literal["none", "current", "past", "as_of", "future"]

_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_YEARS_BACK = 3
"""`In July` may be this year's, or that of one of so many years before."""
_NARROWEST, _WIDEST = 7 * _DAY_US, 60 * _DAY_US
"""How slowly nearness to a window ends: things are told days after they happened."""
_EARLY = 0.5
"""What lies before a window counts for so much: mostly it is told afterwards."""

_MODAL = re.compile(r"(?<!\bin )(?<!\bof )(?<!\bon )(?<!\blast )(?<!\bnext )(?<!\bthis )(?<!\bsince )(?<!\bduring )"
                    r"(?<!\bbefore )(?<!\bafter )(?<!\bby )(?<!\d )\b(?:may|march|mar)\b(?! \d)|^May (?=I\b|we\b)")  # fmt: skip
_GERMAN_HERE = re.compile(r"\b(?:ist|sind|war|ich|wer|was|wo|gibt|man|nicht)\b.*\bhier\b|\bhier\b.*\b(?:ist|sind|ich|nicht)\b", re.IGNORECASE)  # fmt: skip
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_EASTERN_MONTH = re.compile(r"\d[月월]")
_SEASONS = {
    3: "spring|frühling|frühjahr|printemps|primavera|春天|春|الربيع",
    6: "summer|sommer|été|verano|夏天|夏|الصيف",
    9: "autumn|(?:last|this|next|the|in) fall|herbst|automne|otoño|秋天|秋|الخريف",
    12: "winter|hiver|invierno|冬天|冬|الشتاء",
}
_SEASON = [(month, re.compile(rf"(?<!\w)(?:{words})")) for month, words in _SEASONS.items()]
_WEEKEND = re.compile(
    r"(?<!\w)(?:weekend|wochenende|week-end|fin de semana)(?!\w)|周末|週末|عطلة نهاية الأسبوع"
)
_RECENT = re.compile(r"(?<!\w)(?:recently|lately|kürzlich|neulich|récemment|recientemente|últimamente)(?!\w)|最近|مؤخر")  # fmt: skip
_LAST = re.compile(r"(?<!\w)(?:last|previous|past|letzte\w*|vorige\w*|derni[eè]re?|pasad[oa])(?!\w)|上|先|去|昨|الماضي")  # fmt: skip
_NEXT = re.compile(
    r"(?<!\w)(?:next|coming|nächste\w*|kommende\w*|prochaine?|próxim[oa])(?!\w)|下|来|來|القادم"
)
_BEFORE = re.compile(r"(?<!\w)(?:before|until|till|prior to|vor dem|vor|bis|avant|jusqu\S*|antes de|hasta)(?!\w)|以前|之前|より前|قبل|حتى")  # fmt: skip
_AFTER = re.compile(
    r"(?<!\w)(?:after|since|nach|seit|après|depuis|después de|desde)(?!\w)|以后|之后|以後|以来|بعد|منذ"
)
_AGO = re.compile(
    r"(?<!\w)(?:vor|hace|il y a) (?:\d|ein|zwei|drei|un|dos|deux|tres|trois)|\d+ ?\S{1,3}(?:以)?前"
)
_PAST = re.compile(
    r"(?<!\w)(?:used to|previously|formerly|back then|in the past|originally|früher|damals|ehemals|autrefois|auparavant"
    r"|anteriormente|solía|antiguamente)(?!\w)|以前(?:的|は|住|在)?|曾经|曾經|过去|過去|昔|سابقا|في الماضي"
)
_CURRENT = re.compile(
    r"(?<!\w)(?:now|currently|these days|nowadays|at the moment|jetzt|derzeit|zurzeit|aktuell|maintenant|actuellement|ahora"
    r"|actualmente)(?!\w)|现在|現在|目前|今は|الآن|حاليا"
)
_FUTURE = re.compile(
    r"(?<!\w)(?:will|going to|upcoming|plan(?:s|ning|ned)? (?:to|for)|werde[nt]?|wird|vorhabe\w*|va|vont|planea\w*)(?!\w)"
    r"|打算|计划|計劃|つもり|予定|سوف|ينوي"
)  # fmt: skip


class Window(msgspec.Struct, frozen=True):
    """From one moment to before another."""

    start_us: int
    end_us: int


class Time(msgspec.Struct, frozen=True):
    """What time a question asks about; without windows, no particular one."""

    intent: Intent = "none"
    windows: tuple[Window, ...] = ()

    @property
    def looks_back(self) -> bool:
        """Say whether what no longer holds may be the answer."""
        return self.intent in ("past", "as_of")

    def nearness(self, at_us: int) -> float:
        """Return 1 within a window, less and less outside; 0 if no time is asked about."""
        return max((_near(window, at_us) for window in self.windows), default=0.0)


def time_of(question: str, now_us: int) -> Time:
    """Return the time a question asks about, in any of the languages known here."""
    plain = _GERMAN_HERE.sub(" ", _MODAL.sub(" ", question))
    lower = plain.casefold().replace("’", "'")
    today = datetime.fromtimestamp(now_us / 1e6, UTC).date()
    spans = _spans(plain, lower, now_us, today)
    windows = tuple(_bounded(lower, spans))
    return Time(_intent(lower, windows, now_us), windows)


def _spans(plain: str, lower: str, now_us: int, today: date) -> list[Span]:
    try:
        named = [*_seasons(lower, today), *_weekends(lower, today)]
        found = named or spans_of(plain, now_us)
        if not found and _RECENT.search(lower):
            return [Span(today - timedelta(days=30), today + timedelta(days=1))]
        if named or not found:
            return found
        if _YEAR.search(lower):
            narrow = [span for span in found if (span.end - span.start).days < 365]
            return (narrow or found)[:2]
        return list(_every_year(found[0])) if _is_yearless(lower, found[0]) else found[:1]
    except (ValueError, OverflowError):  # the 31st of February; a year beyond the calendar
        return []


def _is_yearless(lower: str, span: Span) -> bool:
    long_or_dated = (span.end - span.start).days >= 28 or any(sign.isdigit() for sign in lower)
    named = any(names_a_date(word) for word in re.findall(r"\w+", lower))
    return long_or_dated and (named or _EASTERN_MONTH.search(lower) is not None)


def _every_year(span: Span) -> Iterator[Span]:
    for back in range(_YEARS_BACK + 1):
        year = span.start.year - back
        days = span.end - span.start
        if (span.start.month, span.start.day) != (2, 29):
            start = span.start.replace(year=year)
            yield Span(start, start + days)


def _seasons(lower: str, today: date) -> Iterator[Span]:
    for month, words in _SEASON:
        if words.search(lower):
            given = _YEAR.search(lower)
            this = date(int(given[0]) if given else today.year, month, 1)
            if not given:
                running = _season(this).end > today >= this
                back = _LAST.search(lower) is not None and (this > today or running)
                ahead = _NEXT.search(lower) is not None and this <= today
                this = this.replace(
                    year=this.year + ahead - (back or (this > today and not _NEXT.search(lower)))
                )
            yield _season(this)


def _season(first: date) -> Span:
    months = first.year * 12 + first.month + 2
    return Span(first, date(months // 12, months % 12 + 1, 1))


def _weekends(lower: str, today: date) -> Iterator[Span]:
    if _WEEKEND.search(lower):
        saturday = today + timedelta(days=5 - today.weekday())
        if _LAST.search(lower):
            saturday -= timedelta(days=7)
        elif _NEXT.search(lower):
            saturday += timedelta(days=7)
        yield Span(saturday, saturday + timedelta(days=2))


def _bounded(lower: str, spans: list[Span]) -> Iterator[Window]:
    """Yield the spans' windows; `before` and `after` open them to one side."""
    ago = _AGO.search(lower) is not None
    before, after = not ago and _BEFORE.search(lower), not ago and _AFTER.search(lower)
    for span in spans:
        if before and not after:
            yield Window(0, span.start_us)
        elif after and not before:
            since = span.start_us if re.search(r"since|seit|depuis|desde|以来|منذ", lower) else span.end_us
            yield Window(since, _us(date.max))
        else:
            yield Window(span.start_us, span.end_us)


def _us(day: date) -> int:
    return (day - _EPOCH).days * _DAY_US


def _intent(lower: str, windows: tuple[Window, ...], now_us: int) -> Intent:
    if windows:
        return "future" if all(window.start_us > now_us for window in windows) else "as_of"
    for intent, words in _INTENTS:
        if words.search(lower):
            return intent
    return "none"


_INTENTS: tuple[tuple[Intent, re.Pattern[str]], ...] = (
    ("past", _PAST),
    ("current", _CURRENT),
    ("future", _FUTURE),
)


def _near(window: Window, at_us: int) -> float:
    if window.start_us <= at_us < window.end_us:
        return 1.0
    width = min(max(window.end_us - window.start_us, _NARROWEST), _WIDEST)
    early = at_us < window.start_us
    away = window.start_us - at_us if early else at_us - window.end_us
    return (_EARLY if early else 1.0) * math.exp(-away / width)
