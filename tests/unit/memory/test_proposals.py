"""What a conversation was shown stands there byte for byte in every later call, and nothing else does."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.proposals import COLD_US, LEFT_OUT, MOST_REPLAYED, Proposal
from memory.render import tokens_of
from memory.scope import Scope
from tests.fakes.memory_parts import ALICE, BOB
from tests.fakes.scripted_memory import Talk


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    made = await Talk(tmp_path).open()
    yield made
    await made.close()


async def test_blocks_of_earlier_turns_are_replayed_and_their_memories_not_shown_again(talk: Talk) -> None:
    talk.memory.learn("tea", "rain", "dogs")

    first = await talk.ask("one")
    second = await talk.ask("one", "two")
    third = await talk.ask("one", "two", "three")

    assert [found.status for found in (first, second, third)] == ["injected"] * 3
    assert second.replays == ((0, first.block),)
    assert third.replays == ((0, first.block), (1, second.block))
    assert len({*first.ids, *second.ids, *third.ids}) == 3
    assert talk.memory.asked[2][2] == {*first.ids, *second.ids}


async def test_in_a_loop_of_functions_the_same_bytes_stand_at_the_same_place_and_nothing_is_looked_up(
    talk: Talk,
) -> None:
    talk.memory.learn("tea", "rain")
    first = await talk.ask("one")

    loops = [await talk.ask("one", query="") for _ in range(3)]

    assert {(found.status, found.replays, found.block) for found in loops} == {
        ("replayed", ((0, first.block),), "")
    }
    assert len(talk.memory.asked) == 1


async def test_what_was_not_confirmed_is_neither_replayed_nor_seen(talk: Talk) -> None:
    (tea,) = talk.memory.learn("tea")

    late = await talk.ask("one", confirm=False)
    again = await talk.ask("one", "two")

    assert late.ids == again.ids == (tea,)
    assert again.replays == ()
    assert talk.memory.used == [("call-2", frozenset({tea}))]


async def test_a_turn_for_which_nothing_was_found_stays_without(talk: Talk) -> None:
    nothing = await talk.ask("one")
    (tea,) = talk.memory.learn("tea")
    loop = await talk.ask("one", query="")
    later = await talk.ask("one", "two")

    assert (nothing.status, loop.status) == ("empty", "empty")
    assert (later.replays, later.ids) == ((), (tea,))


async def test_a_question_asked_anew_gets_what_is_known_now(talk: Talk) -> None:
    assert (await talk.ask("one")).status == "empty"
    talk.memory.learn("tea")

    again = await talk.ask("one")
    later = await talk.ask("one", "two")

    assert again.status == "injected"
    assert later.replays == ((0, again.block),)


async def test_a_restart_between_turns_loses_nothing_that_was_confirmed(talk: Talk) -> None:
    talk.memory.learn("tea", "rain", "dogs")
    first = await talk.ask("one")
    await talk.restart()
    second = await talk.ask("one", "two", confirm=False)
    await talk.restart()
    await talk.proposals.confirm(ALICE, "call-2", second.ids)

    third = await talk.ask("one", "two", "three")

    assert second.replays == ((0, first.block),)
    assert third.replays == ((0, first.block),), (
        "the hub forgot what it had proposed: a miss, and nothing wrong"
    )
    assert talk.memory.used[1] == ("call-2", frozenset(second.ids)), "the worker knows which memories it used"


async def test_who_asks_right_after_a_confirmation_sees_it(talk: Talk) -> None:
    talk.memory.learn("tea", "rain")
    first = await talk.ask("one", confirm=False)
    confirming = asyncio.ensure_future(talk.proposals.confirm(ALICE, "call-1", first.ids))  # noqa: TID251
    await asyncio.sleep(0)

    second = await talk.ask("one", "two")

    assert second.replays == ((0, first.block),)
    await confirming


async def test_conversations_do_not_mix(talk: Talk) -> None:
    talk.memory.learn("tea", "rain", "dogs")
    guided = Scope(project="p", environment="prod", user="alice", agent="guide")
    await talk.ask("one", thread="t1")

    for other in (
        await talk.ask("one", "two", thread="t2"),
        await talk.ask("one", "two"),
        await talk.ask("other", "two", thread="t1"),
        await talk.ask("one", "two", thread="t1", scope=guided),
        await talk.ask("one", "two", thread="t1", scope=BOB),
    ):
        assert other.replays == ()
    assert (await talk.ask("one", "two", thread="t1")).replays != ()


async def test_a_confirmation_of_another_scope_notes_nothing(talk: Talk) -> None:
    talk.memory.learn("tea")
    await talk.ask("one", confirm=False)

    await talk.proposals.confirm(BOB, "call-1", ())

    assert (await talk.ask("one", "two")).replays == ()


async def test_a_deleted_memory_is_not_replayed_and_the_rest_is(talk: Talk) -> None:
    tea, _ = talk.memory.learn("tea", "rain")
    await talk.ask("one")
    second = await talk.ask("one", "two")

    talk.memory.ledger.delete(ALICE, tea)
    del talk.memory.known[tea]
    third = await talk.ask("one", "two", "three")

    assert third.replays == ((1, second.block),)


async def test_while_recall_fails_the_conversation_keeps_its_blocks(talk: Talk) -> None:
    talk.memory.learn("tea")
    first = await talk.ask("one")
    talk.memory.failing = True

    second = await talk.ask("one", "two", confirm=False)

    assert (second.status, second.reason, second.replays) == ("error", "index_away", ((0, first.block),))


async def test_memories_in_a_response_that_its_provider_keeps_are_not_shown_again(talk: Talk) -> None:
    tea, rain = talk.memory.learn("tea", "rain")

    found = await talk.ask("two", seen=frozenset({tea}))

    assert found.ids == (rain,)


# --- the profile --------------------------------------------------------------------------------


async def test_the_profile_is_frozen_with_the_thread(talk: Talk) -> None:
    (ada,) = talk.memory.learn("Call me Ada", kind="instruction")
    first = await talk.ask("one", thread="t", profile=300)
    talk.memory.learn("I live in Porto", kind="fact")
    second = await talk.ask("one", "two", thread="t", profile=300)
    other = await talk.ask("one", thread="u", profile=300)

    assert "Call me Ada" in first.profile
    assert (first.status, first.profile_ids) == ("injected", (ada,))
    assert (second.status, second.profile, second.profile_ids) == ("replayed", first.profile, ())
    assert "Porto" in other.profile
    assert talk.memory.used[0] == ("call-1", frozenset({ada}))


async def test_a_thread_that_began_without_a_profile_goes_on_without(talk: Talk) -> None:
    await talk.ask("one", thread="t", profile=300)
    talk.memory.learn("Call me Ada", kind="instruction")

    assert (await talk.ask("one", "two", thread="t", profile=300)).profile == ""


async def test_a_conversation_without_a_name_that_begins_again_is_introduced_anew(talk: Talk) -> None:
    talk.memory.learn("Call me Ada", kind="instruction")
    first = await talk.ask("hi", profile=300)
    talk.memory.learn("I live in Porto", kind="fact")

    loop = await talk.ask("hi", profile=300, query="")
    again = await talk.ask("hi", profile=300)

    assert loop.profile == first.profile
    assert "Porto" in again.profile


async def test_the_profile_is_made_anew_once_no_provider_has_the_old_one(talk: Talk) -> None:
    talk.memory.learn("Call me Ada", kind="instruction")
    await talk.ask("one", thread="t", profile=300)
    talk.memory.learn("I live in Porto", kind="fact")
    talk.clock.us += COLD_US + 1

    later = await talk.ask("one", "two", thread="t", profile=300)
    after = await talk.ask("one", "two", "three", thread="t", profile=300)

    assert "Porto" in later.profile
    assert after.profile == later.profile


async def test_a_profile_goes_at_once_with_what_is_deleted_of_it(talk: Talk) -> None:
    ada, _ = talk.memory.learn("Call me Ada", "Speak French", kind="instruction")
    await talk.ask("one", thread="t", profile=300)

    talk.memory.ledger.delete(ALICE, ada)

    assert (await talk.ask("one", "two", thread="t", profile=300)).profile == ""
    talk.clock.us += COLD_US + 1
    later = await talk.ask("one", "two", "three", thread="t", profile=300)
    assert "Ada" not in later.profile
    assert "French" in later.profile


async def test_a_profile_fits_its_budget_and_is_of_a_user(talk: Talk) -> None:
    talk.memory.learn(*(f"I like number {number}" for number in range(50)), kind="preference")
    agent = Scope(project="p", environment="prod", agent="guide")

    small = await talk.ask("one", thread="t", profile=150)

    assert 100 < small.profile_tokens <= 150
    assert (await talk.ask("one", thread="u", profile=0)).profile == ""
    assert (await talk.ask("one", thread="v", profile=300, scope=agent)).profile == ""


async def test_what_the_profile_says_is_not_recalled(talk: Talk) -> None:
    (ada,) = talk.memory.learn("Call me Ada", kind="instruction")

    await talk.ask("one", thread="t", profile=300)
    await talk.ask("one", "two", thread="t", profile=300)

    assert [seen for _, _, seen in talk.memory.asked] == [{ada}, {ada}]


# --- how much -----------------------------------------------------------------------------------


async def test_a_conversation_is_shown_only_so_much_until_it_is_cold(talk: Talk) -> None:
    talk.memory.learn(*(f"{number} " + "x" * 2900 for number in range(20)))
    said = [str(number) for number in range(10)]
    found = Proposal(status="empty")
    for turn in range(1, 9):
        found = await talk.ask(*said[:turn])

    shown = len(found.replays)
    assert (found.status, found.reason) == ("replayed", "thread_full")
    assert 3 <= shown <= MOST_REPLAYED // 750

    talk.clock.us += COLD_US + 1
    cold = await talk.ask(*said[:9])
    warm = await talk.ask(*said[:10])

    assert 0 < len(cold.replays) <= shown // 2 + 1
    assert cold.replays == found.replays[-len(cold.replays) :], "the oldest are left out"
    assert warm.replays[: len(cold.replays)] == cold.replays, "and stay out"


async def test_a_smaller_model_is_shown_the_newest_and_the_larger_one_all_again(talk: Talk) -> None:
    talk.memory.learn(*(f"{number} " + "x" * 1200 for number in range(20)))
    talk.memory.learn(*(f"I like number {number}" for number in range(50)), kind="preference")
    said = [str(number) for number in range(7)]
    for turn in range(1, 5):
        await talk.ask(*said[:turn], thread="t", profile=300)

    small = await talk.ask(*said[:5], thread="t", profile=300, most=1100)
    again = await talk.ask(*said[:6], thread="t", profile=300, most=1100)
    tiny = await talk.ask(*said[:6], thread="t", profile=300, most=200, confirm=False)
    large = await talk.ask(*said[:7], thread="t", profile=300, most=100_000)

    assert [place for place, _ in small.replays] == [2, 3]
    assert again.replays == small.replays, "its prefix stays the same"
    assert (tiny.profile, tiny.block, tiny.replays) == ("", "", ())
    assert [place for place, _ in large.replays] == [0, 1, 2, 3]
    assert large.profile == small.profile != ""


ASKED = st.tuples(
    st.sampled_from([0, 90, 204, 409, 819, 1638, 12_800]),  # a tenth of the window
    st.integers(min_value=1, max_value=900),
    st.sampled_from([0, 150, 300]),
)


@given(asked=st.lists(ASKED, min_size=1, max_size=6), lengths=st.lists(st.integers(1, 2500), max_size=12))
@settings(max_examples=25, deadline=None)
def test_never_more_than_a_tenth_of_a_known_window_or_than_the_budget(
    asked: list[tuple[int, int, int]], lengths: list[int]
) -> None:
    async def talked(folder: Path) -> None:
        talk = await Talk(folder).open()
        talk.memory.at_once = 3
        talk.memory.learn(*(f"{number} " + "x" * length for number, length in enumerate(lengths)))
        talk.memory.learn(*(f"I like number {number}" for number in range(20)), kind="preference")
        try:
            for turn, (most, budget, profile) in enumerate(asked, start=1):
                said = [str(number) for number in range(turn)]
                found = await talk.ask(*said, budget=budget, thread="t", profile=profile, most=most)
                texts = [found.profile, found.block, *(text for _, text in found.replays)]
                assert tokens_of(found.block) <= budget
                assert sum(map(tokens_of, texts[1:])) <= MOST_REPLAYED
                assert not most or sum(map(tokens_of, texts)) <= most
        finally:
            await talk.close()

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(talked(Path(name)))


async def test_why_is_told_in_short(talk: Talk) -> None:
    ids = talk.memory.learn(*(f"thing {number}" for number in range(30)))
    await talk.ask("one")
    await talk.ask("one", query="")

    why = await talk.proposals.why(ALICE, "call-1")

    assert why is not None
    assert (why.status, why.counts) == ("injected", {"chosen": 1, "below_gate": 29})
    assert why.left_out == tuple((one, "below_gate") for one in ids[1 : LEFT_OUT + 1])
    assert await talk.proposals.why(ALICE, "call-3") is None


# --- whatever happens ---------------------------------------------------------------------------


async def _chaos(talk: Talk, seed: int, steps: int) -> None:
    """Confirm or lose answers, restart the hub, branch and repeat: the prompt must stay what the provider saw."""
    dice = random.Random(seed)
    talk.memory.learn(*(f"thing {number}" for number in range(steps)))
    said = ["0"]
    sent: dict[tuple[str, ...], str] = {}
    """By history: the last block that really went out behind its last turn."""
    for step in range(steps):
        call_id = f"call-{talk.calls + 1}"
        confirmed = dice.random() < 0.7
        found = await talk.ask(*said, confirm=False)
        for place, block in found.replays:
            assert sent[tuple(said[: place + 1])] == block, "a block that no provider saw"
        shown = [
            one
            for one, text in talk.memory.known.items()
            for _, block in found.replays
            if text + "\n" in block
        ]
        assert not set(shown) & set(found.ids), "shown twice"
        if confirmed:
            sent[tuple(said)] = found.block
            await talk.proposals.confirm(ALICE, call_id, found.ids)
        if dice.random() < 0.15:
            await talk.restart()
        move = dice.random()
        if move < 0.15 and len(said) > 2:
            del said[-2:]  # an earlier turn is edited
        if move < 0.8:
            said.append(str(step + 1))
        if len(said) > 8:
            said = [f"new {step}"]


async def test_never_a_wrong_block(talk: Talk) -> None:
    await _chaos(talk, seed=7, steps=40)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(20))
async def test_never_a_wrong_block_for_long(talk: Talk, seed: int) -> None:
    await _chaos(talk, seed=seed, steps=200)


async def test_a_loop_of_functions_notes_what_stood_there_before(talk: Talk) -> None:
    (one,) = talk.memory.learn("I like tea")
    await talk.ask("hello")
    await talk.ask("hello", query="")

    assert talk.memory.ledger.calls.of_memory(ALICE, one, limit=5)[0][0] == "call-2"
    why = await talk.proposals.why(ALICE, "call-2")
    assert why is not None
    assert (why.status, why.reason) == ("empty", "no_question")
