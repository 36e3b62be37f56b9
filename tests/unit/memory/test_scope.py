from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.errors import BadScope
from memory.scope import Scope, sees

IDS = st.sampled_from(["", "a", "b"])
SCOPES: st.SearchStrategy[dict[str, str]] = st.fixed_dictionaries(
    {
        "project": st.sampled_from("pq"),
        "environment": st.sampled_from("xy"),
        "user": IDS,
        "agent": IDS,
        "run": IDS,
    }
).filter(lambda ids: any(ids[name] for name in ("user", "agent", "run")))


def scope(**ids: Any) -> Scope:
    return Scope(**{"project": "p", "environment": "prod", **ids})


def test_a_scope_that_names_nobody_is_refused():
    with pytest.raises(BadScope) as refused:
        scope()
    assert refused.value.code == "scope_missing"


@pytest.mark.parametrize("name", ["project", "environment", "user", "agent", "run"])
@pytest.mark.parametrize(
    "value", ["*", " ", "a ", "\ta", "a\nb", "a\x00", "x" * 256, "a\u202eb", None, {"ne": "a"}]
)
def test_what_could_mean_somebody_else_is_no_id(name, value):
    with pytest.raises(BadScope) as refused:
        scope(**{"user": "u", name: value})
    assert refused.value.param == name


@pytest.mark.parametrize("name", ["project", "environment"])
def test_project_and_environment_are_never_missing(name):
    with pytest.raises(BadScope):
        scope(**{"user": "u", name: ""})


def test_ids_may_be_long_and_in_any_script():
    assert scope(user="ü" * 255).user == "ü" * 255
    assert scope(run="用户 7%'_\"").run == "用户 7%'_\""


def test_a_user_sees_what_was_said_to_any_agent_but_an_agent_sees_no_users_words():
    said = scope(user="a", agent="guide", run="r")
    assert sees(scope(user="a"), said)
    assert sees(scope(user="a", run="r"), said)
    assert not sees(scope(user="a", agent="coach"), said)
    assert not sees(scope(agent="guide"), said)
    assert not sees(scope(run="r"), said)
    assert sees(scope(agent="guide"), scope(agent="guide", run="r"))
    assert not sees(scope(run="r"), scope(agent="guide", run="r"))


@given(SCOPES, SCOPES)
def test_visibility_needs_the_same_owner(reader_ids, writer_ids):
    reader, writer = Scope(**reader_ids), Scope(**writer_ids)
    if sees(reader, writer):
        assert (reader.project, reader.environment, reader.user) == (
            writer.project,
            writer.environment,
            writer.user,
        )
        assert reader.owner() == writer.owner()
        assert reader.agent in ("", writer.agent)
        assert reader.run in ("", writer.run)


@given(SCOPES)
def test_every_scope_sees_what_it_wrote(ids):
    assert sees(Scope(**ids), Scope(**ids))


def test_owners_do_not_collide_by_gluing_names_together():
    owners = {
        scope(project=project, user=user).owner()
        for project, user in (("p", "qr"), ("pq", "r"), ('p","q', "r"), ("p", 'q","r'))
    }
    owners |= {scope(agent="qr").owner(), scope(run="qr").owner()}
    assert len(owners) == 6
