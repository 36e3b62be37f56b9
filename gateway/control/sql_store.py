"""The control records in SQL that every database here understands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gateway.control.audit import SELECT, lines_of, log
from gateway.control.database import Database, Row, Session
from gateway.control.records import (
    Act,
    AuditLine,
    Draft,
    Key,
    Narrowing,
    Project,
    Rules,
    Secret,
)
from gateway.control.store import KeyEnded, SecretTaken
from gateway.key_pages import Position

_KEY = (
    "id, revision, name, owner, project, environment, rules, created_us, expires_us, revoked_us, team, person"
)
_SECRETS = "select key_id, digest, prefix, created_us, ends_us from secrets where key_id in ({})"
_rules = msgspec.json.Decoder(Rules)


class SqlStore:
    """A `ControlStore` over any `Database` whose tables are there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, draft: Draft, secret: Secret, act: Act) -> Key:
        """Write a new key; its project and environment are made if they are new. Raises SecretTaken."""
        with self._database.write() as session:
            found_place(session, draft.project, draft.environment, act)
            told = msgspec.to_builtins(draft.rules)
            told |= {"name": draft.name, "owner": draft.owner, "team": draft.team}
            told |= {"environment": draft.environment}
            told |= {"expires_us": draft.expires_us, "prefix": secret.prefix}
            revision = log(session, act, "key.create", draft.id, draft.project, told)
            key = Key(
                id=draft.id,
                revision=revision,
                name=draft.name,
                owner=draft.owner,
                project=draft.project,
                environment=draft.environment,
                rules=draft.rules,
                created_us=act.at_us,
                expires_us=draft.expires_us,
                revoked_us=0,
                secrets=(secret,),
                team=draft.team,
                person=draft.person,
            )
            rules = _text(key.rules)
            session.run(
                f"insert into keys ({_KEY}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",  # noqa: S608 - a constant
                *(key.id, revision, key.name, key.owner, key.project, key.environment),
                *(rules, key.created_us, key.expires_us, key.team, key.person),
            )
            add_secret(session, key.id, secret)
            return key

    def change(self, key_id: str, decide: Callable[[Key], Key], act: Act) -> Key | None:
        """Write the key as `decide` wants it: name, owner, rules, expiry. Nothing is written if it raises."""
        with self._database.write() as session:
            before = _changeable(session, key_id, act)
            if before is None:
                return None
            after = decide(before)
            told = _differences(before, after)
            if not told:
                return before
            revision = log(session, act, "key.change", key_id, before.project, told)
            session.run(
                "update keys set revision = ?, name = ?, owner = ?, team = ?, rules = ?, expires_us = ? where id = ?",
                *(
                    revision,
                    after.name,
                    after.owner,
                    after.team,
                    _text(after.rules),
                    after.expires_us,
                    key_id,
                ),
            )
            return msgspec.structs.replace(after, revision=revision)

    def rotate(self, key_id: str, secret: Secret, former_ends_us: int, act: Act) -> Key | None:
        """Add a secret; those before it end at `former_ends_us`, or sooner if they do already. Raises SecretTaken."""
        with self._database.write() as session:
            key = _changeable(session, key_id, act)
            if key is None:
                return None
            told = {"prefix": secret.prefix, "former_ends_us": former_ends_us}
            revision = log(session, act, "key.rotate", key_id, key.project, told)
            session.run("update keys set revision = ? where id = ?", revision, key_id)
            session.run("delete from secrets where key_id = ? and ends_us between 1 and ?", key_id, act.at_us)
            session.run(
                "update secrets set ends_us = ? where key_id = ? and (ends_us = 0 or ends_us > ?)",
                *(former_ends_us, key_id, former_ends_us),
            )
            add_secret(session, key_id, secret)
            return _find(session, key_id, act.within)

    def revoke(self, key_id: str, act: Act) -> Key | None:
        """End the key and all its secrets, for good; once more does nothing."""
        with self._database.write() as session:
            key = _find(session, key_id, act.within)
            if key is None or key.revoked_us:
                return key
            revision = log(session, act, "key.revoke", key_id, key.project, {})
            session.run(
                "update keys set revision = ?, revoked_us = ? where id = ?", revision, act.at_us, key_id
            )
            return msgspec.structs.replace(key, revision=revision, revoked_us=act.at_us)

    def find(self, key_id: str, within: str) -> Key | None:
        """Return the key; `within`: only if it belongs to this project."""
        with self._database.read() as session:
            return _find(session, key_id, within)

    def keys(self, which: Narrowing) -> list[Key]:
        """Return keys, newest first."""
        wanted = {
            "project = ?": which.project,
            "environment = ?": which.environment,
            "owner = ?": which.owner,
            "team = ?": which.team,
            "person = ?": which.person,
            "id < ?": which.before,
        }
        given = {condition: value for condition, value in wanted.items() if value}
        where = " and ".join(["person <> id", *given])  # who is signed in is no key
        sql = f"select {_KEY} from keys where {where} order by id desc limit ?"  # noqa: S608 - constants, values apart
        with self._database.read() as session:
            return _keys(session, session.run(sql, *given.values(), which.limit))

    def projects(self, within: str) -> list[Project]:
        """Return the projects that were given a key, by name."""
        sql = (
            "select p.id, p.created_us, e.name from projects p join environments e on e.project = p.id"
            " where ? in ('', p.id) order by p.id, e.name"
        )
        found: dict[str, Project] = {}
        with self._database.read() as session:
            for name, created_us, environment in session.run(sql, within):
                known = found.get(name, Project(name, created_us, ()))
                found[name] = msgspec.structs.replace(known, environments=(*known.environments, environment))
        return list(found.values())

    def audit(self, within: str, before: int, limit: int) -> list[AuditLine]:
        """Return what was done, newest first; `before`: a revision, 0 for now."""
        which = "where ? in ('', project) and (? = 0 or revision < ?) order by revision desc limit ?"
        with self._database.read() as session:
            return lines_of(session.run(f"{SELECT} {which}", within, before, before, limit))

    def position(self) -> Position:
        """Return the revision of the last change, and of which database."""
        with self._database.read() as session:
            ((epoch, revision),) = session.run("select epoch, revision from control")
        return Position(epoch=epoch, revision=revision)

    def changed(self, after: int, limit: int) -> list[Key]:
        """Return the keys whose last change came after this revision, in that order."""
        sql = f"select {_KEY} from keys where revision > ? order by revision limit ?"  # noqa: S608 - a constant
        with self._database.read() as session:
            return _keys(session, session.run(sql, after, limit))

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()


