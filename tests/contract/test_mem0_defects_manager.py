"""Defects of mem0ai 2.2.1 in reading conversations, reproduced in November 2026; none of them may be ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from memory.prompts import facts
from memory.render import tokens_of
from tests.fakes.memory_parts import ALICE
from tests.fakes.memory_reading import MINUTE_US, Reading, ScriptedModel, op, ops

Make = Callable[[ScriptedModel], Reading]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Reading] = []

    def build(model: ScriptedModel) -> Reading:
        made.append(Reading(tmp_path, model))
        return made[-1]

    yield build
    for one in made:
        one.close()


async def test_d4_a_profile_that_nobody_stated_is_not_stored(make: Make) -> None:
    invented = "User is named John Doe and works at Google"
    wrong = ops(
        op(invented, "hello there"), op(invented, "I am John Doe"), op("User is a doctor", "hello there")
    )
    reading = make(ScriptedModel([wrong, wrong]))
    reading.extraction.extract(
        ALICE, [{"role": "user", "content": "hello there"}], occurred_at_us=1, metadata={}, actor=""
    )
    await reading.settle()

    assert [one.text for one in reading.everything()] == ["hello there"]


async def test_d6_an_answer_that_is_no_json_is_tried_again_and_visible(make: Make) -> None:
    model = ScriptedModel(
        ["I found these facts: user lives in Rome", ops(op("User lives in Rome", "I live in Rome"))]
    )
    reading = make(model)
    reading.hear("I live in Rome")
    await reading.settle()
    (job,) = reading.jobs.page(ALICE, limit=10)
    assert (job.state, job.error) == ("waiting", "model_answer_invalid")

    await reading.settle(pass_us=10 * MINUTE_US)
    assert reading.texts() == ["User lives in Rome"]


async def test_d10_an_add_costs_a_short_prompt(make: Make) -> None:
    model = ScriptedModel()
    reading = make(model)
    reading.hear("I live in Rome")
    await reading.settle()

    (asked,) = model.asked
    static = asked.messages[0]["content"] + msgspec.json.encode(facts.SCHEMA).decode()
    assert tokens_of(static) <= 1200  # mem0: 8,400
