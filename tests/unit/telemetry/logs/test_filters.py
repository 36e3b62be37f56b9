"""Filters: what they take, what they refuse, and that no value becomes SQL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.answers import Refusal
from telemetry.logs.columns import COLUMNS
from telemetry.logs.filters import MOST_FILTERS, OPERATORS, Filter, condition_of


def refusal(*filters: Filter) -> Refusal:
    with pytest.raises(Refusal) as refused:
        condition_of(list(filters))
    return refused.value


@given(st.sampled_from(OPERATORS), st.text(min_size=1, max_size=20).map(lambda text: f"'{text}{{x:String}}"))
def test_no_value_and_no_name_becomes_a_part_of_the_query(operator: str, hostile: str) -> None:
    value = "true" if operator == "isnull" else hostile
    condition = condition_of([Filter(field=f"metadata__{hostile}", operator=operator, value=value)])
    plain = condition_of([Filter(field="metadata__a", operator=operator, value="true")])
    assert condition.sql == plain.sql
    assert hostile in condition.parameters.values()


def test_filters_are_joined_from_the_left() -> None:
    a, b, c = (Filter(field=name, value="x") for name in ("model", "status", "note"))
    either = Filter(field="status", value="x", connector="OR")
    one, two, three = (condition_of([each]).sql for each in (a, b, c))
    two, three = two.replace("f0", "f1"), three.replace("f0", "f2")
    assert condition_of([a, either, c]).sql == f"(({one} OR {two}) AND {three})"


def test_an_id_that_all_must_have_is_looked_up_in_the_index() -> None:
    user = Filter(field="customer_identifier", value=["ann", "bob"])
    index = condition_of([Filter(field="cost", operator="gt", value=1), user]).index
    assert index == (COLUMNS["customer_identifier"], ["ann", "bob"])
    either = Filter(field="cost", operator="gt", value=1, connector="OR")
    assert condition_of([user, either]).index is None
    assert condition_of([Filter(field="customer_identifier", operator="not", value="ann")]).index is None
    assert condition_of([Filter(field="customer_identifier", value="")]).index is None


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (Filter(field="modle", value="x"), "did you mean 'model'"),
        (Filter(field="metadata", value="x"), "cannot be filtered"),
        (Filter(field="metadata__", value="x"), "cannot be filtered"),
        (Filter(field="model", operator="like", value="x"), "operator 'like'"),
        (Filter(field="model"), "1 to 1000 values"),
        (Filter(field="model", value="x" * 5000), "4096 characters"),
        (Filter(field="cost", operator="gt", value="much"), "not a number"),
        (Filter(field="cost", operator="contains", value=1), "not for a number"),
        (Filter(field="failed", value="maybe"), "neither true nor false"),
        (Filter(field="failed", operator="gt", value="true"), "not for a flag"),
        (Filter(field="start_time", operator="gt", value="soon"), "not a time"),
        (Filter(field="model", operator="isnull", value="perhaps"), "neither true nor false"),
    ],
)
def test_a_wrong_filter_is_named_with_what_is_wrong(wrong: Filter, why: str) -> None:
    refused = refusal(wrong)
    assert refused.param == wrong.field
    assert refused.status == 400
    assert why in str(refused)


def test_there_is_an_end_to_filters() -> None:
    assert "at most" in str(refusal(*[Filter(field="model", value="x")] * (MOST_FILTERS + 1)))
