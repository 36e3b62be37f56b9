"""Bodies of every gateway whose users may come to this one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import claims
from gateway.errors import BadRequest

USER, THREAD, EVENT = "user_id", "thread_id", "event_id"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"user": "X"}, USER),
        ({"safety_identifier": "X"}, USER),
        ({"metadata": {"user_id": "X"}}, USER),
        ({"metadata": {"customer_identifier": "X"}}, USER),
        ({"customer_identifier": "X"}, USER),
        ({"customer_params": {"customer_identifier": "X"}}, USER),
        ({"metadata": {"_user": "X"}}, USER),
        ({"metadata": {"trace_user_id": "X"}}, USER),
        ({"metadata": {"langfuse_user_id": "X"}}, USER),
        ({"mem0_params": {"user_id": "X"}}, USER),
        ({"respan_params": {"customer_identifier": "X"}}, USER),
        ({"keywordsai_params": {"customer_params": {"customer_identifier": "X"}}}, USER),
        ({"metadata": {"agent_id": "X"}}, "agent_id"),
        ({"litellm_session_id": "X"}, THREAD),
        ({"metadata": {"session_id": "X"}}, THREAD),
        ({"thread_identifier": "X"}, THREAD),
        ({"session_identifier": "X"}, THREAD),
        ({"trace_group_identifier": "X"}, THREAD),
        ({"session_id": "X"}, THREAD),
        ({"metadata": {"langfuse_session_id": "X"}}, THREAD),
        ({"conversation": "X"}, THREAD),
        ({"conversation": {"id": "X"}}, THREAD),
        ({"custom_identifier": "X"}, EVENT),
        ({"metadata": {"event_id": "X"}}, EVENT),
        ({"tensorzero::episode_id": "X"}, EVENT),
        ({"respan_params": {"custom_identifier": "X"}}, EVENT),
        ({"metadata": {"trace_id": "X"}}, "trace_id"),
        ({"trace_unique_id": "X"}, "trace_id"),
        ({"trace": {"trace_id": "X"}}, "trace_id"),
        ({"span_parent_id": "X"}, "parent_span_id"),
        ({"metadata": {"parent_span_id": "X"}}, "parent_span_id"),
        ({"metadata": {"generation_name": "X"}}, "step"),
        ({"span_name": "X"}, "step"),
        ({"metadata": {"environment": "X"}}, "environment"),
    ],
    ids=str,
)
def test_each_place_fills_its_field(body: dict[str, Any], field: str) -> None:
    assert claims.read(body).ids == {field: "X"}


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"user": "A"}, {"safety_identifier": "B"}),
        ({"user": "A"}, {"customer_identifier": "B"}),
        ({"customer_identifier": "A"}, {"respan_params": {"customer_identifier": "B"}}),
        ({"trace_group_identifier": "A"}, {"thread_identifier": "B"}),
    ],
    ids=str,
)
def test_the_first_place_counts(better: dict[str, Any], worse: dict[str, Any]) -> None:
    (found,) = claims.read({**worse, **better}).ids.values()

    assert found == "A"


def test_a_cache_key_is_no_thread() -> None:
    assert claims.read({"prompt_cache_key": "k"}).ids == {}


def test_the_session_in_claude_codes_user_is_the_thread() -> None:
    found = claims.read({"metadata": {"user_id": "user_ab12_account_c3_session_d4-e5"}})

    assert found.ids == {"user_id": "user_ab12_account_c3", "thread_id": "d4-e5"}


@pytest.mark.parametrize(
    ("said", "ids"),
    [
        ('{"device_id":"d","account_uuid":"a","session_id":"s"}', {"user_id": "a", "thread_id": "s"}),
        ('{"device_id":"d","account_uuid":"","session_id":"s"}', {"user_id": "d", "thread_id": "s"}),
        ("{not json", {"user_id": "{not json"}),
    ],
)
def test_the_object_that_newer_ones_send_is_parted_as_well(said: str, ids: dict[str, str]) -> None:
    assert claims.read({"metadata": {"user_id": said}}).ids == ids


@pytest.mark.parametrize(
    "user",
    [
        "guest_session_1",
        "user_session_1",
        "user_a_session_1",
        '{"id":"ada"}',
        '{"session_id":"s"}',
        '{"account_uuid":"a"}',
        '{"account_uuid":["a"],"session_id":"s"}',
        '{"account_uuid":"*","session_id":"s"}',
    ],
)
def test_an_id_that_only_resembles_claude_codes_stays_whole(user: str) -> None:
    assert claims.read({"user": user}).ids == {"user_id": user}


def test_tags_and_properties_are_gathered() -> None:
    found = claims.read(
        {
            "metadata": {"tags": ["a", " b ", 7, "a"], "tier": "gold", "n": 3, "beta": True, "deep": {}},
            "tensorzero::tags": {"tier": "lower", "zone": "eu"},
            "providerOptions": {"gateway": {"tags": "b,c"}},
            "properties": {"more": "1"},
        }
    )

    assert found.tags == ("a", "b", "c")
    assert found.properties == {"tier": "gold", "n": "3", "beta": "true", "zone": "eu", "more": "1"}


@pytest.mark.parametrize("user", ["", "   ", "*", "a\nb", "x" * 256, None, ["a"], True, {"id": "x"}])
def test_what_a_provider_would_take_and_is_no_id_is_none(user: object) -> None:
    assert claims.read({"user": user}).ids == {}


@pytest.mark.parametrize("name", ["customer_identifier", "custom_identifier", "thread_identifier"])
@pytest.mark.parametrize("value", ["*", "a\nb", "x" * 256])
def test_a_wrong_id_in_a_field_of_a_gateway_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadRequest) as caught:
        claims.read({name: value})

    assert caught.value.param == name


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
names = st.sampled_from(sorted({path.split(".")[0] for paths in claims.PLACES.values() for path in paths}))


@given(st.dictionaries(names | st.just("tensorzero::tags"), json | st.dictionaries(names, json)))
def test_any_body_is_read_or_refused(body: dict[str, Any]) -> None:
    try:
        found = claims.read(body)
    except BadRequest as error:
        assert error.param  # noqa: PT017 - either way is right
        return

    assert all(claims.is_id(value) for value in found.ids.values())
    assert len(found.properties) <= claims.MAX_PROPERTIES
    assert len(found.tags) <= claims.MAX_TAGS
