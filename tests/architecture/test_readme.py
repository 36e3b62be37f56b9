"""What the README names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from gateway.cli import app
from telemetry.questions.filters import FILTERS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PLACES = sorted(set(re.findall(r"`((?:gateway|telemetry|memory|dashboards|tests)/[\w./]*)`", README)))
COMMANDS = sorted(set(re.findall(r"(?:^|[`/])tidegate ((?:[a-z]+ ?)+)", README, re.MULTILINE)))
NOT_FOR_READERS = {"help", "install"}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_it_names_exists(place: str) -> None:
    assert (ROOT / place).exists()


def test_it_names_every_target_of_make_and_no_other() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+): .*##", makefile, re.MULTILINE)) - NOT_FOR_READERS

    assert set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", README, re.MULTILINE)) == targets


@pytest.mark.parametrize("named", COMMANDS)
def test_a_command_that_it_names_exists(named: str) -> None:
    command: Any = typer.main.get_command(app)
    for word in named.split():
        commands = getattr(command, "commands", None)
        if commands is None:  # what follows are its arguments
            break
        assert word in commands
        command = commands[word]


def test_it_counts_the_filters_of_the_ledger() -> None:
    assert f"by {len(FILTERS)} filters" in README
