"""`/api/people`, `/api/me`, `/api/teams`, and making projects."""

from __future__ import annotations

from gateway.control.asking import LIMIT, LIMIT_PARAMETER, MOST, Asked, Routes, body, number
from gateway.control.openapi import Operation, Parameter
from gateway.control.people import People
from gateway.control.people_words import (
    Done,
    Me,
    MePatch,
    NewPerson,
    NewProject,
    NewTeam,
    NewToken,
    PersonAnswer,
    PersonList,
    PersonPatch,
    TeamAnswer,
    TeamList,
    TeamPatch,
)
from gateway.control.teams import Teams
from gateway.control.tokens import Tokens
from gateway.control.words import IssuedKey, KeyAnswer, KeyPage, ProjectAnswer
from gateway.errors import Forbidden
from gateway.principal import Principal

PROJECT = Parameter("project", "Which project's; default: that of who asks.")


async def _create(people: People, asked: Asked) -> object:
    return await people.create(body(asked, NewPerson), asked.admin)


async def _list(people: People, asked: Asked) -> object:
    return await people.page(asked.admin)


async def _get(people: People, asked: Asked) -> object:
    return await people.get(asked.id, asked.admin)


async def _change(people: People, asked: Asked) -> object:
    return await people.change(asked.id, body(asked, PersonPatch), asked.admin)


async def _me(people: People, asked: Asked) -> object:
    return await people.me(_who(asked))


async def _change_me(people: People, asked: Asked) -> object:
    return await people.change_me(body(asked, MePatch), _who(asked))


PEOPLE: Routes = {
    Operation("POST", "/api/people", "Let somebody sign in.", NewPerson, PersonAnswer, 201): _create,
    Operation("GET", "/api/people", "List who can sign in.", None, PersonList): _list,
    Operation("GET", "/api/people/{id}", "Show somebody, by id or e-mail address.", None, PersonAnswer): _get,
    Operation(
        "PATCH", "/api/people/{id}", "Change roles, name or password; disable.", PersonPatch, PersonAnswer
    ): _change,
    Operation("GET", "/api/me", "Say who asks, and what they may do.", None, Me): _me,
    Operation("PATCH", "/api/me", "Look at another project, or take another password.", MePatch, Me): (
        _change_me
    ),
}


async def _make_token(tokens: Tokens, asked: Asked) -> object:
    return await tokens.create(body(asked, NewToken), _who(asked))


async def _list_tokens(tokens: Tokens, asked: Asked) -> object:
    limit = number(asked, "limit", LIMIT, MOST)
    return await tokens.page(_who(asked), before=asked.query.get("before", ""), limit=limit)


async def _revoke_token(tokens: Tokens, asked: Asked) -> object:
    return await tokens.revoke(asked.id, _who(asked))


TOKENS: Routes = {
    Operation(
        "POST", "/api/me/keys", "Make a key of one's own; it is told this once.", NewToken, IssuedKey, 201
    ): _make_token,
    Operation(
        "GET",
        "/api/me/keys",
        "List one's own keys, newest first.",
        None,
        KeyPage,
        parameters=(
            Parameter("before", "Only older ones than this id: `next_before` of the page before."),
            LIMIT_PARAMETER,
        ),
    ): _list_tokens,
    Operation("POST", "/api/me/keys/{id}/revoke", "End one of them.", None, KeyAnswer): _revoke_token,
}


async def _make_team(teams: Teams, asked: Asked) -> object:
    return await teams.create(body(asked, NewTeam), asked.admin)


async def _list_teams(teams: Teams, asked: Asked) -> object:
    return await teams.page(asked.query.get("project", ""), asked.admin)


async def _change_team(teams: Teams, asked: Asked) -> object:
    project = asked.query.get("project", "")
    return await teams.change(asked.id, project, body(asked, TeamPatch), asked.admin)


async def _delete_team(teams: Teams, asked: Asked) -> object:
    await teams.delete(asked.id, asked.query.get("project", ""), asked.admin)
    return Done()


async def _make_project(teams: Teams, asked: Asked) -> object:
    return await teams.make_project(body(asked, NewProject), asked.admin)


TEAMS: Routes = {
    Operation("POST", "/api/teams", "Make a team.", NewTeam, TeamAnswer, 201): _make_team,
    Operation(
        "GET", "/api/teams", "List teams with their members.", None, TeamList, parameters=(PROJECT,)
    ): _list_teams,
    Operation(
        "PATCH", "/api/teams/{id}", "Say who belongs to it.", TeamPatch, TeamAnswer, parameters=(PROJECT,)
    ): _change_team,
    Operation(
        "DELETE", "/api/teams/{id}", "Take a team away.", None, Done, parameters=(PROJECT,)
    ): _delete_team,
    Operation(
        "POST", "/api/projects", "Make a project, or environments of one.", NewProject, ProjectAnswer, 201
    ): _make_project,
}


def _who(asked: Asked) -> Principal:
    """Return who asks; the house itself is nobody."""
    if asked.principal is None:
        raise Forbidden("over this socket asks the house, which is nobody: sign in", code="no_person")
    return asked.principal
