"""Virtual keys through the whole house: real processes, real stores, workers that hear or do not."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import cli
from gateway.control.postgres import Postgres as PostgresDatabase
from gateway.control.records import Act
from gateway.control.sql_store import SqlStore
from tests.fakes.admin import administer, code, issue, last_seen, say
from tests.fakes.contents import contents
from tests.fakes.late_hub import SIGN
from tests.fakes.postgres import Postgres
from tests.fakes.tidegate import Tidegate, eventually

SEEN_WITHIN_S = 2.0
ENOUGH = 24
"""Connections after which both of two workers have answered: the kernel deals them out."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    config = {
        "server": {"workers": 2, "drain_s": 1},
        "routes": {"smart": {"deployments": [{"model": "sandbox/echo"}]}},
    }
    with Tidegate(tmp_path_factory.mktemp("keys"), config) as gateway:
        issue(gateway, "first")
        eventually(
            lambda: all(gateway.get("/v1/models").status == 401 for _ in range(ENOUGH)), what="closed doors"
        )
        yield gateway


def everywhere(house: Tidegate, secret: str, wanted: str) -> bool:
    return all(code(say(house, secret)) == wanted for _ in range(ENOUGH))


def test_a_new_key_counts_and_a_revoked_one_does_not_within_two_seconds_at_every_worker(
    house: Tidegate,
) -> None:
    key_id, secret = issue(house)
    eventually(lambda: everywhere(house, secret, ""), what="the key to be known", patience_s=SEEN_WITHIN_S)

    assert administer(house, "POST", f"/api/keys/{key_id}/revoke")[0] == 200
    assert last_seen(lambda: say(house, secret).status == 200, for_s=2.5) < SEEN_WITHIN_S
    assert everywhere(house, secret, "invalid_api_key")


def test_a_key_is_held_to_its_models_users_surfaces_and_scopes(house: Tidegate) -> None:
    _, narrow = issue(house, models=["smart"], users=["team-*"], surfaces=["openai.chat"])
    eventually(lambda: say(house, narrow).status != 401, what="the key to be known")

    assert code(say(house, narrow, "smart", x_tidegate_user_id="team-1")) == ""
    refused = say(house, narrow, "sandbox/echo", x_tidegate_user_id="team-1")
    assert (refused.status, code(refused)) == (403, "model_not_allowed")
    assert "sandbox/echo" in refused.json()["error"]["message"]
    assert code(say(house, narrow, "smart")) == "user_required"
    assert code(say(house, narrow, "smart", x_tidegate_user_id="ada")) == "user_not_allowed"
    bearer = {"authorization": f"Bearer {narrow}"}
    listed = house.get("/v1/models", bearer).json()["data"]
    assert [model["id"] for model in listed] == ["smart"]
    assert house.get("/v1/models/sandbox/echo", bearer).status == 404
    message = {"model": "smart", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    answer = house.request(
        "POST", "/v1/messages", message, {"x-api-key": narrow, "x-tidegate-user-id": "team-1"}
    )
    assert (answer.status, answer.json()["type"], answer.json()["error"]["type"]) == (
        403,
        "error",
        "permission_error",
    )
    for path in ("/api/calls", "/api/keys", "/api/audit", "/", "/api/routes", "/metrics"):
        assert house.get(path, bearer).status == 403, path
    assert house.request("POST", "/api/keys", {"name": "mine"}, bearer).status == 403


def test_an_expired_key_says_so(house: Tidegate) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))  # noqa: TID251 - another process' clock
    _, secret = issue(house, expires_at=soon)
    assert eventually(lambda: code(say(house, secret)) == "expired_api_key", what="its end", patience_s=20)
    assert everywhere(house, secret, "expired_api_key")


