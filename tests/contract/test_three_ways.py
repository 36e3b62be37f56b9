"""The admin API, the commands and a declared file do the same: the same records, the same lines in the audit log."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from gateway import cli
from gateway.places import Places
from gateway.processes.hubless import administer
from gateway.settings import Settings

HASH = hashlib.sha256(b"a secret that was made elsewhere").hexdigest()
OTHER = hashlib.sha256(b"another").hexdigest()
KINDS = ("projects", "people", "teams", "keys", "limits", "budgets", "credentials", "audit")


class Store:
    """A store without a house, which everybody opens in turn."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places = Places(data=folder, run=folder / "run")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask the admin API."""
        packed = None if body is None else msgspec.json.encode(body)
        status, answer = administer(Settings(), self.places, method, path, packed)
        assert status < 300, answer
        return msgspec.json.decode(answer)

    def command(self, words: str, typed: str = "") -> None:
        """Type a command of a group."""
        name, *rest = words.split()
        done = CliRunner().invoke(cli.app, [name, "--data-dir", str(self.folder), *rest], input=typed)
        assert done.exit_code == 0, (done.output, done.exception)

    def apply(self, declared: object, *words: str) -> str:
        """Declare something."""
        file = self.folder.with_suffix(".yaml")
        file.write_text(yaml.safe_dump(declared, sort_keys=False))
        done = CliRunner().invoke(cli.app, ["apply", str(file), "--data-dir", str(self.folder), *words])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    def state(self) -> dict[str, Any]:
        """Return all there is, without ids and moments."""
        found = msgspec.json.encode({kind: self.ask("GET", f"/api/{kind}?limit=1000") for kind in KINDS})
        text = re.sub(r"\b(key|lim|bud|person)_[0-9a-f]{20}\b", r"\1", found.decode())
        return dict(msgspec.json.decode(re.sub(r'"20\d\d-[^"]*Z"', '"then"', text)))


def by_api(store: Store) -> Iterator[None]:
    ask = store.ask
    ask("POST", "/api/projects", {"id": "red", "environments": ["prod", "test"]})
    ask("POST", "/api/people", {"email": "ada@x.example", "roles": {"red": "engineer"}})
    ask("POST", "/api/teams", {"name": "search", "project": "red"})
    ask("POST", "/api/keys", {"name": "ci", "project": "red", "hash": HASH, "models": ["gpt-*"]})
    ask("POST", "/api/limits", {"name": "each", "per": ["key"], "rpm": 60})
    ask("POST", "/api/budgets", {"name": "month", "project": "red", "hard_usd": "2.50"})
    ask("PUT", "/api/credentials/openai", {"secret": "sk-one"})
    yield
    key, limit, budget = (ask("GET", f"/api/{kind}")[kind][0]["id"] for kind in ("keys", "limits", "budgets"))
    ask("PATCH", "/api/people/ada@x.example", {"roles": {"red": "admin"}})
    ask("PATCH", "/api/teams/search?project=red", {"members": ["ada@x.example"]})
    ask("PATCH", f"/api/keys/{key}", {"store": "none", "models": []})
    ask("POST", f"/api/keys/{key}/rotate", {"hash": OTHER})
    ask("PATCH", f"/api/limits/{limit}", {"rpm": 90, "users": ["a*"]})
    ask("PATCH", f"/api/budgets/{budget}", {"soft_usd": "1"})
    ask("PUT", "/api/credentials/openai", {"secret": "sk-two"})
    yield
    ask("POST", f"/api/keys/{key}/revoke")
    ask("DELETE", f"/api/limits/{limit}")
    ask("DELETE", f"/api/budgets/{budget}")
    ask("DELETE", "/api/teams/search?project=red")
    ask("PATCH", "/api/people/ada@x.example", {"disabled": True})
    ask("DELETE", "/api/credentials/openai")
    yield


