from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.debounce import ENOUGH_TURNS, MOST_REFUSALS
from memory.given import Statement
from memory.jobs import JobStatus
from memory.manager import Asked
from tests.fakes.memory_parts import ALICE, BOB
from tests.fakes.memory_reading import MINUTE_US, SECOND_US, Reading, ScriptedModel, op, ops

HOUR_US = 60 * MINUTE_US
Make = Callable[..., Reading]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Reading] = []

    def build(model: ScriptedModel | None = None, **options: Any) -> Reading:
        folder = tmp_path / str(len(made))
        made.append(Reading(folder, model, **options))
        return made[-1]

    yield build
    for one in made:
        one.close()


def jobs(reading: Reading) -> list[JobStatus]:
    return reading.jobs.page(ALICE, limit=100)


def holding(folder: Path, word: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def quoting(text: str, **fields: Any) -> dict[str, Any]:
    return op(text, text, **fields)


async def test_a_conversation_is_read_once_it_falls_silent(make: Make) -> None:
    model = ScriptedModel([ops(op("User lives in Lisbon", "I live in Lisbon"))])
    reading = make(model)
    reading.hear("I live in Lisbon")
    assert await reading.settle(pass_us=29 * SECOND_US) == 0
    assert await reading.settle(pass_us=SECOND_US) == 1

    assert reading.texts() == ["User lives in Lisbon"]
    (job,) = jobs(reading)
    assert (job.state, job.outcome, [one.event for one in job.effects]) == ("done", "extracted", ["ADD"])


async def test_each_turn_puts_the_reading_off_until_there_are_enough(make: Make) -> None:
    model = ScriptedModel()
    reading = make(model)
    turns: list[str] = []
    for number in range(ENOUGH_TURNS):
        assert await reading.settle(pass_us=20 * SECOND_US) == 0
        turns.append(f"I own {number} bikes")
        reading.hear(*turns, call_id=f"call-{number}")
    assert await reading.settle(pass_us=0) == 1

    assert [one["text"] for one in model.question()["messages"]] == turns
    assert [one["role"] for one in model.question()["context"]] == ["assistant"] * (ENOUGH_TURNS - 1)


@pytest.mark.parametrize("text", ["Remember that I am left-handed", "I like words. " * 500])
async def test_a_wish_and_a_long_turn_hurry(make: Make, text: str) -> None:
    reading = make(ScriptedModel())
    reading.hear(text[:2000])
    reading.hear(text[:2000], "I own it", call_id="next")

    assert await reading.settle(pass_us=0) == (1 if text.startswith("Remember") else 0)


async def test_a_history_of_two_hundred_turns_sent_again_costs_no_call(make: Make) -> None:
    model = ScriptedModel()
    reading = make(model)
    turns = [f"I own {number} boats" for number in range(200)]
    reading.hear(*turns)
    await reading.settle()
    calls = len(model.asked)
    assert 1 <= calls <= 200 / ENOUGH_TURNS
    assert sum(len(model.question(place)["messages"]) for place in range(calls)) == 200

    for number in range(5):
        reading.hear(*turns, call_id=f"again-{number}")
        await reading.settle()
    assert len(model.asked) == calls


async def test_turns_without_any_sign_cost_no_call(make: Make) -> None:
    model = ScriptedModel()
    reading = make(model)
    reading.hear("How do I sort a list in Python?", "ok thanks")
    await reading.settle()

    assert model.asked == []
    assert [job.outcome for job in jobs(reading)] == ["no_cue"]
    assert len(reading.everything()) == 2


async def test_a_refinement_a_contradiction_and_a_wish_to_forget(make: Make) -> None:
    def script(asked: Asked) -> dict[str, Any]:
        question = model.question()
        text = question["messages"][-1]["text"]
        known = {one["text"]: one["id"] for one in question["memories"]}
        home = {"subject": "user", "predicate": "lives_in"}
        if text == "I live in Rome":
            return ops(quoting(text, object="Rome", **home), op("User has a cat", "I live in Rome"))
        if text == "I have a cat called Tom":
            return ops(quoting(text, object="Tom", predicate="has_pet", subject="user"))
        if text == "I live in Oslo now":
            target = known["I live in Rome"]
            return ops(quoting(text, op="SUPERSEDE", target=target, object="Oslo", **home))
        return ops(op("", text, op="DELETE", target=known["I have a cat called Tom"]))

    model = ScriptedModel(script)
    reading = make(model)
    said: list[str] = []
    for text in (
        "I live in Rome",
        "I have a cat called Tom",
        "I live in Oslo now",
        "Please forget my cat Tom",
    ):
        said.append(text)
        reading.hear(*said, call_id=text)
        await reading.settle()

    assert reading.texts() == ["I live in Oslo now"]
    assert [one.effects[-1].event for one in jobs(reading)][-1] == "ADD"


async def test_an_answer_that_cannot_be_read_is_tried_again_and_at_last_given_up(make: Make) -> None:
    model = ScriptedModel(["{}"] * MOST_REFUSALS)
    reading = make(model)
    reading.hear("I live in Rome")
    for attempt in range(1, MOST_REFUSALS):
        assert await reading.settle(pass_us=HOUR_US) == 1
        (job,) = jobs(reading)
        assert (job.state, job.attempts, job.error) == ("waiting", attempt, "model_answer_invalid")
        assert await reading.settle(pass_us=0) == 0
    await reading.settle(pass_us=HOUR_US)

    (job,) = jobs(reading)
    assert (job.state, job.error, len(model.asked)) == ("dead", "model_answer_invalid", MOST_REFUSALS)
    assert [one.text for one in reading.everything()] == ["I live in Rome"]
    assert await reading.settle(pass_us=HOUR_US) == 0


async def test_a_model_that_is_away_for_an_hour_loses_nothing(make: Make) -> None:
    model = ScriptedModel(lambda asked: ops(op("User plays the oboe", "I play the oboe", m=2)))
    model.away = True
    reading = make(model)
    reading.hear("I live in Rome", "I play the oboe")
    calls = 0
    for _ in range(60):
        calls += await reading.settle(pass_us=MINUTE_US)
    assert 5 <= calls <= 15  # backed off
    (waiting,) = jobs(reading)
    assert (waiting.state, waiting.error) == ("waiting", "model_unavailable")
    hits = reading.engine.search(ALICE, "the oboe", limit=5, threshold=0.0)
    assert hits[0][0].text == "I play the oboe"
    assert reading.texts() == ["I live in Rome"]  # by rule

    model.away = False
    await reading.settle(pass_us=HOUR_US)
    assert reading.texts() == ["I live in Rome", "User plays the oboe"]
    assert jobs(reading)[0].state == "done"


async def test_a_retry_applies_what_the_model_said_the_first_time(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ScriptedModel(
        [ops(op("User lives in Rome", "I live in Rome")), ops(op("User lives in Oslo", "I live in Oslo"))]
    )
    reading = make(model)
    reading.hear("I live in Rome")
    apply = reading.engine.apply

    def full(*args: Any, **options: Any) -> Any:
        raise OSError("no space left")

    monkeypatch.setattr(reading.engine, "apply", full)
    with pytest.raises(OSError, match="no space"):
        await reading.settle()
    monkeypatch.setattr(reading.engine, "apply", apply)
    reading.jobs.release_all()
    await reading.settle()

    assert len(model.asked) == 1
    assert reading.texts() == ["User lives in Rome"]


async def test_without_a_model_rules_read(make: Make) -> None:
    reading = make()
    reading.hear("My name is Ana and I live in Rome.", "the oboe is mine")
    await reading.settle()

    assert sorted(reading.texts()) == ["I live in Rome", "My name is Ana"]
    assert [job.outcome for job in jobs(reading)] == ["rules"]
    assert len(reading.everything()) == 4


async def test_an_earlier_conversation_of_the_thread_is_read_first(make: Make) -> None:
    model = ScriptedModel()
    model.away = True
    reading = make(model)
    reading.hear("I live in Rome")
    await reading.settle()
    reading.hear("I live in Rome", "Remember: I live in Oslo", call_id="next")
    reading.hear("I own a boat", call_id="other", thread_id="another")
    model.asked.clear()
    model.away = False
    reading.clock.us += 1
    assert (
        await reading.extraction.step() is False
    )  # the one before is backed off, the other thread talks still
    await reading.settle(pass_us=HOUR_US)

    assert [model.question(place)["messages"][0]["text"] for place in range(3)][:2] in (
        ["I live in Rome", "I own a boat"],
        ["I live in Rome", "Remember: I live in Oslo"],
        ["I own a boat", "I live in Rome"],
    )
    said = [one["text"] for place in range(3) for one in model.question(place)["messages"]]
    assert said.index("I live in Rome") < said.index("Remember: I live in Oslo")


async def test_candidates_are_the_scopes_own_facts(make: Make) -> None:
    model = ScriptedModel(
        lambda asked: ops(op("User has a cat", "I have a cat")) if len(model.asked) < 3 else ops()
    )
    reading = make(model)
    for scope in (ALICE, BOB):
        reading.hear("I have a cat", scope=scope)
        await reading.settle()
    reading.hear("my cat is ill", thread_id="new", call_id="c3")
    await reading.settle()

    assert [one["text"] for one in model.question()["memories"]] == ["User has a cat"]


async def test_what_is_erased_while_a_model_reads_it_does_not_come_back(make: Make) -> None:
    def script(asked: Asked) -> dict[str, Any]:
        reading.engine.delete_all(ALICE)
        return ops(op("User lives in Rome", "I live in Rome"))

    model = ScriptedModel(script)
    reading = make(model)
    reading.hear("I live in Rome")
    await reading.settle()
    await reading.settle(pass_us=HOUR_US)

    assert reading.everything() == []
    assert [job.outcome for job in jobs(reading)] in (["erased"], [])


async def test_a_neighbour_that_is_erased_leaves_the_context_too(make: Make) -> None:
    model = ScriptedModel()
    reading = make(model)
    (first, _) = reading.hear("my pin is kumquat", "I live in Rome").added
    reading.engine.delete(ALICE, first)
    await reading.settle()

    assert "kumquat" not in str(model.asked)


async def test_messages_that_are_handed_over_are_read_at_once(make: Make) -> None:
    model = ScriptedModel([ops(op("User lives in Rome", "I live in Rome"))])
    reading = make(model)
    job_id = reading.extraction.extract(
        ALICE,
        [{"role": "system", "content": "I am a prompt"}, {"role": "user", "content": "I live in Rome"}],
        occurred_at_us=reading.clock.us,
        metadata={"source": "import"},
        actor="key-1",
        instructions="homes only",
    )
    await reading.settle(pass_us=0)

    (found,) = reading.everything()
    assert (found.text, found.metadata) == ("User lives in Rome", {"source": "import"})
    assert jobs(reading)[0].id == job_id
    assert model.question()["wishes"] == "homes only"
    assert "I am a prompt" not in str(model.asked)


async def test_words_that_nothing_holds_are_kept_while_the_model_is_away(make: Make) -> None:
    model = ScriptedModel()
    model.away = True
    reading = make(model)
    reading.extraction.extract(
        ALICE, [{"role": "user", "content": "the oboe is mine"}], occurred_at_us=1, metadata={}, actor=""
    )
    await reading.settle(pass_us=0)

    assert [one.text for one in reading.everything()] == ["the oboe is mine"]


async def test_a_run_is_summed_up_for_its_agent(make: Make) -> None:
    reading = make(ScriptedModel(["Bought two apples for 3.50."]))
    reading.extraction.extract(
        ALICE,
        [{"role": "user", "content": "buy apples"}, {"role": "tool", "content": "paid 3.50"}],
        occurred_at_us=reading.clock.us,
        metadata={},
        actor="",
        procedural=True,
    )
    await reading.settle(pass_us=0)

    assert [(one.text, one.kind) for one in reading.found()] == [("Bought two apples for 3.50.", "procedure")]


async def test_a_secret_reaches_neither_the_job_nor_the_model(make: Make, tmp_path: Path) -> None:
    secret = "ghp_" + "Ab3" * 12
    model = ScriptedModel()
    reading = make(model)
    reading.extraction.extract(
        ALICE, [{"role": "user", "content": f"my token is {secret}"}], occurred_at_us=1, metadata={}, actor=""
    )
    await reading.settle(pass_us=0)

    assert model.asked
    assert secret not in str(model.asked)
    assert not holding(tmp_path, secret)


SOURCES = (
    "I live in Rome",
    "My cat is called Tom",
    "Please forget my cat",
    "我对花生过敏",
    "I do not eat fish",
)
WORDS = st.one_of(st.sampled_from([*SOURCES, "User lives in Rome", "Tom", "", "fish"]), st.text(max_size=30))
OPERATIONS = st.builds(
    lambda text, quote, operator, target, m, polarity, thing: op(
        text, quote, op=operator, target=target, m=m, polarity=polarity, object=thing
    ),
    WORDS,
    WORDS,
    st.sampled_from(["ADD", "UPDATE", "SUPERSEDE", "DELETE", "NONE", "DROP TABLE"]),
    st.integers(-1, 6),
    st.integers(-1, 6),
    st.sampled_from(["positive", "negative"]),
    WORDS,
)
ANSWERS = st.one_of(st.lists(OPERATIONS, max_size=4).map(lambda found: {"ops": found}), st.text(max_size=40))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ANSWERS, min_size=1, max_size=6))
def test_whatever_a_model_answers_only_what_was_said_is_remembered(
    tmp_path: Path, answers: list[Any]
) -> None:
    async def run(folder: Path) -> None:
        model = ScriptedModel(answers)
        reading = Reading(folder, model)
        try:
            reading.engine.add(BOB, [Statement("User lives in Rome")])
            for number in range(len(SOURCES)):
                reading.hear(*SOURCES[: number + 1], call_id=f"call-{number}")
                await reading.settle(pass_us=HOUR_US)
            for found in reading.found():
                proofs = reading.ledger.evidence(ALICE, found.id)
                assert proofs
                assert all(proof.quote and any(proof.quote in text for text in SOURCES) for proof in proofs)
            assert [one.text for one in reading.everything(BOB)] == ["User lives in Rome"]
            before = reading.everything()
            calls = len(model.asked)
            reading.hear(*SOURCES, call_id="again")
            assert await reading.settle(pass_us=0) == 0
            assert (reading.everything(), len(model.asked)) == (before, calls)
        finally:
            reading.close()

    asyncio.run(run(Path(tempfile.mkdtemp(dir=tmp_path))))


async def test_a_history_that_was_erased_is_no_context_of_what_is_said_after_it(make: Make) -> None:
    erased = "my canary boat is called Swan"
    model = ScriptedModel(lambda _: ops(op("User's canary boat is Swan", "Remember that I sold it")))
    reading = make(model)
    reading.hear(erased)
    reading.engine.delete_all(ALICE)
    reading.clock.us += MINUTE_US
    reading.hear(erased, "Remember that I sold it", call_id="again")
    await reading.settle()

    assert "canary" not in model.asked[-1].messages[1]["content"]
    assert "canary" not in repr(reading.everything())
