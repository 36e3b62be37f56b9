"""`tidegate apply` over a store without a house: what is wrong has a line, what differs is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from gateway.apply_command import apply_command
from gateway.caller import Caller
from gateway.config import ConfigError
from gateway.control.apply_words import Applied
from gateway.places import Places
from gateway.settings import Settings

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that applies a text; what it cannot read is told as `tidegate` tells it."""
    app = typer.Typer()
    places = Places(data=tmp_path / "data", run=tmp_path / "run")
    apply_command(app, lambda _, __: (Settings(), places), Caller)
    app.command()(lambda: None)

    def apply(text: str, *words: str) -> str:
        file = tmp_path / "there.yaml"
        file.write_text(text)
        done = CliRunner().invoke(app, ["apply", str(file), *words])
        told = (done.stdout if done.exit_code == 0 else done.output).replace(f"{tmp_path}/", "")
        if isinstance(done.exception, ConfigError):
            return "\n".join(done.exception.texts()).replace(f"{tmp_path}/", "")
        return told if done.exit_code == 0 else f"{done.exit_code}: {told}"

    return apply


WRONG = [
    ("limits:\n  each: {rpm: many}", "there.yaml:2: limits.each.rpm: expected a whole number"),
    ("limit: {}", "there.yaml:1: limit: unknown key. Did you mean `limits`?"),
    ("keys:\n  - {project: red}", "there.yaml:2: keys[0].name: missing"),
    (
        "keys:\n  - name: x\n    scopes: [call, all]",
        "there.yaml:3: keys[0].scopes[1]: expected one of admin, call",
    ),
    (f"keys:\n  - name: {'x' * 256}", "there.yaml:2: keys[0].name: expected `str` of length <= 255."),
    ("users:\n\n  ada: {roles: {}}", "there.yaml:3: users.ada: expected `str` matching regex"),
    ("budgets: [", "there.yaml:1: not valid YAML"),
    (
        "credentials:\n  openai:\n    variable: NOBODY_SET_IT",
        "there.yaml:3: credentials.openai.variable: the environment variable NOBODY_SET_IT is not set. Set it",
    ),
    ("credentials:\n  openai: sk-123", "there.yaml:2: credentials.openai: expected a section"),
    (
        "limits:\n  fine: {rpm: 1}\n  each:\n    tpm: 1\n    rpm: -1",
        "there.yaml:5: limits.each: rpm: out of range. Choose 0",
    ),
    (
        "teams:\n  - name: t\n    members: [nobody@x.example]",
        "there.yaml:3: teams[0]: members: 'nobody@x.example' is",
    ),
    (
        "keys:\n  - name: x\n    expires_at: 2001-01-01T00:00:00Z",
        "there.yaml:3: keys[0]: expires_at: this moment is past",
    ),
    ("budgets:\n  b: {hard_usd: '1', zone: Mars/Olympus}", "there.yaml:2: budgets.b: zone: "),
]


@pytest.mark.parametrize(("text", "told"), WRONG, ids=lambda value: value[:40])
def test_what_is_wrong_is_told_with_its_line_and_what_to_do(run: Run, text: str, told: str) -> None:
    said = run(text)

    assert told in said
    assert "sk-123" not in said
    assert run("keys: []", "--prune") == "All is as declared.\n"


def test_what_differs_is_shown_then_done_then_no_more(run: Run) -> None:
    first = "limits:\n  each: {per: [key], rpm: 5}\nkeys:\n  - {name: ci, expires_at: 2100-01-31T00:00:00Z}\n"
    would = run(first, "--dry-run")
    assert 'per: ["key"]; rpm: 5' in would
    assert "Nothing was changed" in would
    done = run(first)
    assert "tg-" in done
    assert "is the key ci of default" in done
    assert run(first) == "All is as declared.\n"
    changed = run("limits:\n  each: {per: [key], rpm: 7}\n")
    assert "rpm: 5 -> 7" in changed
    ended = run("limits: {}\n", "--prune")
    assert "limit.delete" in ended
    assert "rpm" not in ended


def test_for_programs_there_is_json(run: Run) -> None:
    said = run("keys:\n  - name: ci\n", "--json")
    done = msgspec.json.decode(said[said.index("{") :].partition("\n}")[0] + "\n}", type=Applied)

    assert [change.action for change in done.changes] == [
        "project.create",
        "environment.create",
        "key.create",
    ]
    assert done.issued[0].key.startswith("tg-")


def test_a_file_that_is_not_there_is_told(run: Run, tmp_path: Path) -> None:
    run("keys: []")
    (tmp_path / "there.yaml").unlink()
    app = typer.Typer()
    apply_command(app, lambda _, __: (Settings(), Places(data=tmp_path, run=tmp_path)), Caller)
    done = CliRunner().invoke(app, [str(tmp_path / "there.yaml")])
    assert isinstance(done.exception, ConfigError)
    assert "Name another file" in str(done.exception)
