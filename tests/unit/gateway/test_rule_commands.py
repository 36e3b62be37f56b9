"""`tidegate limits` and `tidegate budgets`, over a real hub's routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from gateway.budgets.records import Closing, Place, Reservation
from gateway.caller import Caller, Reply
from gateway.control.budget_accounts import Ask, act
from gateway.project_commands import project_commands
from gateway.rule_commands import budget_commands, limit_commands
from gateway.settings import Budget, Limit, Settings
from tests.fakes.hub_control import Hub

Run = Callable[..., str]


class InProcess:
    """Asks the hub as `--url` asks a gateway."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self.runner = runner
        settings = Settings(limits={"file": Limit(rpm=9)}, budgets={"file": Budget(hard_usd="7")})
        self.hub = Hub(folder, settings)

    def send(self, method: str, path: str, body: object | None = None) -> Reply:
        """Ask; what the worker would have added is missing, so the house asks."""
        status, answer = self.runner.run(self.hub.ask(method, path, body))
        return Reply(status, {}, msgspec.json.encode(answer))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[InProcess]:
    with asyncio.Runner() as runner:
        made = InProcess(tmp_path, runner)
        yield made
        runner.run(made.hub.close())


@pytest.fixture
def run(house: InProcess) -> Run:
    app = typer.Typer()

    def locate(_: Path | None, __: str | None) -> Any:
        raise AssertionError("the URL says where")

    groups = {"limits": limit_commands, "budgets": budget_commands, "projects": project_commands}
    for name, make in groups.items():
        app.add_typer(make(locate, lambda _url, _key: cast("Caller", house)), name=name)

    def tidegate(group: str, *words: str) -> str:
        done = CliRunner().invoke(app, [group, "--url", "http://x.example", *words])
        return done.output if done.exit_code == 0 else f"{done.exit_code}: {done.output}"

    return tidegate


def test_a_limit_is_made_changed_listed_and_ended(run: Run) -> None:
    assert "key, user" in run(
        "limits",
        "set",
        "each",
        "--per",
        "key",
        "--per",
        "user",
        "--rpm",
        "60",
        "--user",
        "a*",
        "--project",
        "red",
    )
    assert "90" in run(
        "limits", "set", "each", "--project", "red", "--rpm", "90", "--per", "key", "--per", "user"
    )
    assert "user a*" in run("limits", "list", "--project", "red")
    assert "user a*" not in run("limits", "set", "each", "--project", "red", "--user", "*")
    listed = msgspec.json.decode(run("limits", "list", "--json"))
    assert [(one["name"], one["rpm"], one["configured"]) for one in listed] == [
        ("file", 9, True),
        ("each", 90, False),
    ]
    assert "is gone" in run("limits", "delete", listed[1]["id"])
    assert listed[1]["id"] not in run("limits", "list")


def test_a_budget_is_made_changed_listed_and_ended(run: Run) -> None:
    assert "$2.5" in run("budgets", "set", "ci", "--per", "key", "--match", "ci-*", "--hard", "2.50")
    assert "$1" in run("budgets", "set", "ci", "--soft", "1", "--match", "ci-*")
    listed = msgspec.json.decode(run("budgets", "list", "--json"))
    assert [(one["name"], one["soft_usd"], one["hard_usd"]) for one in listed] == [
        ("file", "", "7"),
        ("ci", "1", "2.5"),
    ]
    assert "is gone" in run("budgets", "delete", "ci")
    assert "no 'ci'" in run("budgets", "delete", "ci")


def test_what_is_spent_is_shown_in_sum_and_for_each(run: Run, house: InProcess) -> None:
    made = msgspec.json.decode(run("budgets", "set", "ci", "--per", "key", "--hard", "1", "--json"))
    places = [(Place(made["id"], "", f"ci-{number}"),) for number in (1, 2)]
    asked: list[Ask] = [Reservation("r1", "w", places[0], 500_000_000), Closing("r1", 250_000_000)]
    asked += [Reservation("r2", "w", places[1], 125_000_000)]
    records, now_us = house.hub.control._records, house.hub.clock.now_us()
    house.runner.run(records.query(lambda database: act(database, {}, asked, now_us)))

    (line,) = [line for line in run("budgets", "list").splitlines() if made["id"] in line]
    assert line.split()[-4:-1] == ["$1", "$0.25", "$0.125"]
    assert line.split()[-1].startswith("2023-12-01")
    spent = run("budgets", "spent", "ci")
    assert [line.split()[3:7] for line in spent.splitlines()[1:]] == [
        ["$0.25", "$0.00", "$0.00", "$1"],
        ["$0.00", "$0.00", "$0.125", "$1"],
    ]
    assert "ci-1" in run("budgets", "spent")


def test_a_list_that_is_longer_than_a_page_is_shown_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.rule_commands._PAGE", 2)
    for number in range(4):
        run("limits", "set", f"n{number}", "--rpm", "1")

    names = [one["name"] for one in msgspec.json.decode(run("limits", "list", "--json"))]
    assert names == ["file", "n3", "n2", "n1", "n0"]


def test_what_is_wrong_is_one_clear_line(run: Run) -> None:
    assert "rpm: limits nothing. Set rpm" in run("limits", "set", "x")
    run("limits", "set", "x", "--rpm", "1")
    assert "x has per [], and keeps it: delete it first" in run(
        "limits", "set", "x", "--per", "key", "--rpm", "2"
    )
    assert "Say what shall be different" in run("limits", "set", "x")
    assert "stands in the configuration file" in run("limits", "delete", "config:file")
    assert "$.window" in run("budgets", "set", "b", "--window", "year")
    assert "no 'nobody'" in run("budgets", "spent", "nobody")


def test_projects_are_made_and_listed(run: Run) -> None:
    assert "prod" in run("projects", "create", "red")
    assert "prod, test" in run("projects", "create", "red", "--environment", "test")
    assert "red" in run("projects", "list")
    assert "not a name" in run("projects", "create", "*")
