"""Whether a number's own check digits agree with it. Callers have seen to its shape."""

from __future__ import annotations

import re

_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_CHINA_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ODD_LETTERS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_PERMUTED = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_IBAN_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI NL",
    19: "SI",
    20: "AT BA EE KZ LT LU",
    21: "CH HR LI LV",
    22: "BG DE GB GE IE ME RS",
    23: "AE GI IL",
    24: "AD CZ ES MD RO SA SE SK TN",
    25: "PT",
    26: "IS TR",
    27: "FR GR IT MC SM",
    28: "CY HU PL",
    29: "BR QA UA",
    31: "MT",
}
"""By length. Source: SWIFT, IBAN Registry, release 99."""
_IBAN_LENGTHS = {
    country: length for length, countries in _IBAN_COUNTRIES.items() for country in countries.split()
}


def luhn(digits: str) -> bool:
    """Cards: every second digit from the right counts twice."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban(said: str) -> int:
    """Return how many characters of what was written are an IBAN, 0 if none is."""
    length, taken = _IBAN_LENGTHS.get(said[:2], 0), 0
    for place, char in enumerate(said):
        taken += char != " "
        if taken == length:
            code = said[: place + 1].replace(" ", "")
            number = "".join(str(int(char, 36)) for char in code[4:] + code[:4])
            return place + 1 if int(number) % 97 == 1 else 0
    return 0


def spain(said: str) -> bool:
    """DNI and NIE: the letter is the number modulo 23."""
    number = said[:8].translate(str.maketrans("XYZ", "012"))
    return _DNI[int(number) % 23] == said[-1]


def france(said: str) -> bool:
    """NIR: the key is 97 less the number modulo 97; Corsica's letters count as 19 and 18."""
    digits = said.replace(" ", "")
    number = digits[:13].replace("2A", "19").replace("2B", "18")
    return number.isdecimal() and 97 - int(number) % 97 == int(digits[13:])


def italy(said: str) -> bool:
    """Codice fiscale: characters at odd places count by a table."""
    values = [int(char) if char.isdecimal() else ord(char) - 65 for char in said[:15]]
    total = sum(_ODD_LETTERS[value] if place % 2 == 0 else value for place, value in enumerate(values))
    return chr(65 + total % 26) == said[15]


def brazil(said: str) -> bool:
    """CPF: two digits, each from a weighted sum of those before it."""
    digits = [int(char) for char in re.sub(r"\D", "", said)]
    if len(set(digits)) == 1:
        return False
    for place in (9, 10):
        total = sum(digit * (place + 1 - at) for at, digit in enumerate(digits[:place]))
        if total * 10 % 11 % 10 != digits[place]:
            return False
    return True


def china(said: str) -> bool:
    """Resident identity number: ISO 7064, MOD 11-2."""
    total = sum(int(digit) * weight for digit, weight in zip(said[:17], _CHINA_WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == said[17].upper()


def india(said: str) -> bool:
    """Aadhaar: Verhoeff's dihedral check."""
    check = 0
    for place, digit in enumerate(reversed(said.replace(" ", ""))):
        value = int(digit)
        for _ in range(place % 8):
            value = _PERMUTED[value]
        check = _dihedral(check, value)
    return check == 0


def _dihedral(a: int, b: int) -> int:
    """Multiply in the symmetry group of the pentagon: 0-4 are turns, 5-9 are flips."""
    turn = (a + b) % 5 if a < 5 else (a - b) % 5
    return turn + 5 * ((a >= 5) != (b >= 5))