def test_during_a_rotation_both_secrets_count_and_then_the_new_one(house: Tidegate) -> None:
    key_id, old = issue(house)
    eventually(lambda: everywhere(house, old, ""), what="the key to be known")
    _, rotated = administer(house, "POST", f"/api/keys/{key_id}/rotate", {"overlap_s": 3})
    new = rotated["key"]
    eventually(lambda: say(house, new).status == 200, what="the new secret")
    assert code(say(house, old)) == ""

    eventually(lambda: everywhere(house, old, "expired_api_key"), what="the old secret's end", patience_s=20)
    assert everywhere(house, new, "")


def test_calls_are_counted_where_the_key_says_and_seen_there_only(house: Tidegate) -> None:
    _, red = issue(house, project="red", scopes=["call", "read"])
    _, blue = issue(house, project="blue", scopes=["call", "read"], store="none")
    eventually(lambda: say(house, red).status == say(house, blue).status == 200, what="the keys to be known")
    mine = house.await_calls(1, {"authorization": f"Bearer {red}"})

    assert {call["project"] for call in mine} == {"red"}
    assert {call["project"] for call in house.calls({"authorization": f"Bearer {blue}"})} <= {"blue"}


def test_a_key_with_the_scope_admin_does_over_the_public_door_what_the_house_does(house: Tidegate) -> None:
    _, secret = issue(house, project="green", scopes=["admin"])
    bearer = {"authorization": f"Bearer {secret}"}
    eventually(lambda: house.get("/api/keys", bearer).status == 200, what="the key to be known")

    made = house.request("POST", "/api/keys", {"name": "child", "project": "green"}, bearer)
    assert made.status == 201
    child = made.json()
    path = f"/api/keys/{child['id']}"
    assert house.request("PATCH", path, {"name": "grown"}, bearer).json()["name"] == "grown"
    assert house.request("POST", f"{path}/rotate", {}, bearer).status == 200
    assert house.request("POST", f"{path}/revoke", {}, bearer).json()["state"] == "revoked"
    assert code(say(house, secret)) == "scope_missing"
    _, audit = administer(house, "GET", "/api/audit")
    mine = [line for line in audit["lines"] if line["target"] == child["id"]]
    assert [line["action"] for line in mine] == ["key.revoke", "key.rotate", "key.change", "key.create"]
    assert {line["project"] for line in mine} == {"green"}
    _, other = issue(house, project="red")
    listed = house.get("/api/keys", bearer).json()["keys"]
    assert {key["project"] for key in listed} == {"green"}
    assert other not in str(listed)


