"""Which dates a statement may mean, seen from the day on which it was made. Pure.

For checking what a model wrote, not for answering questions: where words are ambiguous, each reading counts.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import msgspec

_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_NUMBERS = {
    word: number
    for number, words in enumerate(
        ("", "a an one ein eine einem einer un une una um uma один одну 一 한", "two zwei deux dos due dois duas два две 两 二 두",
         "three drei trois tres tre três три 三 세", "four vier quatre cuatro quattro quatro четыре 四 네",
         "five fünf cinq cinco cinque пять 五", "six sechs seis sei шесть 六", "seven sieben sept siete sette sete семь 七",
         "eight acht huit ocho otto oito восемь 八", "nine neun neuf nueve nove девять 九", "ten zehn dix diez dieci dez десять 十")
    )
    for word in words.split()
}  # fmt: skip
_RELATIVE = {
    ("day", 0): "today tonight heute aujourd'hui hoy oggi hoje сегодня 今天 今日 오늘 اليوم",
    ("day", -1): "yesterday gestern hier ayer ieri ontem вчера 昨天 昨日 어제 أمس",
    ("day", 1): "tomorrow morgen demain mañana domani amanhã завтра 明天 明日 내일 غدا غدًا",
    ("day", -2): "vorgestern avant-hier anteayer позавчера 前天 一昨日 그저께",
    ("day", 2): "übermorgen après-demain послезавтра 后天 後天 明後日 모레",
    ("week", -1): "last_week letzte_woche la_semaine_dernière la_semana_pasada la_settimana_scorsa na_semana_passada на_прошлой_неделе 上周 上週 上星期 先週 지난주",
    ("week", 0): "this_week diese_woche cette_semaine esta_semana questa_settimana 这周 這週 今週 이번_주",
    ("week", 1): "next_week nächste_woche la_semaine_prochaine la_próxima_semana la_prossima_settimana на_следующей_неделе 下周 下週 来週 다음_주",
    ("month", -1): "last_month letzten_monat le_mois_dernier el_mes_pasado il_mese_scorso mês_passado в_прошлом_месяце 上个月 上個月 先月 지난달",
    ("month", 0): "this_month diesen_monat ce_mois-ci este_mes questo_mese 这个月 這個月 今月 이번_달",
    ("month", 1): "next_month nächsten_monat le_mois_prochain el_próximo_mes il_prossimo_mese próximo_mês в_следующем_месяце 下个月 下個月 来月 다음_달",
    ("year", -1): "last_year letztes_jahr l'année_dernière el_año_pasado l'anno_scorso ano_passado в_прошлом_году 去年 昨年 작년 العام_الماضي",
    ("year", 0): "this_year dieses_jahr cette_année este_año quest'anno este_ano в_этом_году 今年 올해",
    ("year", 1): "next_year nächstes_jahr l'année_prochaine el_próximo_año l'anno_prossimo próximo_ano в_следующем_году 明年 来年 내년",
}  # fmt: skip
_MONTHS = (
    "january januar janvier enero gennaio janeiro января январь jan",
    "february februar février febrero febbraio fevereiro февраля февраль feb",
    "march märz mars marzo março марта март mar",
    "april avril abril aprile апреля апрель apr",
    "may mai mayo maggio maio мая май",
    "june juni juin junio giugno junho июня июнь jun",
    "july juli juillet julio luglio julho июля июль jul",
    "august août agosto августа август aug",
    "september septembre septiembre settembre setembro сентября сентябрь sep sept",
    "october oktober octobre octubre ottobre outubro октября октябрь oct",
    "november novembre noviembre novembro ноября ноябрь nov",
    "december dezember décembre diciembre dicembre dezembro декабря декабрь dec",
)
_WEEKDAYS = (
    "monday montag lundi lunes lunedì понедельник 星期一 周一 月曜日 月曜 월요일 الاثنين",
    "tuesday dienstag mardi martes martedì вторник 星期二 周二 火曜日 火曜 화요일 الثلاثاء",
    "wednesday mittwoch mercredi miércoles mercoledì среду среда 星期三 周三 水曜日 水曜 수요일 الأربعاء",
    "thursday donnerstag jeudi jueves giovedì четверг 星期四 周四 木曜日 木曜 목요일 الخميس",
    "friday freitag vendredi viernes venerdì пятницу пятница 星期五 周五 金曜日 金曜 금요일 الجمعة",
    "saturday samstag samedi sábado sabato субботу суббота 星期六 周六 土曜日 土曜 토요일 السبت",
    "sunday sonntag dimanche domingo domenica воскресенье 星期日 星期天 周日 日曜日 日曜 일요일 الأحد",
)
_UNITS = {
    "day": "day days tag tage tagen jour jours día días giorno giorni dia dias день дня дней 天 日 일",
    "week": "week weeks woche wochen semaine semaines semana semanas settimana settimane неделю недели недель 周 週 星期 週間 주",
    "month": "month months monat monate monaten mois mes meses mese mesi mês месяц месяца месяцев 个月 個月 か月 ヶ月 개월",
    "year": "year years jahr jahre jahren an ans année années año años anno anni ano anos год года лет 年 년",
}  # fmt: skip


def _names(rows: tuple[str, ...]) -> dict[str, int]:
    return {name: number for number, names in enumerate(rows) for name in names.split()}


def _one_of(words: list[str]) -> str:
    longest_first = sorted(words, key=len, reverse=True)
    return "|".join(re.escape(word.replace("_", " ")) for word in longest_first)


_MONTH, _WEEKDAY = _names(_MONTHS), _names(_WEEKDAYS)
_UNIT = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_RELATIVES = {word.replace("_", " "): key for key, words in _RELATIVE.items() for word in words.split()}
_COUNT = rf"(\d{{1,3}}|{_one_of(list(_NUMBERS))})"
_UNIT_WORD = rf"({_one_of(list(_UNIT))})"
_RELATIVE_WORD = re.compile(rf"(?<![a-zà-ÿа-я])({_one_of(list(_RELATIVES))})(?![a-zà-ÿа-я])")
_AGO = re.compile(
    rf"{_COUNT} ?{_UNIT_WORD} (?:ago|fa|atrás|назад)|(?:vor|il y a|hace|há) {_COUNT} {_UNIT_WORD}|{_COUNT} ?{_UNIT_WORD} ?(?:前|以前|之前|전)"
)
_AHEAD = re.compile(
    rf"(?:in|dans|en|dentro de|tra|fra|daqui a|через) {_COUNT} {_UNIT_WORD}|{_COUNT} ?{_UNIT_WORD} ?(?:from now|后|後|뒤|후)"
)
_NAMED_DAY = re.compile(rf"(?<!\w)({_one_of(list(_WEEKDAY))})")
_ISO = re.compile(r"(?<!\d)(\d{4})-(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
_NUMERIC = re.compile(r"(?<!\d)(\d{1,2})[./](\d{1,2})(?:[./](\d{4}|\d{2}))?(?!\d)")
_EASTERN = re.compile(r"(?:(\d{4})[年년] ?)?(\d{1,2})[月월] ?(?:(\d{1,2})[日号號일])?")
_DAY_MONTH = re.compile(
    rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th|º|\.|er)? (?:de |of )?({_one_of(list(_MONTH))})(?!\w)\.?(?:,? (?:de )?(\d{{4}}))?"
)
_MONTH_DAY = re.compile(
    rf"(?<!\w)({_one_of(list(_MONTH))})(?!\w)\.? (?:the )?(\d{{1,2}})(?:st|nd|rd|th)?(?!\d)(?:,? (\d{{4}}))?"
)
_MONTH_ONLY = re.compile(rf"(?<!\w)({_one_of(list(_MONTH))})(?!\w)\.?(?: (?:de |of )?(\d{{4}}))?")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


class Span(msgspec.Struct, frozen=True, order=True):
    """From one day to before another."""

    start: date
    end: date

    @property
    def start_us(self) -> int:
        """Microseconds since 1970 of its beginning, UTC."""
        return (self.start - _EPOCH).days * _DAY_US

    @property
    def end_us(self) -> int:
        """... of its end."""
        return (self.end - _EPOCH).days * _DAY_US


def spans_of(text: str, said_us: int) -> list[Span]:
    """Return every date the text may name, best reading first; `said_us` is when it was said."""
    said = datetime.fromtimestamp(said_us / 1e6, UTC).date()
    lower = text.casefold().replace("’", "'")
    found: list[Span] = []
    for read in (_written, _relative, _named):
        try:
            found += read(lower, said)
        except (ValueError, OverflowError):  # a 31st of February, a year beyond the calendar
            continue
    return list(dict.fromkeys(found))


def words_of(span: Span) -> set[str]:
    """Return how a date may be written: its numbers, and the names of its months and weekdays."""
    last = span.end - timedelta(days=1)
    days = {span.start, last} if (span.end - span.start).days > 7 else set(_days(span))
    words: set[str] = set()
    for day in days:
        words |= {str(day.year), str(day.month), f"{day.month:02}", str(day.day), f"{day.day:02}"}
        words |= set(_MONTHS[day.month - 1].split()) | set(_WEEKDAYS[day.weekday()].split())
    return words


def names_a_date(word: str) -> bool:
    """Say whether this is the name of a month or a weekday."""
    return word in _MONTH or word in _WEEKDAY


def _days(span: Span) -> Iterator[date]:
    day = span.start
    while day < span.end:
        yield day
        day += timedelta(days=1)


def _unit(unit: str, said: date, offset: int) -> Span:
    if unit == "day":
        return _of_day(said + timedelta(days=offset))
    if unit == "week":
        monday = said - timedelta(days=said.weekday()) + timedelta(weeks=offset)
        return Span(monday, monday + timedelta(days=7))
    if unit == "month":
        month = said.year * 12 + said.month - 1 + offset
        return _of_month(month // 12, month % 12 + 1)
    return Span(date(said.year + offset, 1, 1), date(said.year + offset + 1, 1, 1))


def _of_day(day: date) -> Span:
    return Span(day, day + timedelta(days=1))


def _of_month(year: int, month: int) -> Span:
    last = calendar.monthrange(year, month)[1]
    return Span(date(year, month, 1), date(year, month, last) + timedelta(days=1))


def _relative(text: str, said: date) -> Iterator[Span]:
    for match in _RELATIVE_WORD.finditer(text):
        yield _unit(*_args(_RELATIVES[match[1]], said))
    for pattern, sign in ((_AGO, -1), (_AHEAD, 1)):
        for match in pattern.finditer(text):
            count, unit = [group for group in match.groups() if group]
            number = int(count) if count.isdecimal() else _NUMBERS[count]
            exact = _UNIT[unit]
            if exact == "week":
                yield _of_day(said + timedelta(weeks=sign * number))
            yield _unit(exact, said, sign * number)


def _args(key: tuple[str, int], said: date) -> tuple[str, date, int]:
    return key[0], said, key[1]


def _named(text: str, said: date) -> Iterator[Span]:
    for match in _NAMED_DAY.finditer(text):
        ahead = (_WEEKDAY[match[1]] - said.weekday()) % 7
        for offset in (ahead, ahead - 7, ahead + 7):
            yield _of_day(said + timedelta(days=offset))


def _written(text: str, said: date) -> Iterator[Span]:
    for match in _ISO.finditer(text):
        yield _dated(match[1], match[2], match[3], said)
    for match in _EASTERN.finditer(text):
        yield _dated(match[1], match[2], match[3], said)
    for match in _DAY_MONTH.finditer(text):
        yield _dated(match[3], str(_MONTH[match[2]] + 1), match[1], said)
    for match in _MONTH_DAY.finditer(text):
        yield _dated(match[3], str(_MONTH[match[1]] + 1), match[2], said)
    for match in _MONTH_ONLY.finditer(text):
        yield _dated(match[2], str(_MONTH[match[1]] + 1), None, said)
    for match in _NUMERIC.finditer(text):
        year = f"20{match[3]}" if match[3] and len(match[3]) == 2 else match[3]
        for day, month in ((match[1], match[2]), (match[2], match[1])):
            if int(month) <= 12:
                yield _dated(year, month, day, said)
    for match in _YEAR.finditer(text):
        yield Span(date(int(match[0]), 1, 1), date(int(match[0]) + 1, 1, 1))


def _dated(year: str | None, month: str, day: str | None, said: date) -> Span:
    """Return the day or the month; without a year it is the one that was said in."""
    number = int(year) if year else said.year
    return _of_day(date(number, int(month), int(day))) if day else _of_month(number, int(month))
