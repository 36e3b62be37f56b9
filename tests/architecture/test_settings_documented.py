"""The example file is the reference of the settings, so it may neither miss nor invent one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect

from gateway import config, yaml_file
from gateway.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "tidegate.example.yaml"
TEXT = EXAMPLE.read_text(encoding="utf-8")
SAMPLES = ("keys", "providers", "routes", "prices", "limits", "budgets", "guardrails", "cache")
"""Sections that are empty by default, so that the example shows one of each."""
GENERAL = ("timeouts", "retries", "breaker")
"""What a route may say for itself."""


def fields(shape: inspect.Type, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every setting's place; `*` stands for a name or number of the user's."""
    if isinstance(shape, inspect.UnionType):
        shape = next(one for one in shape.types if not isinstance(one, inspect.NoneType))
    if isinstance(shape, inspect.StructType):
        for field in shape.fields:
            yield (*path, field.encode_name)
            yield from fields(field.type, (*path, field.encode_name))
    elif isinstance(shape, inspect.DictType):
        yield from fields(shape.value_type, (*path, "*"))
    elif isinstance(shape, inspect.VarTupleType):
        yield from fields(shape.item_type, (*path, "*"))


def matches(place: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    return len(place) == len(pattern) and all(
        want in ("*", have) for have, want in zip(place, pattern, strict=True)
    )


TREE = yaml_file.read(TEXT, Settings, {})
PLACES = list(fields(inspect.type_info(Settings)))


@pytest.mark.parametrize("pattern", PLACES, ids=".".join)
def test_a_setting_stands_in_the_example_with_a_comment(pattern):
    if pattern[:2] == ("routes", "*") and len(pattern) == 4 and pattern[2] in GENERAL:
        pattern = pattern[2:]  # the same as the general ones, which are all written out
    lines = [line for place, line in TREE.lines.items() if matches(place, pattern)]
    rows = TEXT.splitlines()

    assert lines, "not in tidegate.example.yaml"
    assert any("#" in rows[line - 1] or _explained_above(rows, line, pattern) for line in lines)


def _explained_above(rows: list[str], line: int, pattern: tuple[str, ...]) -> bool:
    """Sections and their only child may stand below their comment."""
    return len(pattern) == 1 and (rows[line - 2].startswith("#") or rows[line].lstrip().count("#") > 0)


def test_the_example_is_a_configuration_that_works(tmp_path):
    settings = config.load(EXAMPLE, {}, key_variables={"openai": "OPENAI_API_KEY"})

    assert settings.routes["smart"].deployments[0].model == "openai/gpt-5"
    config.guard_public_address(settings)


def test_the_example_shows_the_defaults():
    settings = config.load(EXAMPLE, {})
    plain = {name: getattr(Settings(), name) for name in SAMPLES}

    assert msgspec.structs.replace(settings, **plain) == Settings()
    assert all(getattr(settings, name) for name in SAMPLES)


def test_every_variable_that_is_read_is_named_in_the_example():
    read = {*config.VARIABLES, *config.NETWORK_VARIABLES}

    assert {name for name in read if name not in TEXT} == set()
