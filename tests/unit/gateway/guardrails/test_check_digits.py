"""Check digits, from the examples that the authorities print."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guardrails.check_digits import brazil, china, france, iban, india, italy, luhn, spain


@pytest.mark.parametrize(
    ("holds", "number"),
    [
        (luhn, "4111111111111111"),
        (luhn, "378282246310005"),
        (spain, "12345678Z"),
        (spain, "X1234567L"),
        (france, "255081416802538"),
        (italy, "RSSMRA85T10A562S"),
        (brazil, "529.982.247-25"),
        (india, "4991 1866 5246"),
        (china, "11010519491231002X"),
    ],
)
def test_a_real_number_holds_and_no_neighbour_of_it(holds: Callable[[str], bool], number: str) -> None:
    assert holds(number)
    place = next(at for at, char in enumerate(number) if char.isdigit())
    other = str((int(number[place]) + 1) % 10)
    assert not holds(number[:place] + other + number[place + 1 :])


def test_an_iban_is_as_long_as_its_country_says() -> None:
    assert iban("DE89 3704 0044 0532 0130 00") == 27
    assert iban("DE89370400440532013000 AND MORE") == 22
    assert iban("DE88370400440532013000") == 0
    assert iban("XX89370400440532013000") == 0


@given(st.text(alphabet="0123456789", min_size=12, max_size=18), st.integers(0, 17))
def test_luhn_notices_every_single_wrong_digit(digits: str, place: int) -> None:
    place %= len(digits)
    wrong = digits[:place] + str((int(digits[place]) + 1) % 10) + digits[place + 1 :]
    assert not (luhn(digits) and luhn(wrong))