def found_place(session: Session, project: str, environment: str, act: Act) -> None:
    """Make the project and the environment unless they are there."""
    if not session.run("select 1 from projects where id = ?", project):
        log(session, act, "project.create", project, project, {})
        session.run("insert into projects (id, created_us) values (?, ?)", project, act.at_us)
    if not session.run("select 1 from environments where project = ? and name = ?", project, environment):
        log(session, act, "environment.create", environment, project, {})
        session.run(
            "insert into environments (project, name, created_us) values (?, ?, ?)",
            *(project, environment, act.at_us),
        )


def _changeable(session: Session, key_id: str, act: Act) -> Key | None:
    key = _find(session, key_id, act.within)
    if key is not None and key.revoked_us:
        raise KeyEnded(key_id)
    return key


def _find(session: Session, key_id: str, within: str) -> Key | None:
    sql = f"select {_KEY} from keys where id = ? and person <> id and ? in ('', project)"  # noqa: S608 - a constant
    found = _keys(session, session.run(sql, key_id, within))
    return found[0] if found else None


def _keys(session: Session, rows: Sequence[Row]) -> list[Key]:
    secrets: dict[str, list[Secret]] = {row[0]: [] for row in rows}
    if rows:
        marks = ", ".join("?" * len(rows))
        for key_id, *secret in session.run(_SECRETS.format(marks), *secrets):
            secrets[key_id].append(Secret(*secret))
    return [
        Key(
            id=key_id,
            revision=revision,
            name=name,
            owner=owner,
            project=project,
            environment=environment,
            rules=_rules.decode(rules),
            created_us=created_us,
            expires_us=expires_us,
            revoked_us=revoked_us,
            secrets=tuple(sorted(secrets[key_id], key=_by_age)),
            team=team,
            person=person,
        )
        for key_id, revision, name, owner, project, environment, rules, created_us, expires_us, revoked_us, team, person in rows
    ]


def _by_age(secret: Secret) -> tuple[bool, int]:
    """The current one, which has no end of its own, is the last."""
    return secret.ends_us == 0, secret.created_us


def add_secret(session: Session, key_id: str, secret: Secret) -> None:
    """Let the key have one more; raise SecretTaken."""
    if session.run("select 1 from secrets where digest = ?", secret.digest):
        raise SecretTaken(secret.prefix)
    session.run(
        "insert into secrets (digest, key_id, prefix, created_us, ends_us) values (?, ?, ?, ?, ?)",
        *(secret.digest, key_id, secret.prefix, secret.created_us, secret.ends_us),
    )


def _differences(before: Key, after: Key) -> dict[str, list[Any]]:
    old, new = _flat(before), _flat(after)
    return {name: [old[name], new[name]] for name in old if old[name] != new[name]}


def _flat(key: Key) -> dict[str, Any]:
    rules = msgspec.to_builtins(key.rules)
    return {"name": key.name, "owner": key.owner, "team": key.team, "expires_us": key.expires_us, **rules}


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