def by_command(store: Store) -> Iterator[None]:
    do = store.command
    do("projects create red --environment prod --environment test")
    do("users create ada@x.example --role engineer --project red --no-password")
    do("teams create search --project red")
    do(f"keys create ci --project red --hash {HASH} --model gpt-*")
    do("limits set each --per key --rpm 60")
    do("budgets set month --project red --hard 2.50")
    do("credentials set openai", typed="sk-one")
    yield
    key = store.ask("GET", "/api/keys")["keys"][0]["id"]
    do("users role ada@x.example admin --project red")
    do("teams members search --project red --member ada@x.example")
    do(f"keys change {key} --store none --model *")
    do(f"keys rotate {key} --hash {OTHER}")
    do("limits set each --rpm 90 --user a*")
    do("budgets set month --project red --soft 1")
    do("credentials set openai", typed="sk-two")
    yield
    do(f"keys revoke {key}")
    do("limits delete each")
    do("budgets delete month --project red")
    do("teams delete search --project red")
    do("users disable ada@x.example")
    do("credentials delete openai")
    yield


def by_file(store: Store) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_KEY", "sk-one")
        key = {"name": "ci", "project": "red", "hash": HASH, "models": ["gpt-*"]}
        declared = {
            "projects": {"red": {"environments": ["prod", "test"]}},
            "users": {"ada@x.example": {"roles": {"red": "engineer"}}},
            "teams": [{"name": "search", "project": "red"}],
            "keys": [key],
            "limits": {"each": {"per": ["key"], "rpm": 60}},
            "budgets": {"month": {"project": "red", "hard_usd": "2.50"}},
            "credentials": {"openai": {"variable": "OPENAI_KEY"}},
        }
        store.apply(declared)
        yield
        patch.setenv("OPENAI_KEY", "sk-two")
        declared |= {
            "users": {"ada@x.example": {"roles": {"red": "admin"}}},
            "teams": [{"name": "search", "project": "red", "members": ["ada@x.example"]}],
            "keys": [key | {"hash": OTHER, "models": [], "store": "none"}],
            "limits": {"each": {"per": ["key"], "rpm": 90, "users": ["a*"]}},
            "budgets": {"month": {"project": "red", "hard_usd": "2.50", "soft_usd": "1"}},
        }
        store.apply(declared)
        yield
        nothing: dict[str, Any] = {"users": {}, "limits": {}, "budgets": {}, "credentials": {}}
        store.apply({**nothing, "teams": [], "keys": []}, "--prune")
        yield


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Store]:
    monkeypatch.setenv("TIDEGATE_MASTER_KEY", "ab" * 32)  # fingerprints are of it
    monkeypatch.chdir(tmp_path)
    return lambda name: Store(tmp_path / name)


@pytest.mark.parametrize("way", [by_command, by_file])
def test_each_way_leaves_the_same_records_and_the_same_lines(
    stores: Callable[[str], Store], way: Callable[[Store], Iterator[None]]
) -> None:
    one, other = stores("api"), stores("other")
    lines = [0]
    for _ in zip(by_api(one), way(other), strict=True):
        state = one.state()
        assert other.state() == state
        lines.append(len(state["audit"]["lines"]))
    logged = one.state()["audit"]["lines"]

    made, changed, ended = (after - before for before, after in pairwise(lines))
    assert (made, changed, ended) == (9, 7, 6)
    assert {line["actor"] for line in logged} == {"local"}
    assert "sk-" not in str(logged)


def test_a_second_time_changes_nothing_and_a_dry_run_never(stores: Callable[[str], Store]) -> None:
    store = stores("twice")
    declared = {
        "limits": {"each": {"rpm": 5}},
        "keys": [{"name": "ci", "expires_at": "2100-01-01T00:00:00Z"}],
    }

    would = store.apply(declared, "--dry-run")
    assert "limit.create" in would
    assert store.state()["audit"]["lines"] == []
    assert "tg-" in store.apply(declared)
    state = store.state()
    for words in ((), ("--prune",), ("--dry-run",)):
        assert "All is as declared." in store.apply(declared, *words)
    assert store.state() == state
