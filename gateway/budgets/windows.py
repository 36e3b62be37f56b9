"""Days, weeks and months as a place's calendar has them."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from gateway.settings import Period
from gateway.zones import zone_of

_SECOND_US = 1_000_000


def window(period: Period, zone: str, now_us: int) -> tuple[int, int]:
    """Return when the present window began and will end, in microseconds since 1970; (0, 0) if it is all time.

    A day begins at midnight there, or at the day's first moment where clocks are put forward over it; a week on Monday.
    """
    if period == "total":
        return 0, 0
    place = zone_of(zone)
    today = datetime.fromtimestamp(now_us // _SECOND_US, place).replace(
        hour=0, minute=0, second=0, microsecond=0, tzinfo=None, fold=0
    )
    start, end = today, today + timedelta(days=1)
    if period == "week":
        start = today - timedelta(days=today.weekday())
        end = start + timedelta(days=7)
    elif period == "month":
        start = today.replace(day=1)
        end = (start + timedelta(days=32)).replace(day=1)
    return _us(start, place), _us(end, place)


def _us(local: datetime, place: tzinfo) -> int:
    return int(local.replace(tzinfo=place).timestamp()) * _SECOND_US
