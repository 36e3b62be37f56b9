"""What a body is told that is not as a route takes it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.control.asking import Asked, body
from gateway.control.budget_words import NewBudget
from gateway.control.keys import Admin
from gateway.control.limit_rules import LimitPatch, NewLimit
from gateway.control.people_words import NewPerson
from gateway.control.words import KeyPatch, NewKey
from gateway.errors import BadRequest


@pytest.mark.parametrize(
    ("shape", "said", "param", "words"),
    [
        (NewLimit, {"name": "x", "per": ["moon"]}, "per", "key, user, team, project, model, route"),
        (LimitPatch, {"when_away": "maybe"}, "when_away", "allow, refuse"),
        (NewBudget, {"name": "x", "per": "route"}, "per", "key, user, team, project"),
        (NewBudget, {"name": "x", "window": "monthly"}, "window", "day, week, month, total"),
        (NewKey, {"name": "x", "memory": "no"}, "memory", "on, read, write, off"),
        (KeyPatch, {"store": "some"}, "store", "full, metadata, none"),
        (
            NewPerson,
            {"email": "a@b.example", "roles": {"shop": "boss"}},
            "roles",
            "owner, admin, engineer, finance, viewer, service",
        ),
    ],
)
def test_a_word_that_is_none_of_those_a_field_takes_is_told_which_there_are(
    shape: type[Any], said: object, param: str, words: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        body(Asked(Admin("local"), None, "", {}, msgspec.json.encode(said)), shape)
    assert refused.value.param == param
    assert str(refused.value).endswith(f". There are: {words}")


def test_a_field_that_takes_any_word_lists_none() -> None:
    with pytest.raises(BadRequest) as refused:
        body(Asked(Admin("local"), None, "", {}, b'{"name": 5}'), NewLimit)
    assert "There are" not in str(refused.value)
