"""What may be said later of a log or a user, and what may not."""

from __future__ import annotations

import msgspec
import pytest

from telemetry.answers import Refusal
from telemetry.logs import amend


def test_ids_words_and_metadata_of_a_log_can_be_changed() -> None:
    fields = amend.of_log(
        b'{"customer_identifier": 7, "thread_identifier": null, "note": "key sk-proj-aB3aB3aB3aB3aB3aB3aB3aB3",'
        b' "positive_feedback": true, "metadata": {"a": 1, "b": {"c":[]}}}'
    )
    assert fields == {
        "user_id": "7",
        "thread_id": "",
        "property:note": "key [secret:api_key]",
        "property:positive_feedback": "true",
        "property:a": "1",
        "property:b": '{"c":[]}',
    }


def test_users_have_words_and_numbers() -> None:
    said = {
        "name": "Ann",
        "email": None,
        "period_budget": 10,
        "budget_duration": "weekly",
        "metadata": {"a": 1},
    }
    assert amend.of_user(msgspec.json.encode(said)) == {
        "name": "Ann",
        "email": "",
        "period_budget": "10.0",
        "budget_duration": "weekly",
        "metadata": '{"a":1}',
    }


@pytest.mark.parametrize(
    "name", ["cost", "usage", "prompt_tokens", "latency", "status", "model", "unique_id"]
)
def test_what_a_log_cost_and_how_it_ended_stays(name: str) -> None:
    with pytest.raises(Refusal, match="stay as they were recorded") as refused:
        amend.of_log(msgspec.json.encode({"note": "x", name: 1}))
    assert (refused.value.status, refused.value.param) == (400, name)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b"{}", None),
        (b'{"customer_identifier": "*"}', "customer_identifier"),
        (b'{"metadata": {' + b",".join(b'"m%d":1' % n for n in range(65)) + b"}}", "metadata"),
        (b'{"note": "\xff"}', None),
    ],
)
def test_what_says_nothing_of_a_log_is_refused(body: bytes, param: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        amend.of_log(body)
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"total_budget": -1}', "total_budget"),
        (b'{"total_budget": "much"}', "total_budget"),
        (b'{"budget_duration": "hourly"}', "budget_duration"),
        (b'{"total_cost": 0}', "total_cost"),
    ],
)
def test_what_says_nothing_of_a_user_is_refused(body: bytes, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        amend.of_user(body)
    assert (refused.value.status, refused.value.param) == (400, param)
