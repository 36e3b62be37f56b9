"""People, teams and credentials, over a file and over a real Postgres server: the same requests, the same answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import people_calls as calls
from gateway.control import people_store
from gateway.control.credentials import sealed_credentials
from gateway.control.records import Act
from gateway.settings import Control, Settings
from tests.fakes.hub_control import Hub

PASSWORD = "correct horse battery"
SECRET = "sk-canary-0123456789"


@pytest.fixture
async def hub(tmp_path: Path, control_url: str) -> AsyncIterator[Hub]:
    made = Hub(tmp_path, Settings(control=Control(url=control_url)))
    yield made
    await made.close()


async def done(hub: Hub, method: str, path: str, body: object = None) -> Any:
    status, answer = await hub.ask(method, path, body)
    assert status < 300, answer
    return answer


async def test_a_person_is_found_again_as_made_and_changed(hub: Hub) -> None:
    roles = {"shop": "engineer", "ü": "viewer"}
    made = await done(hub, "POST", "/api/people", {"email": "ada@x.example", "roles": roles, "name": "Äda"})
    assert await done(hub, "GET", f"/api/people/{made['id']}") == made
    assert (await hub.ask("POST", "/api/people", {"email": "ADA@x.example", "roles": {}}))[0] == 409
    path = "/api/people/ada@x.example"
    changed = await done(hub, "PATCH", path, {"roles": {"ü": None, "lab": "admin"}, "disabled": True})

    assert changed["roles"] == {"shop": "engineer", "lab": "admin"}
    assert changed["disabled_at"]
    assert (await done(hub, "PATCH", path, {"disabled": False}))["disabled_at"] is None
    assert [one["email"] for one in (await done(hub, "GET", "/api/people"))["people"]] == ["ada@x.example"]
    before = len((await done(hub, "GET", "/api/audit"))["lines"])
    await done(hub, "PATCH", path, {"name": "Äda"})  # nothing new
    assert len((await done(hub, "GET", "/api/audit"))["lines"]) == before


async def test_a_session_is_a_secret_of_a_row_that_workers_hear_of(hub: Hub) -> None:
    wanted = {"email": "ada@x.example", "roles": {"shop": "engineer"}, "password": PASSWORD}
    made = await done(hub, "POST", "/api/people", wanted)
    login = calls.Login("ada@x.example", PASSWORD, "10.0.0.1")
    token = (await hub.call(calls.SIGN_IN, login))["token"]  # type: ignore[index]

    async def row() -> Any:
        return (await hub.control._records.do(lambda store: store.changed(0, 10)))[-1]

    live = await row()
    assert (live.id, live.person, live.project, live.rules.scopes) == (
        made["id"],
        made["id"],
        "shop",
        ("read", "write", "memory"),
    )
    assert [one.digest for one in live.secrets] == [calls.session_digest(token)]
    await hub.call(calls.SIGN_OUT, calls.session_digest(token))
    ended = await row()
    assert ended.revision > live.revision
    assert live.secrets[0].ends_us > ended.secrets[0].ends_us > 0
    await hub.call(calls.SIGN_IN, login)
    await done(hub, "PATCH", f"/api/people/{made['id']}", {"disabled": True})
    assert all(one.ends_us <= hub.clock.us for one in (await row()).secrets)
    assert (await row()).rules.scopes == ()


async def test_a_subject_of_an_issuer_is_one_person(hub: Hub) -> None:
    await done(hub, "POST", "/api/people", {"email": "ada@x.example", "roles": {}})

    def know(person: Any) -> Any:
        return person.__class__(**{**_fields(person), "subject": "issuer u-1"})

    records = hub.control._records
    act = Act("me", 5)
    await records.query(lambda database: people_store.change(database, "ada@x.example", know, act))
    found = await records.query(lambda database: people_store.find_subject(database, "issuer u-1"))
    assert found is not None
    assert found.email == "ada@x.example"
    assert await records.query(lambda database: people_store.find_subject(database, "issuer u-2")) is None


def _fields(person: Any) -> dict[str, Any]:
    return {name: getattr(person, name) for name in person.__struct_fields__}


async def test_teams_and_projects_are_kept(hub: Hub) -> None:
    await done(hub, "POST", "/api/people", {"email": "ada@x.example", "roles": {"shop": "viewer"}})
    made = await done(hub, "POST", "/api/teams", {"name": "blue", "project": "shop"})
    assert made["members"] == []
    await done(hub, "PATCH", "/api/teams/blue?project=shop", {"members": ["ada@x.example"]})
    await done(hub, "POST", "/api/projects", {"id": "lab", "environments": ["test"]})

    (team,) = (await done(hub, "GET", "/api/teams"))["teams"]
    assert (team["project"], team["members"]) == ("shop", ["ada@x.example"])
    await done(hub, "DELETE", "/api/teams/blue?project=shop")
    assert (await done(hub, "GET", "/api/teams"))["teams"] == []
    projects = {
        one["id"]: one["environments"] for one in (await done(hub, "GET", "/api/projects"))["projects"]
    }
    assert projects == {"lab": ["test"], "shop": ["prod"]}


async def test_a_credential_is_set_again_and_taken_away(hub: Hub) -> None:
    for secret in (SECRET, f"{SECRET}2"):
        await done(hub, "PUT", "/api/credentials/openai", {"secret": secret})

    sealed = await hub.control._records.query(sealed_credentials)
    assert list(sealed) == ["openai"]
    assert SECRET not in str(sealed)
    await done(hub, "DELETE", "/api/credentials/openai")
    assert await hub.control._records.query(sealed_credentials) == {}
