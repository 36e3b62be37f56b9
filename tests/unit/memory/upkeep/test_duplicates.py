from __future__ import annotations

import pytest

from memory.store.sql_upkeep_reads import Statement
from memory.upkeep.duplicates import repeated
from tests.fakes.tidied_memory import Gist

ONE = "Ann really has 2 cats in Oslo"


def statement(text: str, *alike: object, id_: str = "x") -> Statement:
    return Statement(id=id_, seq=1, scope_id=1, text=text, alike=alike, vector=Gist().embed([text])[0])


def test_paraphrases_with_the_same_facets_are_repeated():
    other = statement("Ann just has 2 cats in Oslo")
    assert list(repeated(statement(ONE), [other])) == [other]


@pytest.mark.parametrize(
    "text", ["Ann really has 3 cats in Oslo", "Bob really has 2 cats in Oslo", "Ann never has 2 cats in Oslo"]
)
def test_another_number_name_or_a_negation_is_another_statement_however_near(text):
    other = statement(text)
    near = Statement(
        **{name: getattr(other, name) for name in other.__struct_fields__} | {"vector": statement(ONE).vector}
    )
    assert not list(repeated(statement(ONE), [near]))


def test_what_somebody_else_said_or_what_expires_is_not_the_same():
    assert not list(repeated(statement(ONE, "ann"), [statement(ONE, "bob")]))
