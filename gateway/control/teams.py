"""Teams and projects: who belongs together, and where calls are counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from gateway.clock import Clock
from gateway.control.audit import log
from gateway.control.database import Database, Session
from gateway.control.keys import Admin, check_text
from gateway.control.people_records import Team
from gateway.control.people_words import NewProject, NewTeam, TeamAnswer, TeamList, TeamPatch, team_answer
from gateway.control.records import Act
from gateway.control.records_thread import Records
from gateway.control.sql_store import found_place
from gateway.control.words import ProjectAnswer, project_answer
from gateway.errors import BadRequest, GatewayError

_TEAMS = (
    "select t.project, t.name, t.created_us, coalesce(p.email, '') from teams t"
    " left join team_members m on m.project = t.project and m.team = t.name left join people p on p.id = m.person"
    " where ? in ('', t.project) and ? in ('', t.name) order by t.project, t.name, p.email"
)


class UnknownTeam(GatewayError):
    """No team of this name in the project."""

    status = 404
    code = "team_not_found"
    type = "invalid_request_error"


class TeamTaken(GatewayError):
    """The project has a team of this name."""

    status = 409
    code = "team_exists"
    type = "invalid_request_error"


class Teams:
    """What an admin may do with teams and projects."""

    def __init__(self, records: Records, told: Callable[[], Awaitable[None]], clock: Clock) -> None:
        self._records = records
        self._told = told
        self._clock = clock

    async def create(self, wanted: NewTeam, admin: Admin) -> TeamAnswer:
        """Make a team."""
        project = _within(wanted.project, admin)
        check_text("name", wanted.name)
        check_text("project", project)
        act, members = self._act(admin), _lower(wanted.members)

        def work(database: Database) -> Team | None:
            with database.write() as session:
                if _teams(session, project, wanted.name):
                    return None
                found_place(session, project, "prod", act)
                log(session, act, "team.create", wanted.name, project, {"members": members})
                session.run("insert into teams values (?, ?, ?)", project, wanted.name, act.at_us)
                _fill(session, project, wanted.name, members)
                return _teams(session, project, wanted.name)[0]

        made = await self._records.query(work)
        if made is None:
            raise TeamTaken(f"{project} has a team {wanted.name!r}: change that one", param="name")
        return team_answer(made)

    async def page(self, project: str, admin: Admin) -> TeamList:
        """Return teams, by project and name."""
        if not self._records.there or (admin.within and project not in ("", admin.within)):
            return TeamList([])

        def work(database: Database) -> list[Team]:
            with database.read() as session:
                return _teams(session, admin.within or project)

        return TeamList([team_answer(one) for one in await self._records.query(work)])

    async def change(self, name: str, project: str, patch: TeamPatch, admin: Admin) -> TeamAnswer:
        """Say who belongs to a team from now on."""
        project, act, members = _within(project, admin), self._act(admin), _lower(patch.members)

        def work(database: Database) -> Team | None:
            with database.write() as session:
                found = _teams(session, project, name)
                if not found or found[0].members == members:
                    return found[0] if found else None
                log(session, act, "team.change", name, project, {"members": [found[0].members, members]})
                session.run("delete from team_members where project = ? and team = ?", project, name)
                _fill(session, project, name, members)
                return _teams(session, project, name)[0]

        after = await self._records.query(work) if self._records.there else None
        if after is None:
            raise UnknownTeam(f"there is no team {name!r} that you may see", param="id")
        return team_answer(after)

    async def delete(self, name: str, project: str, admin: Admin) -> None:
        """Take a team away; keys that name it keep the name."""
        project, act = _within(project, admin), self._act(admin)

        def work(database: Database) -> bool:
            with database.write() as session:
                if not _teams(session, project, name):
                    return False
                log(session, act, "team.delete", name, project, {})
                session.run("delete from team_members where project = ? and team = ?", project, name)
                session.run("delete from teams where project = ? and name = ?", project, name)
                return True

        if not self._records.there or not await self._records.query(work):
            raise UnknownTeam(f"there is no team {name!r} that you may see", param="id")

    async def make_project(self, wanted: NewProject, admin: Admin) -> ProjectAnswer:
        """Make a project, or environments of one."""
        project, act = _within(wanted.id, admin, "id"), self._act(admin)
        check_text("project", project)
        for environment in wanted.environments:
            check_text("environment", environment)

        def work(database: Database) -> None:
            with database.write() as session:
                for environment in wanted.environments:
                    found_place(session, project, environment, act)

        await self._records.query(work)
        (made,) = await self._records.do(lambda store: store.projects(project))
        await self._told()
        return project_answer(made)

    def _act(self, admin: Admin) -> Act:
        return admin.act(self._clock.now_us())


def _within(project: str, admin: Admin, param: str = "project") -> str:
    """Return the project that is meant; raise Forbidden for one that is not this admin's."""
    admin.check_project(project or admin.within, param=param)
    return project or admin.within or "default"


def _lower(members: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({member.lower() for member in members}))


def _fill(session: Session, project: str, name: str, members: Sequence[str]) -> None:
    for email in members:
        found = session.run("select id, roles from people where email = ?", email)
        roles = msgspec.json.decode(found[0][1]) if found else {}
        if project not in roles and "*" not in roles:
            raise BadRequest(
                f"members: {email!r} is nobody with a role in {project!r}: `tidegate users create` first",
                code="invalid_value",
                param="members",
            )
        session.run(
            "insert into team_members (project, team, person) values (?, ?, ?)", project, name, found[0][0]
        )


def _teams(session: Session, project: str, name: str = "") -> list[Team]:
    found: dict[tuple[str, str], Team] = {}
    for at, called, created_us, email in session.run(_TEAMS, project, name):
        known = found.get((at, called), Team(at, called, (), created_us))
        members = (*known.members, email) if email else known.members
        found[at, called] = msgspec.structs.replace(known, members=members)
    return list(found.values())
