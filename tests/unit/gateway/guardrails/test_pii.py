"""Personal data in running text of many languages, and what only looks like it."""

from __future__ import annotations

import pytest

from gateway.guardrails.pii import Pii


def found(text: str, *kinds: str) -> list[tuple[str, str]]:
    return [(match.kind, text[match.start : match.end]) for match in Pii(kinds).find(text)]


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("write to Ada.Lovelace+x@mail.example.com!", "email", "Ada.Lovelace+x@mail.example.com"),
        ("\u6211\u7684\u90ae\u7bb1\u662ffoo@bar.com\u8c22\u8c22", "email", "foo@bar.com"),
        ("j\u00f6rg@m\u00fcller.de", "email", "j\u00f6rg@m\u00fcller.de"),
        ("ring +49 170 1234567 bitte", "phone", "+49 170 1234567"),
        ("call (212) 555-0100 now", "phone", "(212) 555-0100"),
        ("au 06 12 34 56 78.", "phone", "06 12 34 56 78"),
        ("card 4111 1111 1111 1111", "card", "4111 1111 1111 1111"),
        ("\u0628\u0637\u0627\u0642\u0629 \u0664" + "\u0661" * 15, "card", "\u0664" + "\u0661" * 15),
        ("DE89 3704 0044 0532 0130 00 THANKS", "iban", "DE89 3704 0044 0532 0130 00"),
        ("ssn 123-45-6789", "national_id", "123-45-6789"),
        ("NI AB 12 34 56 C", "national_id", "AB 12 34 56 C"),
        ("DNI 12345678Z", "national_id", "12345678Z"),
        ("CPF 529.982.247-25", "national_id", "529.982.247-25"),
    ],
)
def test_it_is_found_between_any_letters(text: str, kind: str, what: str) -> None:
    assert found(text) == [(kind, what)]
    assert found(text, *{"email", "phone"} - {kind}) in ([], [("phone", what)])


@pytest.mark.parametrize(
    "text",
    [
        "on 2026-11-22 10:00:00",
        "from 192.168.100.200",
        "1.234.567,89 and 3.14159265358979",
        "order 2024-1234-5678, timestamp 1700000000000",
        "card 4111 1111 1111 1112",
        "uuid 550e8400-e29b-41d4-a716-446655440000",
        "a@b, @home, v1.2.3",
    ],
)
def test_other_numbers_are_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("text", ["mail ada@exa", "card 4111 11", "DE89 3704 00", "+49 170 "])
def test_what_may_go_on_is_held_and_nothing_before_it(text: str) -> None:
    held = text[Pii().open_from(text) :]
    assert held
    assert len(held) < len(text) or not text[0].isalpha() or text.startswith("DE")
    assert Pii().open_from("A sentence that is over.") >= len("A sentence that is ")


@pytest.mark.parametrize("text", ["1 " * 40_000, "a@" * 40_000, "a" * 80_000 + "@", "0.1" * 30_000])
def test_no_text_takes_more_than_linear_time(text: str) -> None:
    Pii().find(text)  # minutes, if it were not so
