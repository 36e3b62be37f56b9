"""The SQL of people and their sessions.

Somebody who can sign in is also a row of `keys`, of the same id: its rules are what they may do where they are, its
secrets are their sessions. So workers hear of a person who was disabled as fast as of a key that was revoked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.control.audit import log
from gateway.control.database import Database, Row, Session
from gateway.control.people_records import Person
from gateway.control.records import Act, Rules, Secret
from gateway.control.sql_store import add_secret, found_place
from gateway.roles import EVERYWHERE, ROLES, Role, role_in, session_scopes

SESSION_S = 12 * 3600
SESSIONS_KEPT = 20
"""Of one person; a further one ends the oldest."""

_PERSON = (
    "select p.id, p.email, p.name, p.password, p.subject, p.roles, p.created_us, p.disabled_us,"
    " coalesce(k.project, ''), coalesce(k.environment, 'prod') from people p left join keys k on k.id = p.id"
)
_ROW = (
    "insert into keys (id, revision, name, owner, project, environment, rules, created_us, expires_us, revoked_us,"
    " person) values (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?)"
)
_NOWHERE = "default"
_roles = msgspec.json.Decoder(dict[str, Role])


def add(database: Database, person: Person, act: Act) -> Person | None:
    """Write a new person; None if the address is taken."""
    with database.write() as session:
        if _first(session, "p.email = ?", person.email) is not None:
            return None
        told = {"email": person.email, "name": person.name, "roles": person.roles}
        revision = log(session, act, "user.create", person.id, act.within, told)
        session.run(
            "insert into people (id, email, name, password, subject, roles, created_us, disabled_us)"
            " values (?, ?, ?, ?, ?, ?, ?, 0)",
            *(person.id, person.email, person.name, person.password, person.subject),
            *(_text(person.roles), person.created_us),
        )
        project, rules = _rules(person)
        found_place(session, project, person.environment, act)
        session.run(
            _ROW,
            *(person.id, revision, person.name, person.email, project, person.environment),
            *(rules, person.created_us, person.id),
        )
        return _first(session, "p.id = ?", person.id)


def change(database: Database, key: str, decide: Callable[[Person], Person], act: Act) -> Person | None:
    """Write the person as `decide` wants them; None if there is none of this id or address.

    Whoever is disabled, has another password or lost a role has to sign in anew. Nothing is written if it raises.
    """
    with database.write() as session:
        before = _first(session, "p.id = ? or p.email = ?", key, key)
        if before is None:
            return None
        after = decide(before)
        told = _differences(before, after)
        if not told:
            return before
        revision = log(session, act, _action(before, after), before.id, act.within, told)
        session.run(
            "update people set name = ?, password = ?, subject = ?, roles = ?, disabled_us = ? where id = ?",
            *(after.name, after.password, after.subject, _text(after.roles), after.disabled_us, after.id),
        )
        project, rules = _rules(after)
        found_place(session, project, after.environment, act)
        session.run(
            "update keys set revision = ?, name = ?, project = ?, environment = ?, rules = ? where id = ?",
            *(revision, after.name, project, after.environment, rules, after.id),
        )
        if after.disabled_us or (before.password, before.roles) != (after.password, after.roles):
            _end_sessions(session, after.id, act.at_us)
            _end_tokens(session, after, act)
        return _first(session, "p.id = ?", after.id)


def begin_session(database: Database, person_id: str, secret: Secret, act: Act) -> None:
    """Let a browser in."""
    with database.write() as session:
        revision = log(session, act, "user.sign_in", person_id, "", {})
        session.run("update keys set revision = ? where id = ?", revision, person_id)
        # one that was ended is told until it would have ended anyway: some worker may not have heard
        long_ago_us = act.at_us - SESSION_S * 1_000_000
        session.run("delete from secrets where key_id = ? and created_us < ?", person_id, long_ago_us)
        live = session.run(
            "select digest from secrets where key_id = ? and ends_us > ? order by created_us desc",
            *(person_id, act.at_us),
        )
        for (digest,) in live[SESSIONS_KEPT - 1 :]:
            session.run("update secrets set ends_us = ? where digest = ?", act.at_us, digest)
        add_secret(session, person_id, secret)


def end_session(database: Database, digest: str, act: Act) -> None:
    """Let it out again; a session that is none is nobody's."""
    with database.write() as session:
        found = session.run(
            "select key_id from secrets s join keys k on k.id = s.key_id where s.digest = ? and k.person = k.id"
            " and s.ends_us > ?",
            *(digest, act.at_us),
        )
        for (person_id,) in found:
            revision = log(session, act, "user.sign_out", person_id, "", {})
            session.run("update keys set revision = ? where id = ?", revision, person_id)
            session.run("update secrets set ends_us = ? where digest = ?", act.at_us, digest)


