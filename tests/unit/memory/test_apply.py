from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from memory.apply import Claim, View, claim_of, id_of, is_sound, settle, single_valued
from memory.capture import same_of
from memory.records import Entity, Evidence, Operation
from tests.fakes.memory_parts import ALICE, BOB, KEY

DAY = 86_400_000_000


def op(text: str = "", at: int = 1, **fields: Any) -> Operation:
    call_id = fields.pop("call_id", f"call-{text}-{at}")
    triple = fields.pop("triple", ("", "", ""))
    evidence = (Evidence(call_id=call_id, message_index=0, quote=text or "forget it"),)
    named = dict(zip(("subject", "predicate", "object"), triple, strict=True))
    return Operation(
        **{"op": "ADD", "text": text, "occurred_at_us": at, "evidence": evidence, **named, **fields}
    )


def claim(operation: Operation) -> Claim:
    return claim_of(id_of(ALICE, operation, KEY), operation, same_of(KEY, operation.text))


def settled(*operations: Operation) -> list[View]:
    return settle([claim(one) for one in operations])


def holding(views: list[View], at: int = 10**9) -> list[str]:
    return sorted(
        view.voice.operation.text
        for view in views
        if not view.retracted and view.valid_from_us <= at and (not view.valid_to_us or view.valid_to_us > at)
    )


def lives(city: str, at: int, **fields: Any) -> Operation:
    return op(f"Alice lives in {city}", at, triple=("Alice", "lives_in", city), **fields)


def test_a_new_value_of_a_slot_ends_the_old_one_where_it_begins():
    old, new = settled(lives("Berlin", 5), lives("Paris", 9))
    assert (old.valid_from_us, old.valid_to_us) == (5, 9)
    assert (new.valid_from_us, new.valid_to_us) == (9, 0)
    assert old.ended_by == new.voice.id


def test_a_fact_that_arrives_late_is_ended_by_what_came_after_it():
    views = settled(lives("Paris", 9), lives("Berlin", 20, valid_from_us=5))
    assert holding(views) == ["Alice lives in Paris"]
    assert holding(views, at=6) == ["Alice lives in Berlin"]


def test_a_value_that_comes_back_is_another_memory():
    views = settled(lives("Berlin", 1), lives("Paris", 2), lives("Berlin", 3))
    assert [(view.valid_from_us, view.valid_to_us) for view in views] == [(1, 2), (2, 3), (3, 0)]


def test_what_begins_at_the_same_moment_has_one_winner():
    assert len(holding(settled(lives("Berlin", 1), lives("Paris", 1), lives("Rome", 1)))) == 1


def test_a_predicate_with_many_objects_is_contradicted_by_denial_alone():
    tea, coffee = (
        op(f"Alice likes {one}", at, triple=("Alice", "likes", one))
        for one, at in (("tea", 1), ("coffee", 2))
    )
    no_tea = op("Alice does not like tea", 3, triple=("Alice", "likes", "tea"), negative=True)
    assert holding(settled(tea, coffee)) == ["Alice likes coffee", "Alice likes tea"]
    assert holding(settled(tea, coffee, no_tea)) == ["Alice does not like tea", "Alice likes coffee"]
    assert single_valued("lives_in")
    assert single_valued("favourite colour")
    assert not single_valued("likes")


def test_denying_one_value_leaves_the_other_alone():
    gone = op("Alice does not live in Rome", 3, triple=("Alice", "lives_in", "Rome"), negative=True)
    assert holding(settled(lives("Berlin", 1), gone)) == [
        "Alice does not live in Rome",
        "Alice lives in Berlin",
    ]


def test_what_a_model_calls_superseded_ends_without_a_slot():
    old = op("The launch is planned with two people", 1)
    new = op("The launch was given up", 5, op="SUPERSEDE", target=claim(old).id)
    assert holding(settled(new, old)) == ["The launch was given up"]
    assert holding(settled(new)) == ["The launch was given up"]


def test_an_update_speaks_for_the_memory_if_it_keeps_its_numbers_and_names():
    old = op("User has a dog called Rex aged 3", 1, entities=(Entity("Rex"),))
    more = op("User has a brown dog called Rex, aged 3", 2, op="UPDATE", target=claim(old).id)
    (view,) = settled(old, more)
    assert (view.voice.operation.text, view.valid_from_us, view.proofs) == (more.text, 1, 2)
    less = op("User has a brown dog", 2, op="UPDATE", target=claim(old).id)
    assert holding(settled(old, less)) == [less.text, old.text]


def test_two_updates_of_which_the_second_loses_what_the_first_added():
    old = op("User has a dog called Rex", 1, entities=(Entity("Rex"),))
    one = op("User has a dog called Rex from Oslo", 2, op="UPDATE", target=claim(old).id)
    two = op("User has a small dog called Rex", 3, op="UPDATE", target=claim(old).id)
    assert holding(settled(old, one, two)) == sorted([one.text, two.text])


def test_the_same_said_again_is_a_proof_and_no_memory():
    (view,) = settled(op("I like tea", 1), op("i LIKE tea!", 2), op("I like tea", 3, op="NONE", target="?"))
    assert (view.proofs, view.voice.operation.text) == (2, "I like tea")
    known = op("I like tea", 1)
    (view,) = settled(known, op("tea, as I said", 3, op="NONE", target=claim(known).id))
    assert view.proofs == 2


