"""`tidegate users`, `teams` and `credentials`, over a real hub's routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from gateway.caller import Caller, Reply
from gateway.people_commands import credential_commands, team_commands, user_commands
from tests.fakes.hub_control import Hub

PASSWORD = "correct horse battery"
Run = Callable[..., str]


class InProcess:
    """Asks the hub as `--url` asks a gateway."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.hub = Hub(folder)

    def send(self, method: str, path: str, body: object | None = None) -> Reply:
        """Ask; what the worker would have added is missing, so the house asks."""
        status, answer = self._runner.run(self.hub.ask(method, path, body))
        return Reply(status, {}, msgspec.json.encode(answer))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with asyncio.Runner() as runner:
        house = InProcess(tmp_path, runner)
        app = typer.Typer()

        def locate(_: Path | None, __: str | None) -> Any:
            raise AssertionError("the URL says where")

        for name, make in (
            ("users", user_commands), ("teams", team_commands), ("credentials", credential_commands)
        ):  # fmt: skip
            app.add_typer(make(locate, lambda _url, _key: cast("Caller", house)), name=name)

        def tidegate(group: str, *words: str, typed: str = "") -> str:
            done = CliRunner().invoke(app, [group, "--url", "http://x.example", *words], input=typed)
            return done.output if done.exit_code == 0 else f"{done.exit_code}: {done.output}"

        yield tidegate
        runner.run(house.hub.close())


def test_a_user_is_made_changed_and_locked_out(run: Run) -> None:
    made = run("users", "create", "ada@x.example", "--role", "engineer", "--project", "shop", typed=PASSWORD)
    assert "engineer of shop" in made
    assert PASSWORD not in made
    assert "owner of *" in run("users", "create", "boss@x.example", "--role", "owner", "--no-password")
    listed = run("users", "list")
    assert "ada@x.example" in listed
    assert "boss@x.example" in listed
    assert "finance of shop" in run("users", "role", "ada@x.example", "finance", "--project", "shop")
    assert "of shop" not in run("users", "role", "ada@x.example", "none", "--project", "shop")
    assert "ada@x.example" in run("users", "password", "ada@x.example", typed=f"another {PASSWORD}\n")
    assert "disabled 20" in run("users", "disable", "ada@x.example")
    assert "active" in run("users", "enable", "ada@x.example")


def test_what_is_wrong_is_one_clear_line(run: Run) -> None:
    assert run("users", "create", "ada@x.example", typed="").startswith("1: Password: nothing came")
    assert "12 to 1024 characters" in run("users", "create", "ada@x.example", typed="short")
    refused = run("users", "create", "ada@x.example", "--role", "king", typed=PASSWORD)
    assert "There are: owner, admin, engineer, finance, viewer, service" in refused
    assert "404: there is no user" in run("users", "disable", "nobody@x.example")


def test_a_team_is_made_changed_and_taken_away(run: Run) -> None:
    run("users", "create", "ada@x.example", "--role", "viewer", "--project", "shop", "--no-password")
    assert "blue" in run("teams", "create", "blue", "--project", "shop")
    changed = run("teams", "members", "blue", "--project", "shop", "--member", "ada@x.example")
    assert "ada@x.example" in changed
    assert "ada@x.example" in run("teams", "list", "--project", "shop")
    assert "is gone" in run("teams", "delete", "blue", "--project", "shop")
    assert "blue" not in run("teams", "list")


def test_a_credential_goes_in_and_never_out(run: Run) -> None:
    secret = "sk-canary-0123456789"
    for said in (
        run("credentials", "set", "openai", typed=f"{secret}\n"),
        run("credentials", "list"),
        run("credentials", "reseal", typed="ab" * 32),
        run("credentials", "delete", "openai"),
    ):
        assert secret not in said
        assert not said.startswith("1:")
    assert "404" in run("credentials", "delete", "openai")
