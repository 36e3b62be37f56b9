from __future__ import annotations

import pytest

from memory.errors import BadMemory, BadScope
from memory.filters import EVERYTHING, All, Compare, Not, Some, read


def test_the_scope_is_taken_out_wherever_it_may_stand():
    filters = {"user_id": "alice", "AND": [{"agent_id": {"eq": "guide"}}, {"AND": [{"run_id": "r"}]}]}
    assert read(filters) == ({"user_id": "alice", "agent_id": "guide", "run_id": "r"}, EVERYTHING)
    assert read(None) == ({}, EVERYTHING)


def test_conditions_are_read():
    assert read({"kind": ["fact", "plan"]})[1] == All(
        (Some((Compare("kind", "=", "fact"), Compare("kind", "=", "plan"))),)
    )
    assert read({"NOT": {"metadata.x": {"ne": None}}})[1] == All(
        (Not(Some((All((Compare("metadata", "<>", None, "x"),)),))),)
    )
    assert read({"occurred_at": {"gte": "2026-01-01", "lt": 1_800_000_000}})[1] == All(
        (
            Compare("occurred_us", ">=", 1_767_225_600_000_000),
            Compare("occurred_us", "<", 1_800_000_000_000_000),
        )
    )


@pytest.mark.parametrize(
    "filters",
    [
        {"OR": [{"user_id": "alice"}]},
        {"NOT": {"user_id": "alice"}},
        {"AND": [{"OR": [{"run_id": "r"}]}]},
        {"user_id": "alice", "AND": [{"user_id": "bob"}]},
        {"metadata": {"user_id": "bob"}},
        {"metadata": {"x": "*"}},
        {"kind": "*"},
        {"kind": {"like": "%"}},
        {"kind": {"in": []}},
        {"metadata.x": {"eq": {"a": 1}}},
        {"created_at": "2026-01-01"},
        {"created_at": {"eq": "2026-01-01"}},
        {"created_at": {"gte": "soon"}},
        {"project": "other"},
        {"AND": []},
        {"AND": ["x"]},
        {"1 = 1; --": 1},
        {"AND": [{"AND": [{"AND": [{"AND": [{"AND": [{"kind": "fact"}]}]}]}]}]},
        {"OR": [{"kind": str(number)} for number in range(21)]},
    ],
)
def test_what_is_no_filter_is_refused(filters):
    with pytest.raises(BadMemory):
        read(filters)


@pytest.mark.parametrize("value", [None, "", 1, ["a"], {"in": ["a", "b"]}, {"ne": "a"}])
def test_an_id_is_one_text(value):
    with pytest.raises(BadScope):
        read({"AND": [{"user_id": value}]})
