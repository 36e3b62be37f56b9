"""A call counts in the budgets of its key, its user, its team and its project, each on an account of their own."""

from __future__ import annotations

from gateway.budgets.book import NOTHING, BudgetBook
from gateway.budgets.records import Budget, Place
from gateway.principal import Principal

CI = Principal(key_id="ci-1", project="p", team="tide")


def budget(name: str, per: str, **more: object) -> Budget:
    return Budget(id=name, name=name, per=per, **more)  # type: ignore[arg-type]


def places(book: BudgetBook, principal: Principal = CI, user: str = "ada") -> list[tuple[str, str, str]]:
    return [(one.budget, one.project, one.subject) for one in book.of(principal, user).places]


def test_each_kind_of_subject_has_its_account() -> None:
    book = BudgetBook([budget(per, per) for per in ("key", "user", "team", "project")])

    assert places(book) == [
        ("key", "", "ci-1"),
        ("user", "p", "ada"),
        ("team", "p", "tide"),
        ("project", "", "p"),
    ]
    assert places(book, Principal(key_id="x", project="q"), "") == [("key", "", "x"), ("project", "", "q")]


def test_the_patterns_and_the_project_decide() -> None:
    book = BudgetBook(
        [
            budget("ci", "key", match="ci-*"),
            budget("not-ci", "key", match="dev-*"),
            budget("mine", "user", project="p"),
            budget("theirs", "user", project="q"),
        ]
    )

    assert [name for name, *_ in places(book)] == ["ci", "mine"]


def test_internal_calls_count_for_their_user_and_project() -> None:
    book = BudgetBook(
        [budget("key", "key", match="ci-*"), budget("user", "user"), budget("project", "project")]
    )
    internal = Principal(key_id="internal:memory", project="p")

    assert places(book, internal) == [("user", "p", "ada"), ("project", "", "p")]


def test_without_budgets_there_is_nothing_to_look_up() -> None:
    book = BudgetBook([])
    assert book.empty
    other = BudgetBook([budget("other", "key", match="dev-*")])
    assert not other.empty
    assert other.of(CI, "ada") is NOTHING


def test_what_is_heard_later_counts_beside_the_configuration_and_replaces_what_was_heard_before() -> None:
    book = BudgetBook([budget("mine", "key")])
    book.take([budget("one", "project")])
    assert [name for name, *_ in places(book)] == ["mine", "one"]
    book.take([budget("two", "project", hard_nano_usd=1)])
    assert [name for name, *_ in places(book)] == ["mine", "two"]
    assert book.of(CI, "ada").hard


def test_only_hard_budgets_make_a_call_hard_and_refuse_it_by_themselves() -> None:
    soft, hard = budget("a", "key", soft_nano_usd=1), budget("b", "key", hard_nano_usd=1)

    assert not BudgetBook([soft]).of(CI, "").hard
    assert [one.refuses_away for one in (soft, hard)] == [False, True]
    assert not budget("c", "key", hard_nano_usd=1, when_away="allow").refuses_away
    assert budget("d", "key", soft_nano_usd=1, when_away="refuse").refuses_away
    assert Place("a", "", "x") != Place("a", "p", "x")