def test_near_duplicates_merge_only_if_numbers_names_and_negation_agree():
    def near(one: Operation, other: Operation) -> int:
        first, second = claim(one), claim(other)
        linked = claim_of(second.id, other, second.same, [first.id])
        return len(settle([first, linked]))

    assert near(op("User owns 2 cats"), op("User has 2 cats", 2)) == 1
    assert near(op("User owns 2 cats"), op("User has 3 cats", 2)) == 2
    assert near(op("User owns cats"), op("User owns no cats", 2)) == 2
    assert near(op("User met Anna"), op("User met Berta", 2)) == 2


def test_only_the_user_takes_back_and_says_it_again():
    told = op("User's address is 5 High Street", 1)
    forget = op("", 2, op="DELETE", target=claim(told).id)
    assert holding(settled(told, forget)) == []
    again = op("User's address is 5 High Street", 3, call_id="later")
    assert holding(settled(told, forget, again)) == [told.text]
    assert not is_sound(op("", 2, op="DELETE", target="x", trust="assistant"))
    assert not is_sound(op("", 2, op="DELETE", target="x", quarantined=True))


def test_nobody_ends_what_a_more_trusted_one_said():
    views = settled(lives("Berlin", 1), lives("Paris", 2, trust="tool"))
    assert holding(views) == ["Alice lives in Berlin"]
    assert holding(settled(lives("Paris", 1, trust="tool"), lives("Berlin", 2))) == ["Alice lives in Berlin"]
    assert len(holding(settled(lives("Berlin", 1), lives("Paris", 2, quarantined=True)))) == 2


def test_nobody_speaks_for_a_memory_of_a_more_trusted_one():
    old = op("User likes tea", 1)
    more = op("User likes tea with salt", 2, op="UPDATE", target=claim(old).id, trust="tool")
    assert {view.voice.operation.text: view.trust for view in settled(old, more)} == {
        "User likes tea": "user",
        "User likes tea with salt": "tool",
    }


def test_nothing_is_sound_without_evidence():
    assert is_sound(op("I like tea"))
    assert not is_sound(op("I like tea", evidence=()))
    assert not is_sound(op("I like tea", evidence=(Evidence(call_id="c", message_index=0, quote=" "),)))
    assert not is_sound(op(" "))
    assert not is_sound(op("so", op="NONE"))


def test_an_operation_has_one_name_in_one_scope():
    assert id_of(ALICE, op("I like tea"), KEY) == id_of(
        ALICE, op("I LIKE tea", call_id="call-I like tea-1", evidence=op("I like tea").evidence), KEY
    )
    assert id_of(ALICE, op("I like tea"), KEY) != id_of(BOB, op("I like tea"), KEY)
    assert id_of(ALICE, op("I like tea"), KEY) != id_of(ALICE, op("I like tea"), b"another")


CITIES = st.sampled_from(["Berlin", "Paris", "Rome"])
TIMES = st.integers(1, 6)


@st.composite
def stories(draw: st.DrawFn) -> list[Operation]:
    """Operations about few things at few moments, so that they collide; some about each other."""
    made: list[Operation] = []
    for number in range(draw(st.integers(1, 8))):
        known = [claim(one).id for one in made] or ["nothing"]
        predicate = draw(st.sampled_from(["lives_in", "likes", ""]))
        city = draw(CITIES)
        kind = draw(st.sampled_from(["ADD", "ADD", "UPDATE", "SUPERSEDE", "DELETE", "NONE"]))
        made.append(
            op(
                f"Alice {predicate} {city}{draw(st.sampled_from(['', '!', ' 7', ' so far']))}",
                draw(TIMES),
                op=kind,
                call_id=f"c{number}",
                target="" if kind == "ADD" else draw(st.sampled_from(known)),
                triple=("Alice", predicate, city) if predicate else ("", "", ""),
                negative=draw(st.booleans()),
                valid_from_us=draw(st.sampled_from([0, 0, 2, 4])),
                valid_to_us=draw(st.sampled_from([0, 0, 0, 3])),
                trust=draw(st.sampled_from(["user", "user", "tool"])),
                quarantined=draw(st.integers(0, 9)) == 0,
            )
        )
    return [one for one in made if is_sound(one)]


def picture(views: list[View]) -> Sequence[object]:
    return sorted(
        (
            view.voice.operation.text,
            view.valid_from_us,
            view.valid_to_us,
            view.retracted,
            view.trust,
            view.proofs,
            sorted(one.id for one in view.claims),
        )
        for view in views
    )


@given(stories(), st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_memories(story, random):
    shuffled = random.sample(story, len(story))
    assert picture(settled(*story)) == picture(settled(*shuffled))
    assert picture(settled(*story)) == picture(settled(*story, *shuffled))


@given(stories())
def test_a_slot_has_one_value_at_a_time_and_every_claim_one_memory(story):
    views = settled(*story)
    told = [one.id for view in views for one in view.claims]
    assert len(told) == len(set(told))
    stating = {claim(one).id for one in story if one.op not in ("DELETE", "NONE")}
    assert stating <= set(told)
    assert all(view.evidence and view.proofs for view in views)
    for moment in range(8):
        values = {
            (view.stated.slot, view.stated.triple)
            for view in views
            if view.stated.slot
            and not view.stated.operation.negative
            and not view.retracted
            and view.valid_from_us <= moment
            and (not view.valid_to_us or view.valid_to_us > moment)
        }
        assert len(values) == len({slot for slot, _ in values})
