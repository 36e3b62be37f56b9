from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memory.chain import after, align, content_of, id_of, root_of
from tests.fakes.memory_parts import KEY
from tests.fakes.memory_store import Trail

ROOT = root_of(KEY, b"scope", "t")
LINES = st.lists(st.sampled_from(["yes", "no", "a", "b", "c"]), max_size=12)


def keep(trail: Trail, *lines: str, named: bool = True) -> int:
    """Add what is new; return how much it was."""
    contents = [content_of(KEY, line) for line in lines]
    known, node = align(KEY, ROOT, contents, trail, named=named)
    for content in contents[known:]:
        following = after(KEY, node, content)
        trail.nodes[following] = (node, content)
        node = following
    return len(lines) - known


@given(LINES, LINES)
def test_history_sent_again_is_known_and_what_follows_is_new(first, more):
    trail = Trail()
    assert keep(trail, *first) == len(first)
    assert keep(trail, *first) == 0
    assert keep(trail, *first, *more) == len(more)
    assert keep(trail, *first) == keep(trail, *first, *more) == 0


@given(LINES)
def test_a_conversation_that_grows_turn_by_turn_has_each_turn_once(lines):
    trail = Trail()
    assert sum(keep(trail, *lines[:end]) for end in range(len(lines) + 1)) == len(lines)


def test_a_branch_shares_its_trunk():
    trail = Trail()
    keep(trail, "a", "b", "c")
    assert keep(trail, "a", "b", "other") == 1
    assert keep(trail, "a", "b", "c") == 0


def test_a_window_is_placed_where_it_agrees_most():
    trail = Trail()
    keep(trail, "hi", "a", "hi", "b", "c")
    assert keep(trail, "hi", "b", "c", "d") == 1


def test_one_agreeing_turn_is_enough_at_the_end_of_a_named_thread_only():
    assert [keep(trail, "c", "d", named=named) for named, trail in ((True, abc()), (False, abc()))] == [1, 2]
    assert keep(abc(), "b", "d") == 2


def abc() -> Trail:
    trail = Trail()
    keep(trail, "a", "b", "c")
    return trail


def test_nodes_are_keyed_so_that_nobody_can_guess_what_was_said():
    assert content_of(KEY, "yes") != content_of(b"other" * 7, "yes")
    assert after(KEY, ROOT, b"x") != after(b"other" * 7, ROOT, b"x")
    assert root_of(KEY, b"scope", "t") != root_of(KEY, b"scope", "u")
    assert content_of(KEY, " yes\n") == content_of(KEY, "yes")


def test_a_node_always_becomes_the_same_memory():
    assert id_of(ROOT) == id_of(ROOT) != id_of(b"another")
