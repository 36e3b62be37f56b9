"""What no linter can say: sizes, mirrored tests, the targets of the Makefile."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "memory", "telemetry", "dashboards")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

MAX_LINES = 500
"""A file past this is two files. Raise it for a file only by naming the file below, with a reason."""

LONGER: dict[str, int] = {}

TARGETS = ("install", "run", "check", "fix", "test", "bench", "e2e", "chaos")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_fits_in_one_reading(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())

    assert lines <= LONGER.get(str(path.relative_to(ROOT)), MAX_LINES)


def test_every_unit_test_has_the_module_it_is_named_after():
    strays = [
        str(test.relative_to(ROOT))
        for test in (ROOT / "tests/unit").rglob("test_*.py")
        if not (
            ROOT / test.relative_to(ROOT / "tests/unit").with_name(test.name.removeprefix("test_"))
        ).exists()
    ]

    assert strays == []


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_the_target_and_makes_the_environment_first(target):
    plan = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert plan.index("-m venv .venv") < plan.index("install -qq")
    assert "-c constraints.txt -e ." in plan


def test_ci_runs_the_same_two_targets_that_people_run():
    script = ROOT / ".ci/run"
    commands = script.read_text(encoding="utf-8").splitlines()

    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in commands
    assert commands[-2:] == ["make check", "make test"]
    subprocess.run(["bash", "-n", script], check=True)


def test_constraints_are_pins_and_nothing_else():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []


def test_every_dependency_is_pinned_within_what_it_declares():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines if "==" in line}
    wanted = [
        Requirement(one) for one in project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    ]

    unpinned = [
        str(one)
        for one in wanted
        if not one.specifier.contains(pins.get(canonicalize_name(one.name), "0"), prereleases=True)
    ]
    assert unpinned == []