def find(database: Database, key: str) -> Person | None:
    """Return the person of this id or address."""
    with database.read() as session:
        return _first(session, "p.id = ? or p.email = ?", key, key)


def find_subject(database: Database, subject: str) -> Person | None:
    """Return the person whom another house calls so."""
    with database.read() as session:
        return _first(session, "p.subject = ?", subject)


def everybody(database: Database) -> list[Person]:
    """Return all, by address."""
    with database.read() as session:
        return [_person(row) for row in session.run(f"{_PERSON} order by p.email")]


def _end_sessions(session: Session, person_id: str, now_us: int) -> None:
    session.run("update secrets set ends_us = ? where key_id = ? and ends_us > ?", now_us, person_id, now_us)


def _end_tokens(session: Session, person: Person, act: Act) -> None:
    """Revoke keys of theirs that may do more than they."""
    rows = session.run(
        "select id, project, rules from keys where person = ? and id <> ? and revoked_us = 0",
        *(person.id, person.id),
    )
    for key_id, project, rules in rows:
        role = role_in(person.roles, project)
        allowed = ROLES[role] if role is not None and not person.disabled_us else ()
        if not set(msgspec.json.decode(rules, type=Rules).scopes) <= set(allowed):
            revision = log(session, act, "key.revoke", key_id, project, {"because": "user.change"})
            session.run(
                "update keys set revision = ?, revoked_us = ? where id = ?", revision, act.at_us, key_id
            )


def _rules(person: Person) -> tuple[str, str]:
    """Return the project of somebody's row in `keys`, and what they may do there."""
    role = role_in(person.roles, person.project) if person.project else None
    scopes = session_scopes(role) if role is not None and not person.disabled_us else ()
    return person.project or _NOWHERE, _text(Rules(scopes=scopes))


def home(roles: Mapping[str, Role]) -> str:
    """Return the project that somebody of these roles sees first; empty: none."""
    own = sorted(project for project in roles if project != EVERYWHERE)
    return own[0] if own else _NOWHERE if EVERYWHERE in roles else ""


def _action(before: Person, after: Person) -> str:
    if bool(before.disabled_us) != bool(after.disabled_us):
        return "user.disable" if after.disabled_us else "user.enable"
    return "user.password" if before.password != after.password else "user.change"


def _differences(before: Person, after: Person) -> dict[str, Any]:
    names = ("name", "roles", "disabled_us", "project", "environment", "subject")
    told: dict[str, Any] = {
        name: [getattr(before, name), getattr(after, name)]
        for name in names
        if getattr(before, name) != getattr(after, name)
    }
    if before.password != after.password:
        told["password"] = "changed"  # noqa: S105 - that it was, not what it is
    return told


def _first(session: Session, condition: str, *values: object) -> Person | None:
    rows = session.run(f"{_PERSON} where {condition}", *values)
    return _person(rows[0]) if rows else None


def _person(row: Row) -> Person:
    names = ("id", "email", "name", "password", "subject", "roles", "created_us", "disabled_us")
    fields = dict(zip((*names, "project", "environment"), row, strict=True))
    person = Person(**{**fields, "roles": _roles.decode(fields["roles"])})
    here = person.project if role_in(person.roles, person.project) else ""
    return msgspec.structs.replace(person, project=here)


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
