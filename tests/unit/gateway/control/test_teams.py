"""Teams and projects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.hub_control import Hub, admin


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    made = Hub(tmp_path)
    for email, roles in (("ada@x.example", {"shop": "viewer"}), ("bea@x.example", {"*": "finance"})):
        assert (await made.ask("POST", "/api/people", {"email": email, "roles": roles}))[0] == 201
    yield made
    await made.close()


async def test_a_team_has_members_who_belong_to_its_project(hub: Hub) -> None:
    wanted = {
        "name": "blue",
        "project": "shop",
        "members": ["BEA@x.example", "ada@x.example", "ada@x.example"],
    }
    status, made = await hub.ask("POST", "/api/teams", wanted)

    assert (status, made["members"]) == (201, ["ada@x.example", "bea@x.example"])
    assert (await hub.ask("GET", "/api/teams"))[1] == {"teams": [made]}
    assert (await hub.ask("POST", "/api/teams", wanted))[0] == 409
    for stranger in ("nobody@x.example", "ada@x.example"):
        body = {"name": "red", "project": "lab", "members": [stranger]}
        assert (await hub.ask("POST", "/api/teams", body))[0] == 400
    assert (await hub.ask("GET", "/api/teams?project=lab"))[1] == {"teams": []}


async def test_a_team_is_changed_and_taken_away(hub: Hub) -> None:
    await hub.ask("POST", "/api/teams", {"name": "blue/green", "project": "shop"})
    path = "/api/teams/blue%2Fgreen?project=shop"

    for _ in range(2):
        status, changed = await hub.ask("PATCH", path, {"members": ["ada@x.example"]})
        assert (status, changed["members"]) == (200, ["ada@x.example"])
    assert (await hub.ask("DELETE", path))[0] == 200
    assert (await hub.ask("DELETE", path))[0] == 404
    assert (await hub.ask("PATCH", path, {"members": []}))[0] == 404
    lines = (await hub.ask("GET", "/api/audit"))[1]["lines"]
    actions = [line["action"] for line in lines if line["target"] == "blue/green"]
    assert actions == ["team.delete", "team.change", "team.create"]


async def test_an_admin_of_a_project_has_its_teams_only(hub: Hub) -> None:
    await hub.ask("POST", "/api/teams", {"name": "blue", "project": "shop"})
    lab = admin("lab")

    assert (await hub.ask("GET", "/api/teams", by=lab))[1] == {"teams": []}
    assert (await hub.ask("GET", "/api/teams?project=shop", by=lab))[1] == {"teams": []}
    assert (await hub.ask("PATCH", "/api/teams/blue?project=shop", {"members": []}, by=lab))[0] == 403
    assert (await hub.ask("PATCH", "/api/teams/blue", {"members": []}, by=lab))[0] == 404
    assert (await hub.ask("DELETE", "/api/teams/blue?project=shop", by=lab))[0] == 403
    assert (await hub.ask("POST", "/api/teams", {"name": "x", "project": "shop"}, by=lab))[0] == 403
    assert (await hub.ask("DELETE", "/api/teams/blue", by=admin("shop")))[0] == 200


async def test_projects_are_made_with_their_environments(hub: Hub) -> None:
    status, made = await hub.ask("POST", "/api/projects", {"id": "lab", "environments": ["prod", "test"]})

    assert (status, made["environments"]) == (201, ["prod", "test"])
    assert (await hub.ask("POST", "/api/projects", {"id": "lab"}, by=admin("shop")))[0] == 403
    grown = {"id": "lab", "environments": ["stage"]}
    assert (await hub.ask("POST", "/api/projects", grown, by=admin("lab")))[1]["environments"] == [
        "prod", "stage", "test",
    ]  # fmt: skip
    for name in ("*", " lab", ""):
        assert (await hub.ask("POST", "/api/projects", {"id": name}))[0] == 400
