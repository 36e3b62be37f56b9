from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import yaml_file
from gateway.settings import Dollars


class Inner(msgspec.Struct, kw_only=True):
    name: str
    size: int = 1


class Outer(msgspec.Struct, kw_only=True):
    text: str = ""
    count: int = 0
    ratio: float = 0
    flag: bool = False
    mode: Literal["on", "off", "none"] = "on"
    items: tuple[str, ...] = ()
    inner: Inner | None = None
    table: dict[str, Inner] = {}
    when: datetime | None = None
    cost: Dollars = ""


def read(text: str, **variables: str) -> yaml_file.Tree:
    return yaml_file.read(text, Outer, variables)


def problems(text: str, **variables: str) -> list[tuple[int, str, str]]:
    return [(one.line, one.path, one.message) for one in read(text, **variables).problems]


def test_values_come_out_as_the_file_has_them():
    tree = read("text: a\ncount: 3\nratio: 1.5\nflag: true\nitems: [x, y]\ninner: {name: n}\n")

    assert tree.problems == []
    assert tree.values == {
        "text": "a",
        "count": 3,
        "ratio": 1.5,
        "flag": True,
        "items": ["x", "y"],
        "inner": {"name": "n"},
    }


@pytest.mark.parametrize(
    ("written", "cost"),
    [
        ("100", "100"),
        ("100.50", "100.50"),
        ("0.100000000000000000001", "0.100000000000000000001"),
        ("007", "007"),
        ('"100.5"', "100.5"),
        ("${CAP}", "5"),
    ],
)
def test_an_amount_is_taken_as_it_is_written_with_or_without_quotes(written, cost):
    tree = read(f"cost: {written}\n", CAP="5")

    assert (tree.problems, tree.values.get("cost", "")) == ([], cost)


@pytest.mark.parametrize("written", ["true", "[1]", "2026-01-01", "!!int [1]"])
def test_what_is_neither_text_nor_a_number_is_no_amount(written):
    assert problems(f"cost: {written}\n")[0][:2] == (1, "cost")


def test_an_empty_file_and_empty_sections_say_nothing():
    assert read("").values == {}
    assert read("items:\ntable:\n") == yaml_file.Tree(
        {"items": [], "table": {}}, read("items:\ntable:\n").lines, []
    )


def test_an_unknown_key_is_named_with_the_likely_one():
    (problem,) = read("text: a\ncuont: 3\n").problems

    assert (problem.line, problem.path) == (2, "cuont")
    assert "`count`" in problem.remedy


def test_every_mistake_is_reported_at_once_in_order():
    text = "text: 5\ncount: many\nratio: true\nflag: 1\nmode: sometimes\nitems: x\ninner: 3\n"

    assert problems(text) == [
        (1, "text", "expected text, found a whole number"),
        (2, "count", "expected a whole number, found text"),
        (3, "ratio", "expected a number, found true or false"),
        (4, "flag", "expected true or false, found a whole number"),
        (5, "mode", "expected one of none, off, on, found text"),
        (6, "items", "expected a list, found text"),
        (7, "inner", "expected a section, found a whole number"),
    ]


def test_a_boolean_is_no_number_though_python_counts_with_it():
    assert problems("count: yes") == [(1, "count", "expected a whole number, found true or false")]


@pytest.mark.parametrize("word", ["on", "off", "none"])
def test_a_choice_is_taken_as_written_though_yaml_would_read_a_boolean(word):
    assert read(f"mode: {word}").values == {"mode": word}


def test_a_missing_name_is_reported_at_its_section():
    assert problems("table:\n  a:\n    size: 2\n") == [(3, "table.a.name", "missing")]


def test_a_key_given_twice_names_both_lines():
    assert problems("text: a\ncount: 1\ntext: b\n") == [(3, "text", "given twice, first in line 1")]


def test_a_syntax_error_has_its_line():
    (problem,) = read("text: a\ncount: [1\nflag: }\n").problems

    assert problem.line == 3
    assert "not valid YAML" in problem.message


def test_characters_yaml_forbids_are_a_syntax_error():
    assert "not valid YAML" in problems("text: a\x00b")[0][2]


def test_variables_are_put_in_and_numbers_read_again():
    tree = read("text: a-${X}-b\ncount: ${N}\nflag: ${F}", X="x", N="7", F="true")

    assert (tree.values, tree.problems) == ({"text": "a-x-b", "count": 7, "flag": True}, [])


def test_a_variable_of_digits_stays_text_where_text_is_wanted():
    assert read("text: ${X}", X="123").values == {"text": "123"}


def test_a_quoted_variable_is_not_a_number():
    assert problems('count: "${N}"', N="7") == [(1, "count", "expected a whole number, found text")]


@pytest.mark.parametrize(("variables", "value"), [({}, "d"), ({"X": ""}, "d"), ({"X": "x"}, "x")])
def test_a_default_stands_for_an_unset_or_empty_variable(variables, value):
    assert read("text: ${X:-d}", **variables).values == {"text": value}


def test_an_unset_variable_is_named_with_its_line():
    (problem,) = read("count: 1\ntext: ${NOBODY_SET_THIS}\n").problems

    assert (problem.line, problem.path) == (2, "text")
    assert "NOBODY_SET_THIS" in problem.message


def test_a_doubled_dollar_is_one_and_a_broken_variable_is_reported():
    assert read("text: $${X} $5").values == {"text": "${X} $5"}
    assert problems("text: ${1x}")[0][:2] == (1, "text")


def test_a_reported_value_is_never_quoted():
    tree = read("count: tg-very-secret\ninner: tg-very-secret\n")

    assert len(tree.problems) == 2
    assert "very-secret" not in "".join(problem.text("f") for problem in tree.problems)


def test_a_moment_is_left_to_whoever_reads_one():
    for text in ("2027-01-31T00:00:00Z", "'2027-01-31T00:00:00Z'"):
        tree = read(f"when: {text}")
        assert (tree.values, tree.problems) == ({"when": "2027-01-31T00:00:00Z"}, [])


def test_a_list_with_a_wrong_item_is_left_out_whole_so_that_numbers_stay_true():
    tree = read("items: [a, 5, c]")

    assert tree.values == {}
    assert problems("items: [a, 5, c]") == [(1, "items[1]", "expected text, found a whole number")]


def test_the_line_of_what_is_not_there_is_that_of_its_section():
    tree = read("text: a\ninner:\n  name: n\n")

    assert tree.line(("inner", "name")) == 3
    assert tree.line(("inner", "size")) == 2
    assert tree.line(("count",)) == 1
    assert read("").line(("count",)) == 0


def test_a_problem_reads_as_one_line():
    assert yaml_file.Problem(12, "a.b", "bad", "Mend it.").text("f.yaml") == "f.yaml:12: a.b: bad. Mend it."
    assert yaml_file.Problem(0, "PORT", "bad", "Mend it.").text("f.yaml") == "PORT: bad. Mend it."


@given(st.text(max_size=80))
def test_no_text_makes_it_crash(text):
    tree = read(text)

    assert all(problem.message for problem in tree.problems)


@given(st.text(alphabet="abc:-[]{}\n '\"$&*!|>#?%@,", max_size=60))
def test_no_yaml_like_text_makes_it_crash(text):
    for problem in read(text).problems:
        assert problem.line >= 1
