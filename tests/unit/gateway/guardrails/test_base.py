"""Matches and the marks in their place."""

from __future__ import annotations

import msgspec

from gateway.guardrails.base import Match, apart, redacted


def test_of_overlapping_matches_the_first_and_longest_counts() -> None:
    matches = [Match(4, 6, "c"), Match(0, 3, "a"), Match(0, 5, "b")]
    assert [match.kind for match in apart(matches)] == ["b"]
    assert redacted("0123456789", matches) == "[b]56789"


def test_json_inside_a_text_stays_json() -> None:
    text = '{"card": 4111, "to": "x\\", 42, y", "all": [42]}'
    first, last = text.index("42"), text.rindex("42")
    matches = [Match(9, 13, "card"), Match(first, first + 2, "n"), Match(last, last + 2, "n")]
    said = msgspec.json.decode(redacted(text, matches, code=True))
    assert said == {"card": "[card]", "to": 'x", [n], y', "all": ["[n]"]}
