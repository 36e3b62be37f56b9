"""What any store of control records must do, over a file and over a real Postgres server."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import psycopg
import pytest

from gateway.control.migrate import MigrationError, migrate
from gateway.control.postgres import Postgres as PostgresDatabase
from gateway.control.records import Act, Draft, Key, Narrowing, Rules, Secret
from gateway.control.sql_store import SqlStore
from gateway.control.sqlite import Sqlite
from gateway.control.store import ControlAway, ControlStore, KeyEnded, SecretTaken
from tests.fakes.control_databases import Open
from tests.fakes.postgres import Postgres


@pytest.fixture
def store(opening: Open) -> ControlStore:
    database = opening()
    migrate(database, 1)
    return SqlStore(database)


ME = Act("me", 1000)


def draft(number: int = 1, **more: object) -> Draft:
    plain = {"name": "ci", "owner": "team-a", "project": "p", "environment": "prod", "rules": Rules()}
    return msgspec.convert({"id": f"key_{number:02}", **plain, **more}, Draft)


def secret(number: int, created_us: int = 1000) -> Secret:
    return Secret(digest=f"{number:064x}", prefix=f"tg-{number}", created_us=created_us)


def made(store: ControlStore, number: int = 1, **more: object) -> Key:
    return store.create(draft(number, **more), secret(number), ME)


def actions(store: ControlStore) -> list[str]:
    return [line.action for line in store.audit("", 0, 100)]


def test_a_key_is_found_again_as_it_was_made(store: ControlStore) -> None:
    rules = Rules(scopes=("call", "read"), models=("gpt-*",), users=("ü",), memory="read", when_stale="serve")
    key = made(store, rules=rules, expires_us=5_000_000_000_000_000)

    assert store.find(key.id, "") == key
    assert store.keys(Narrowing()) == [key]
    assert store.changed(0, 10) == [key]
    assert (key.rules, key.secrets, key.created_us) == (rules, (secret(1),), 1000)


def test_another_project_sees_and_changes_nothing(store: ControlStore) -> None:
    key = made(store)
    stranger = Act("stranger", 2000, within="q")

    assert store.find(key.id, "q") is None
    assert store.change(key.id, lambda known: known, stranger) is None
    assert store.rotate(key.id, secret(2), 3000, stranger) is None
    assert store.revoke(key.id, stranger) is None
    assert store.keys(Narrowing(project="q")) == []
    assert store.audit("q", 0, 10) == []
    assert store.projects("q") == []
    assert store.find(key.id, "p") == key


def test_keys_are_listed_newest_first_and_page_by_page(store: ControlStore) -> None:
    for number, (project, owner) in enumerate([("p", "a"), ("q", "a"), ("p", "b"), ("p", "a")], start=1):
        made(store, number, project=project, owner=owner, environment="prod" if number < 4 else "test")

    def listed(**which: object) -> list[str]:
        return [key.id for key in store.keys(msgspec.convert(which, Narrowing))]

    assert listed() == ["key_04", "key_03", "key_02", "key_01"]
    assert listed(limit=2) == ["key_04", "key_03"]
    assert listed(limit=2, before="key_03") == ["key_02", "key_01"]
    assert listed(project="p", owner="a") == ["key_04", "key_01"]
    assert listed(environment="test") == ["key_04"]
    projects = [(one.id, one.environments) for one in store.projects("")]
    assert projects == [("p", ("prod", "test")), ("q", ("prod",))]


def test_a_change_is_written_with_what_was_before(store: ControlStore) -> None:
    key = made(store)

    def rename(known: Key) -> Key:
        return msgspec.structs.replace(known, name="cd", rules=Rules(models=("a",)))

    after = store.change(key.id, rename, Act("you", 2000))

    assert after is not None
    assert (after.name, after.rules.models, after.revision > key.revision) == ("cd", ("a",), True)
    assert store.find(key.id, "") == after
    (line, *_) = store.audit("", 0, 1)
    assert (line.actor, line.action, line.target, line.at_us) == ("you", "key.change", key.id, 2000)
    assert line.details == {"name": ["ci", "cd"], "models": [[], ["a"]]}


def test_a_change_that_changes_nothing_or_fails_leaves_no_trace(store: ControlStore) -> None:
    key = made(store)
    before = store.position()

    def fail(_: Key) -> Key:
        raise ZeroDivisionError

    assert store.change(key.id, lambda known: known, ME) == key
    with pytest.raises(ZeroDivisionError):
        store.change(key.id, fail, ME)
    assert store.position() == before
    assert store.find(key.id, "") == key


def test_a_rotation_lets_the_former_secret_end_later_but_never_longer_than_it_would_have(
    store: ControlStore,
) -> None:
    key = made(store)
    store.rotate(key.id, secret(2, 2000), 5000, Act("me", 2000))
    after = store.rotate(key.id, secret(3, 3000), 9000, Act("me", 3000))

    assert after is not None
    assert [(one.prefix, one.ends_us) for one in after.secrets] == [
        ("tg-1", 5000),
        ("tg-2", 9000),
        ("tg-3", 0),
    ]
    later = store.rotate(key.id, secret(4, 6000), 6000, Act("me", 6000))
    assert later is not None
    assert [(one.prefix, one.ends_us) for one in later.secrets] == [
        ("tg-2", 6000),
        ("tg-3", 6000),
        ("tg-4", 0),
    ]


def test_a_revoked_key_stays_as_it_is(store: ControlStore) -> None:
    key = made(store)
    ended = store.revoke(key.id, Act("me", 2000))

    assert ended is not None
    assert ended.revoked_us == 2000
    assert store.revoke(key.id, Act("me", 3000)) == ended
    with pytest.raises(KeyEnded):
        store.change(key.id, lambda known: known, ME)
    with pytest.raises(KeyEnded):
        store.rotate(key.id, secret(2), 1, ME)
    assert actions(store) == ["key.revoke", "key.create", "environment.create", "project.create"]


def test_who_follows_the_revisions_hears_of_every_change_once(store: ControlStore) -> None:
    keys = [made(store, number) for number in (1, 2, 3)]
    known = store.position()
    store.revoke(keys[0].id, ME)

    assert [key.id for key in store.changed(0, 2)] == ["key_02", "key_03"]
    assert [key.id for key in store.changed(known.revision, 10)] == ["key_01"]
    assert store.position().revision == store.changed(0, 10)[-1].revision
    assert store.position().epoch == known.epoch


def test_the_audit_log_can_only_be_added_to(store: ControlStore, opening: Open) -> None:
    made(store)
    for statement in ("delete from audit", "update audit set actor = 'nobody'"):
        with (
            pytest.raises((ControlAway, sqlite3.IntegrityError, psycopg.Error)),
            opening().write() as session,
        ):
            session.run(statement)
    assert len(actions(store)) == 3


def test_no_secret_is_in_the_audit_log(store: ControlStore) -> None:
    key = made(store)
    store.rotate(key.id, secret(2), 9000, ME)

    said = msgspec.json.encode(store.audit("", 0, 100)).decode()
    assert "tg-1" in said
    assert secret(1).digest not in said
    assert secret(2).digest not in said


def test_a_digest_belongs_to_one_key_only(store: ControlStore) -> None:
    made(store, 1)
    before = store.position()
    with pytest.raises(SecretTaken):
        store.create(draft(2), secret(1), ME)
    assert store.position() == before


def test_writers_at_once_lose_nothing_and_share_no_revision(store: ControlStore, opening: Open) -> None:
    key = made(store)
    together = threading.Barrier(4)

    def add(worker: int) -> None:
        mine = SqlStore(opening())
        together.wait()
        for number in range(10):
            pattern = f"m{worker}-{number}"

            def more(known: Key, pattern: str = pattern) -> Key:
                rules = msgspec.structs.replace(known.rules, models=(*known.rules.models, pattern))
                return msgspec.structs.replace(known, rules=rules)

            mine.change(key.id, more, Act(f"w{worker}", 2000))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))

    after = store.find(key.id, "")
    assert after is not None
    assert len(set(after.rules.models)) == 40
    lines = store.audit("", 0, 100)
    assert [line.revision for line in lines] == list(range(43, 0, -1))


def test_migrating_again_changes_nothing_and_a_newer_database_is_refused(opening: Open) -> None:
    database = opening()
    assert migrate(database, 1)[:3] == ["keys", "audit_is_only_added_to", "people"]
    epoch = SqlStore(database).position().epoch
    assert migrate(opening(), 2) == []
    assert SqlStore(database).position().epoch == epoch

    with database.write() as session:
        session.run("insert into migrations values (1000, 'tomorrow', 'x', 1)")
    with pytest.raises(MigrationError, match="newer version"):
        migrate(database, 3)


def test_hubs_that_start_at_once_make_the_tables_once(opening: Open) -> None:
    together = threading.Barrier(3)

    def start(_: int) -> list[str]:
        database = opening()
        together.wait()
        return migrate(database, 1)

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(start, range(3)))
    assert [bool(names) for names in sorted(done, key=len)] == [False, False, True]


def test_a_server_that_went_away_is_found_again(postgres_server: Postgres, postgres_database: str) -> None:
    database = PostgresDatabase(postgres_database)
    migrate(database, 1)
    store = SqlStore(database)
    key = made(store)
    with postgres_server.away():
        with pytest.raises(ControlAway) as away:
            store.find(key.id, "")
        assert "\n" not in str(away.value)
        with pytest.raises(ControlAway):
            store.position()
    assert store.find(key.id, "") == key
    database.close()


def test_records_that_nobody_has_begun_are_away(opening: Open) -> None:
    with pytest.raises(ControlAway):
        SqlStore(opening()).keys(Narrowing())


def test_a_spoilt_file_is_control_away(tmp_path: Path) -> None:
    (tmp_path / "control.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(ControlAway):
        migrate(Sqlite(tmp_path / "control.sqlite"), 1)


def test_a_folder_that_cannot_be_written_is_control_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ControlAway):
        migrate(Sqlite(tmp_path / "file" / "control.sqlite"), 1)
