r"""Regular expressions that people write into settings: RE2's, which take time linear in the text, whatever they say.

Its syntax: https://github.com/google/re2/wiki/Syntax (2026-11). No look-around, no back references; `\b` knows ASCII.
"""

from __future__ import annotations

import re

MOST_MEMORY = 8 << 20
"""Bytes that one pattern may take."""


class BadPattern(Exception):
    """A pattern that cannot be used; the message says why."""


def compiled(pattern: str) -> re.Pattern[str]:
    """Return the pattern ready for use; raise BadPattern."""
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415 - 3 MB that an installation without patterns does not spend

    options = re2.Options()
    options.log_errors = False
    options.max_mem = MOST_MEMORY
    try:
        found: re.Pattern[str] = re2.compile(pattern, options)
    except re2.error as error:
        why = error.args[0] if error.args else b""
        raise BadPattern(why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)) from error
    return found