def test_the_command_line_does_the_same(
    house: Tidegate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tidegate(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["tidegate", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return out if not ended.value.code else f"{ended.value.code}: {err}"

    keys = ("keys", "--config", str(house.config))
    said = tidegate(*keys, "create", "robot", "--project", "cli", "--model", "smart", "--expires", "30d")
    secret, key_id = said.splitlines()[0], said.split("Its id is ")[1].split(",")[0]
    eventually(lambda: say(house, secret, "smart").status == 200, what="the key to be known")
    assert key_id in tidegate(*keys, "list", "--project", "cli")
    assert "smart" in tidegate(*keys, "show", key_id)
    assert "metadata" in tidegate(*keys, "change", key_id, "--store", "metadata", "--model", "*")
    fresh = tidegate(*keys, "rotate", key_id, "--overlap", "0s").splitlines()[0]
    eventually(lambda: code(say(house, secret)) == "expired_api_key", what="the old secret's end")
    eventually(lambda: say(house, fresh).status == 200, what="the new secret")
    assert "is revoked" in tidegate(*keys, "revoke", key_id)
    audit = tidegate("audit", "--config", str(house.config))
    for action in ("key.create", "key.change", "key.rotate", "key.revoke"):
        assert action in audit
    assert secret not in audit
    assert tidegate(*keys, "show", "key_nope").startswith("1: The gateway answered 404: there is no key")
    assert "There are: call, read" in tidegate(*keys, "create", "x", "--scope", "all")
    assert "like 24h" in tidegate(*keys, "rotate", key_id, "--overlap", "soon")
    assert "2027-01-31" in tidegate(*keys, "create", "x", "--expires", "soon")
    _, owner = issue(house, scopes=["owner"])
    away = ("keys", "--url", house.url, "--key", owner)
    eventually(lambda: "robot" in tidegate(*away, "list"), what="the owner's key to be known")
    assert "lacks the scope 'admin'" in tidegate(
        "keys", "--url", house.url, "--key", secret_of_none(house), "list"
    )


def test_the_first_key_on_a_host_says_that_it_closes_the_house(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for name in ("ci", "robot"):
        monkeypatch.setattr(sys, "argv", ["tidegate", "keys", "--data-dir", str(tmp_path), "create", name])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        said.append("without a key are refused from now on" in capsys.readouterr().out)

    assert said == [True, False]


def test_what_a_file_declares_holds_at_every_worker_and_what_it_drops_no_more(
    house: Tidegate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = house.folder / "declared.yaml"

    def apply(text: str, *words: str) -> str:
        file.write_text(text)
        monkeypatch.setattr(
            sys, "argv", ["tidegate", "apply", str(file), "--config", str(house.config), *words]
        )
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert not ended.value.code, err
        return out

    key = "keys:\n  - {name: declared, project: filed}\n"
    limit = "limits:\n  filed: {project: filed, rpm: 1}\n"
    budget = 'budgets:\n  filed: {project: filed, hard_usd: "5"}\n'
    secret = apply(key + limit + budget).split("\ntg-")[1].split()[0]
    eventually(lambda: say(house, f"tg-{secret}").status == 429, what="the limit")
    assert apply(key + limit + budget) == "All is as declared.\n"
    _, budgets = administer(house, "GET", "/api/budgets")
    assert [one["name"] for one in budgets["budgets"]] == ["filed"]
    assert "limit.delete" in apply("limits: {}\n", "--prune")
    eventually(lambda: everywhere(house, f"tg-{secret}", ""), what="the limit to be gone")
    _, boss = issue(house, "boss", scopes=["call", "owner", "admin"])
    eventually(lambda: everywhere(house, boss, ""), what="the owner's key to be known")
    assert "budget.delete" in apply("budgets: {}\n", "--prune", "--url", house.url, "--key", boss)


def secret_of_none(house: Tidegate) -> str:
    """Return a key that every worker knows, and that administrates nothing."""
    _, secret = issue(house)
    eventually(lambda: everywhere(house, secret, ""), what="the key to be known")
    return secret


def test_a_hub_that_is_killed_comes_back_with_all_keys(house: Tidegate) -> None:
    key_id, secret = issue(house)
    gone, ended = issue(house)
    administer(house, "POST", f"/api/keys/{gone}/revoke")
    eventually(lambda: everywhere(house, secret, ""), what="the key to be known")
    killed = house.kill("hub")
    assert everywhere(house, secret, "")
    assert everywhere(house, ended, "invalid_api_key")

    eventually(lambda: house.pids("hub") not in ([], [killed]), what="another hub")
    eventually(lambda: _reached(house, f"/api/keys/{key_id}/revoke"), what="the hub to answer")
    eventually(lambda: everywhere(house, secret, "invalid_api_key"), what="the revocation", patience_s=10)


def _reached(house: Tidegate, path: str) -> bool:
    try:
        return administer(house, "POST", path)[0] == 200
    except OSError:
        return False


@pytest.mark.slow
def test_workers_that_start_without_a_hub_serve_what_the_last_one_said_until_that_is_stale(
    tmp_path: Path,
) -> None:
    config = {"server": {"workers": 2, "drain_s": 1}, "control": {"max_stale_s": 2}}
    env = {"PYTHONPATH": str(Path(__file__).parents[2])}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / SIGN).touch()
    with Tidegate(tmp_path, config, module="tests.fakes.late_hub", env=env) as house:
        _, kept = issue(house, "kept")
        _, lasting = issue(house, "lasting", when_stale="serve", scopes=["call", "read"])
        gone, ended = issue(house, "gone")
        administer(house, "POST", f"/api/keys/{gone}/revoke")
        (house.data / SIGN).unlink()
        house.kill("hub")
        for _ in range(2):
            _replace_worker(house)
        eventually(lambda: _calls(house, lasting) == "", what="a worker to answer")

        assert everywhere(house, lasting, "")
        assert everywhere(house, ended, "invalid_api_key")
        assert house.get("/v1/models").status == 401
        eventually(lambda: _calls(house, kept) == "keys_stale", what="keys to be stale", patience_s=20)
        marked = {"authorization": f"Bearer {lasting}", "x-tidegate-event-id": "stale"}
        say(house, lasting, x_tidegate_event_id="stale")
        (call,) = house.await_calls(1, marked, event_id="stale")
        assert call["properties"] == {"keys_stale": "true"}
        assert everywhere(house, lasting, "")

        (house.data / SIGN).touch()
        eventually(lambda: everywhere(house, kept, ""), what="the hub's return")
        assert everywhere(house, ended, "invalid_api_key")


def _replace_worker(house: Tidegate) -> None:
    """Kill the oldest and wait for the one after it."""
    before = set(house.pids("worker"))
    house.kill("worker")
    eventually(lambda: set(house.pids("worker")) - before, what="a new worker")


def _calls(house: Tidegate, secret: str) -> str:
    try:
        return code(say(house, secret))
    except OSError:
        return "away"


def test_no_secret_is_in_any_file_or_log(house: Tidegate) -> None:
    key_id, secret = issue(house, project="canary", scopes=["call", "read", "admin"])
    eventually(lambda: everywhere(house, secret, ""), what="the key to be known")
    bearer = {"authorization": f"Bearer {secret}"}
    made = house.request("POST", "/api/keys", {"name": "child", "project": "canary"}, bearer).json()
    _, rotated = administer(house, "POST", f"/api/keys/{key_id}/rotate")
    secrets = [secret, made["key"], rotated["key"]]
    for one in secrets:
        say(house, one)
        house.request("POST", "/api/keys", {"name": "x", "scopes": [one]}, bearer)
        text = {"model": "sandbox/echo", "messages": [{"role": "user", "content": f"mine is {one}"}]}
        assert house.request("POST", "/v1/chat/completions", text, bearer).status == 200
    answers = [house.get(path, bearer).body for path in ("/api/keys", "/api/audit", f"/api/keys/{key_id}")]
    house.await_calls(ENOUGH + 3, bearer)

    assert all(one.encode() not in body for one in secrets for body in answers)
    found = contents(house.folder)
    assert {"control.sqlite", "keys.sealed", "house.log"} <= {path.name for path in found}
    assert [
        (path.name, one[:6]) for path, said in found.items() for one in secrets if one.encode() in said
    ] == []
    for name in ("control.sqlite", "keys.sealed", "secrets/keys"):
        assert (house.data / name).stat().st_mode & 0o077 == 0


def test_hosts_that_share_a_database_share_keys_and_outlive_it(
    tmp_path: Path, postgres_server: Postgres, postgres_database: str
) -> None:
    config = {"control": {"url": postgres_database}, "server": {"drain_s": 1}}
    with Tidegate(tmp_path, config) as house:
        key_id, secret = issue(house)
        _, lasting = issue(house, "lasting")
        eventually(lambda: _calls(house, secret) == "", what="the key to be known")
        other = SqlStore(PostgresDatabase(postgres_database))
        assert other.revoke(key_id, Act("the hub of another host", 1)) is not None
        assert last_seen(lambda: say(house, secret).status == 200, for_s=2.2) < SEEN_WITHIN_S
        other.close()

        with postgres_server.away():
            status, away = administer(house, "POST", "/api/keys", {"name": "x"})
            assert (status, away["error"]["code"]) == (503, "control_away")
            house.kill("worker")
            eventually(lambda: _calls(house, lasting) == "", what="a worker that never saw the database")
        eventually(lambda: administer(house, "GET", "/api/keys")[0] == 200, what="the database's return")
        assert issue(house, "after")[1]
