"""Numbers as people read them."""

from __future__ import annotations


def dollars(nano: int) -> str:
    """Nano-dollars as dollars, exact, without a float and without needless zeros."""
    whole, rest = divmod(abs(nano), 1_000_000_000)
    fraction = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}${whole}.{fraction}"


def duration(us: int) -> str:
    """Microseconds, in the unit that fits."""
    if us < 1000:
        return f"{us} us"
    if us < 1_000_000:
        return f"{us / 1000:.1f} ms"
    if us < 60_000_000:
        return f"{us / 1_000_000:.2f} s"
    minutes, seconds = divmod(us // 1_000_000, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
