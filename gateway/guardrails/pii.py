"""What identifies a person, by its shape and its check digits: in any script that has digits, between any letters.

Sources: RFC 5321 (addresses), ITU E.164 (telephone numbers), ISO/IEC 7812 (cards), ISO 13616 (IBAN), and the
authorities named beside each national number. All read November 2026.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

import msgspec

from gateway.guardrails.base import Match, apart
from gateway.guardrails.check_digits import brazil, china, france, iban, india, italy, luhn, spain

KINDS = ("email", "phone", "card", "iban", "national_id")

_LETTER = r"A-Za-z0-9\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff"  # of scripts that put spaces between words
_EMAIL = re.compile(
    rf"(?<![{_LETTER}._%+-])[{_LETTER}][{_LETTER}._%+'-]{{0,63}}@"
    rf"(?:[{_LETTER}](?:[{_LETTER}-]{{0,62}})\.){{1,8}}[A-Za-z\u00c0-\u024f\u0400-\u04ff]{{2,24}}"
)
_PHONE = re.compile(r"(?<![\dA-Za-z.+_-])(?:\+|00)?[(]?\d[\d ().\u00a0/-]{5,22}\d(?![\dA-Za-z_]|[.,-]\d)")
_CARD = re.compile(r"(?<![\dA-Za-z_-])\d(?:[ \u00a0-]?\d){12,18}(?![\dA-Za-z_]|-\d)")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9])")
_SPLIT = re.compile(r"[ \u00a0()./-]+")
_DATE = re.compile(r"\(?(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})\b")
_MOST_HELD = 96
_RUNS = (
    re.compile(rf"[{_LETTER}][{_LETTER}._%+'@-]*+\Z"),  # of an address
    re.compile(r"[\d+(][\d ().\u00a0/+-]*+\Z"),  # of a number
    re.compile(r"[A-Z0-9][A-Z0-9 ]*+\Z"),  # of an IBAN
)


class _National(msgspec.Struct, frozen=True):
    pattern: re.Pattern[str]
    holds: Callable[[str], bool]


def _id(pattern: str, holds: Callable[[str], bool] = bool) -> _National:
    return _National(re.compile(rf"(?<![\dA-Za-z_-]){pattern}(?![\dA-Za-z_]|-\d)"), holds)


_NATIONAL = (
    # United States: ssa.gov, "Social Security Number Randomization"
    _id(r"(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}"),
    # United Kingdom: gov.uk NIM39110, National Insurance numbers
    _id(r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]"),
    # Spain: interior.gob.es, letter of DNI and NIE
    _id(r"[XYZ\d]\d{7}-?[A-HJ-NP-TV-Z]", spain),
    # France: insee.fr, numero d'inscription au repertoire
    _id(r"[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}", france),
    # Italy: agenziaentrate.gov.it, codice fiscale
    _id(r"[A-Z]{6}[\dLMNP-V]{2}[A-EHLMPR-T][\dLMNP-V]{2}[A-Z][\dLMNP-V]{3}[A-Z]", italy),
    # Brazil: gov.br/receitafederal, CPF
    _id(r"\d{3}\.\d{3}\.\d{3}-\d{2}", brazil),
    # India: uidai.gov.in, Aadhaar
    _id(r"[2-9]\d{3} \d{4} \d{4}", india),
    # China: GB 11643-1999
    _id(r"[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dXx]", china),
)


class Pii:
    """Looks for what identifies a person; `kinds` are of `KINDS`."""

    def __init__(self, kinds: tuple[str, ...] = ()) -> None:
        wanted = kinds or KINDS
        self._finders = [finder for kind, finder in _FINDERS.items() if kind in wanted]

    def find(self, text: str) -> list[Match]:
        """Return what a text tells; digits of any script count as digits."""
        plain = text if text.isascii() else _digits_plain(text)
        return apart(match for finder in self._finders for match in finder(plain))

    def open_from(self, text: str) -> int:
        """Hold the run of characters at the end that could be part of a number or an address."""
        tail = text[-_MOST_HELD:]
        held = max(len(tail) - _run_start(run, tail) for run in _RUNS)
        return len(text) - held


def _run_start(run: re.Pattern[str], tail: str) -> int:
    found = run.search(tail)
    return found.start() if found is not None else len(tail)


def _digits_plain(text: str) -> str:
    """Return the text with every decimal digit as 0-9; as long as before."""
    return "".join(
        str(unicodedata.decimal(char)) if not char.isascii() and char.isdecimal() else char for char in text
    )


def _emails(text: str) -> Iterator[Match]:
    if "@" in text:
        yield from (Match(*found.span(), "email") for found in _EMAIL.finditer(text))


def _phones(text: str) -> Iterator[Match]:
    for found in _PHONE.finditer(text):
        if _is_phone(found[0]):
            yield Match(*found.span(), "phone")


def _is_phone(said: str) -> bool:
    """Say whether it is dialled: with a country code, or in groups as nobody writes another number."""
    digits = re.sub(r"\D", "", said)
    if not 7 <= len(digits) <= 15 or _DATE.match(said):
        return False
    if said.startswith(("+", "00")):
        return len(digits) >= 8
    groups = [group for group in _SPLIT.split(said) if group]
    if len(groups) < 2 or max(map(len, groups)) > 8 or len(set(digits)) < 3:
        return False
    begins = said.startswith(("(", "0")) or (len(digits) == 10 and [*map(len, groups)] == [3, 3, 4])
    return begins and len(digits) >= 9


def _cards(text: str) -> Iterator[Match]:
    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if digits[0] in "23456" and len(set(digits)) > 1 and luhn(digits):
            yield Match(*found.span(), "card")


def _ibans(text: str) -> Iterator[Match]:
    for found in _IBAN.finditer(text):
        if (length := iban(found[0])) > 0:
            yield Match(found.start(), found.start() + length, "iban")


def _nationals(text: str) -> Iterator[Match]:
    for national in _NATIONAL:
        for found in national.pattern.finditer(text):
            if national.holds(found[0]):
                yield Match(*found.span(), "national_id")


_FINDERS: dict[str, Callable[[str], Iterator[Match]]] = {
    "email": _emails,
    "card": _cards,
    "iban": _ibans,
    "national_id": _nationals,
    "phone": _phones,
}
