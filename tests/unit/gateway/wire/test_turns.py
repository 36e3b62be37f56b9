"""What is read of a user's turns, and what they are known by."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.turns import DIGEST_BYTES, FENCE, Turns, own_words, scrubbed
from memory import render

BLOCK = render.block_of(["- [2026-01-02] She lives in Lisbon"])


def told(*said: str, seed: str = "") -> Turns:
    turns = Turns()
    if seed:
        turns.begin(seed)
    turns.hear([*enumerate(said)])
    return turns


@given(
    st.lists(st.text(min_size=1).filter(lambda text: bool(text.strip())), min_size=1, max_size=5), st.text()
)
def test_a_history_sent_again_has_the_same_digests_and_another_word_changes_all_that_follow(said, more):
    first, second = told(*said), told(*said, "and then?")
    other = told(f"{said[0]}{more}x", *said[1:])

    assert second.chain.startswith(first.chain)
    assert len(second.chain) == DIGEST_BYTES * (len(said) + 1)
    mine, theirs = (
        [chain[at : at + DIGEST_BYTES] for at in range(0, len(chain), DIGEST_BYTES)]
        for chain in (first.chain, other.chain)
    )
    assert not set(mine) & set(theirs)


def test_the_same_words_said_twice_are_two_turns():
    chain = told("yes", "yes").chain

    assert chain[:DIGEST_BYTES] != chain[DIGEST_BYTES:]
    assert told("yes").chain == chain[:DIGEST_BYTES]
    assert told("yes", seed="resp_1").chain != told("yes").chain


def test_what_programs_and_we_add_is_nothing_the_user_said():
    plain = told("hi")
    turns = Turns()
    turns.hear([(3, own_words(["<system-reminder>It is late.</system-reminder>", "hi", BLOCK]))])
    quoted = told(f"hi\n{BLOCK}")

    assert plain.chain == turns.chain == quoted.chain
    assert turns.turns == quoted.turns == ["hi"]
    assert turns.anchors == [3]


def test_a_message_that_is_only_ours_is_no_turn():
    turns = told("hi", BLOCK)

    assert (turns.anchors, turns.fresh) == ([0], False)


def test_quoted_blocks_are_taken_out_wherever_they_stand():
    assert BLOCK.startswith(FENCE), "both packages mean the same fence"
    assert scrubbed(f"before {BLOCK} between {BLOCK} after") == "before  between  after"
    assert scrubbed(f"before {BLOCK[:60]}") == "before "
    assert scrubbed("a < b") == "a < b"


@given(st.lists(st.text(), max_size=4))
def test_both_packages_take_out_the_same(parts):
    text = BLOCK.join(parts)
    assert scrubbed(text) == render.scrubbed(text)
