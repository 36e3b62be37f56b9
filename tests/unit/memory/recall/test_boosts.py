from __future__ import annotations

from memory.recall.boosts import boosted
from memory.temporal import Time, Window
from tests.fakes.candidates import DAY_US, candidate, question


def test_the_users_own_words_come_before_the_assistants():
    mine, its = candidate("a"), candidate("a", trust="assistant")
    assert boosted(0.5, mine, question("x")) > boosted(0.5, its, question("x")) > 0


def test_who_is_asked_about_goes_before_others():
    asked = question("x", speakers=frozenset(["Ann"]))
    assert boosted(0.5, candidate("a", actor="Ann"), asked) > boosted(0.5, candidate("a", actor="Bo"), asked)


def test_a_turn_that_only_asks_goes_after_one_that_says():
    assert boosted(0.5, candidate("A boat?"), question("x")) < boosted(
        0.5, candidate("A boat."), question("x")
    )


def test_the_time_that_is_asked_about_counts_and_fades():
    asked = question("x", time=Time("as_of", (Window(100 * DAY_US, 110 * DAY_US),)))
    inside, soon, long_after, before = (
        boosted(0.5, candidate("a", at_us=day * DAY_US), asked) for day in (105, 112, 200, 98)
    )
    assert inside > soon > long_after
    assert soon > before


def test_what_held_then_is_as_good_as_what_was_said_then():
    asked = question("x", time=Time("as_of", (Window(100 * DAY_US, 110 * DAY_US),)))
    held = candidate("a", at_us=1, valid_from_us=1, valid_to_us=105 * DAY_US)
    assert boosted(0.5, held, asked) == boosted(0.5, candidate("a", at_us=105 * DAY_US), asked)


def test_events_age_and_facts_do_not():
    asked = question("x", now_us=1000 * DAY_US)
    for kind, ages in (("event", True), ("fact", False)):
        old, new = (boosted(0.5, candidate("a", kind=kind, at_us=day * DAY_US), asked) for day in (1, 999))
        assert (old < new) is ages


def test_proof_and_links_count_within_bounds():
    plain = boosted(0.5, candidate("a"), question("x"))
    proven = boosted(0.5, candidate("a", proof_count=1000), question("x"))
    assert plain < proven < plain * 1.1
    one, two = (boosted(0.5, candidate("a"), question("x", linked={"a": hops})) for hops in (1, 2))
    assert plain < two < one <= plain + 0.1


def test_a_score_is_never_negative():
    assert boosted(0.0, candidate("A boat?"), question("x")) == 0


def test_what_faded_steps_back_except_where_its_time_is_asked_about():
    faded, fresh = candidate("a", at_us=105 * DAY_US, weight=0.3), candidate("a", at_us=105 * DAY_US)
    assert boosted(0.5, faded, question("x")) < boosted(0.5, fresh, question("x"))
    asked = question("x", time=Time("as_of", (Window(100 * DAY_US, 110 * DAY_US),)))
    assert boosted(0.5, faded, asked) == boosted(0.5, fresh, asked)
