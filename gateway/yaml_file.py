"""YAML read against a struct type: every mistake at once, each with its line and what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml
from msgspec import inspect

Path = tuple[str, ...]
"""Where a value stands, from the top: `("routes", "smart", "deployments", "0", "model")`."""

_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}|(?P<bad>\$\{)")
_WRONG = object()
"""Stands for a value that was reported, so that its section can be read to the end."""


class Problem(msgspec.Struct, frozen=True):
    """One mistake: where, what, and what to do about it. Line 0: not in a file."""

    line: int
    path: str
    message: str
    remedy: str

    def text(self, source: str) -> str:
        """Say it in one line; `source` names the file that `line` counts in."""
        where = f"{source}:{self.line}: " if self.line else ""
        name = f"{self.path}: " if self.path else ""
        return f"{where}{name}{self.message}. {self.remedy}"


class Tree(msgspec.Struct):
    """Plain values as the file has them, the line of each, and what was wrong."""

    values: dict[str, Any]
    lines: dict[Path, int]
    problems: list[Problem]

    def line(self, path: Path) -> int:
        """Where `path` stands, or the nearest section around it; 0 if the file does not mention it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


def read(text: str, struct: type[msgspec.Struct], variables: Mapping[str, str]) -> Tree:
    """Read `text` as a `struct`; values that are wrong are reported and left out."""
    tree = Tree(values={}, lines={}, problems=[])
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        tree.problems.append(_syntax(error))
        return tree
    if node is not None:
        shape = inspect.type_info(struct)
        values = _Reader(tree, loader, variables).read(node, shape, ())
        tree.values = values if isinstance(values, dict) else {}
    return tree


def dotted(path: Path) -> str:
    """Write a path as people do: `routes.smart.deployments[0].model`."""
    return "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path).removeprefix(".")


def nearest(word: str, words: list[str]) -> str:
    """Suggest what `word` was meant to be, or list what there is."""
    close = difflib.get_close_matches(word, words, n=1)
    return f"Did you mean `{close[0]}`?" if close else f"Known here: {', '.join(sorted(words))}."


def _syntax(error: yaml.YAMLError) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        line = error.problem_mark.line + 1
        reason = " ".join(part for part in (error.context, error.problem) if part)
    else:
        line = 1
        reason = str(error).splitlines()[0]
    return Problem(
        line, "", f"not valid YAML: {reason}", "Check the indentation and quotes around this line."
    )


class _Reader:
    """Walks the nodes of a file and the types of a struct side by side."""

    def __init__(self, tree: Tree, loader: yaml.SafeLoader, variables: Mapping[str, str]) -> None:
        self._tree = tree
        self._loader = loader
        self._variables = variables

    def read(self, node: yaml.Node, shape: inspect.Type, path: Path) -> object:
        self._tree.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(shape, inspect.UnionType):
            shape = next(one for one in shape.types if not isinstance(one, inspect.NoneType))
        if isinstance(shape, inspect.Metadata):
            if shape.extra and "digits" in shape.extra and _is_number(node):
                return node.value
            shape = shape.type
        if isinstance(shape, inspect.StructType):
            return self._struct(node, shape, path)
        if isinstance(shape, inspect.DictType):
            return self._dict(node, shape, path)
        if isinstance(shape, inspect.VarTupleType):
            return self._list(node, shape, path)
        if isinstance(shape, inspect.AnyType):
            return self._anything(node, shape, path)
        return self._scalar(node, shape, path)

    def _anything(self, node: yaml.Node, shape: inspect.AnyType, path: Path) -> object:
        """Read what is passed on as it stands: sections, lists and values of any kind."""
        if isinstance(node, yaml.MappingNode):
            pairs = self._pairs(node, path) or []
            return {name: self.read(value, shape, (*path, name)) for name, _, value in pairs}
        if isinstance(node, yaml.SequenceNode):
            return [self.read(one, shape, (*path, str(index))) for index, one in enumerate(node.value)]
        return self._scalar(node, shape, path)

    def _struct(self, node: yaml.Node, shape: inspect.StructType, path: Path) -> object:
        fields = {field.encode_name: field for field in shape.fields}
        values: dict[str, object] = {}
        pairs = self._pairs(node, path)
        if pairs is None:
            return _WRONG
        for name, key, value in pairs:
            if name not in fields:
                self._report(key, (*path, name), "unknown key", nearest(name, list(fields)))
                continue
            found = self.read(value, fields[name].type, (*path, name))
            if found is not _WRONG:
                values[name] = found
        given = {name for name, _, _ in pairs}
        missing = [name for name, field in fields.items() if field.required and name not in given]
        for name in missing:
            self._report(node, (*path, name), "missing", "Add it: this section cannot do without.")
        return values if all(name in values for name, field in fields.items() if field.required) else _WRONG

    def _dict(self, node: yaml.Node, shape: inspect.DictType, path: Path) -> object:
        pairs = self._pairs(node, path)
        if pairs is None:
            return _WRONG
        found = {name: self.read(value, shape.value_type, (*path, name)) for name, _, value in pairs}
        return {name: value for name, value in found.items() if value is not _WRONG}

    def _list(self, node: yaml.Node, shape: inspect.VarTupleType, path: Path) -> object:
        if _is_null(node):
            return []
        if not isinstance(node, yaml.SequenceNode):
            return self._wrong(node, path, "a list", "Write `[a, b]`, or one `- item` per line.")
        found = [self.read(one, shape.item_type, (*path, str(index))) for index, one in enumerate(node.value)]
        return _WRONG if _WRONG in found else found

    def _pairs(self, node: yaml.Node, path: Path) -> list[tuple[str, yaml.Node, yaml.Node]] | None:
        """Names, their nodes and values of a section; an empty one counts as left out."""
        if _is_null(node):
            return []
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, path, "a section", "Write `name: value` lines, indented below it.")
            return None
        pairs: dict[str, tuple[str, yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if name in pairs:
                first = pairs[name][1].start_mark.line + 1
                self._report(key, (*path, name), f"given twice, first in line {first}", "Keep one of them.")
                continue
            self._tree.lines.setdefault((*path, name), key.start_mark.line + 1)
            pairs[name] = (name, key, value)
        return list(pairs.values())

    def _scalar(self, node: yaml.Node, shape: inspect.Type, path: Path) -> object:
        expected, remedy = _expectation(shape)
        if not isinstance(node, yaml.ScalarNode):
            return self._wrong(node, path, expected, remedy)
        text, replaced = self._replace(node, path)
        if text is None:
            return _WRONG
        value: object = text
        # A choice is compared as written, or YAML 1.1 would read `off` as false; a moment is read by whoever wants
        # one. What a variable holds is text where text is wanted (a key made of digits), and elsewhere read again
        # (`port: ${PORT}`).
        as_written: tuple[type[inspect.Type], ...] = (inspect.LiteralType, inspect.DateTimeType)
        if replaced:
            as_written = (*as_written, inspect.StrType)
        if not isinstance(shape, as_written):
            value = self._construct(self._tag(node, text, replaced=replaced), text)
        if not _fits(value, shape):
            return self._wrong(node, path, expected, remedy)
        return value

    def _replace(self, node: yaml.ScalarNode, path: Path) -> tuple[str | None, bool]:
        """Put variables into a value; None if one of them is not set."""
        missing = False

        def one(match: re.Match[str]) -> str:
            nonlocal missing
            if match[0] == "$$":
                return "$"
            if match["bad"]:
                missing = True
                self._report(node, path, "`${` begins no variable", "Write `${NAME}`, or `$$` for one `$`.")
                return ""
            value = self._variables.get(match["name"], "")
            if not value and match["default"] is not None:
                return match["default"].removeprefix(":-")
            if match["name"] not in self._variables:
                missing = True
                name = match["name"]
                remedy = f"Set it, or give a default: `${{{name}:-value}}`."
                self._report(node, path, f"the environment variable {name} is not set", remedy)
            return value

        text = _VARIABLE.sub(one, node.value)
        return (None if missing else text), text != node.value

    def _tag(self, node: yaml.ScalarNode, text: str, *, replaced: bool) -> str:
        """What YAML makes of a value, after its variables are in it."""
        if not replaced or node.style is not None:
            return str(node.tag)
        return str(self._loader.resolve(yaml.ScalarNode, text, (True, False)))  # type: ignore[no-untyped-call]

    def _construct(self, tag: str, text: str) -> object:
        try:
            return self._loader.construct_object(yaml.ScalarNode(tag, text))
        except (yaml.YAMLError, ValueError):
            return _WRONG

    def _wrong(self, node: yaml.Node, path: Path, expected: str, remedy: str) -> object:
        self._report(node, path, f"expected {expected}, found {_found(node)}", remedy)
        return _WRONG

    def _report(self, node: yaml.Node, path: Path, message: str, remedy: str) -> None:
        self._tree.problems.append(Problem(node.start_mark.line + 1, dotted(path), message, remedy))


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _is_number(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag.rpartition(":")[2] in ("int", "float")


def _fits(value: object, shape: inspect.Type) -> bool:
    if isinstance(shape, inspect.AnyType):
        return value is None or isinstance(value, bool | int | float | str)
    if isinstance(shape, inspect.LiteralType):
        return value in shape.values
    if isinstance(shape, inspect.BoolType):
        return isinstance(value, bool)
    if isinstance(shape, inspect.IntType):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(shape, inspect.FloatType):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)


def _expectation(shape: inspect.Type) -> tuple[str, str]:
    """What a value of this type is called, and how to write one."""
    if isinstance(shape, inspect.LiteralType):
        words = ", ".join(str(value) for value in shape.values)
        return f"one of {words}", "Choose one of them."
    if isinstance(shape, inspect.BoolType):
        return "true or false", "Write `true` or `false`."
    if isinstance(shape, inspect.IntType):
        return "a whole number", "Write digits, without quotes or a unit."
    if isinstance(shape, inspect.FloatType):
        return "a number", "Write digits, without quotes or a unit."
    return "text", "Put it in quotes."


def _found(node: yaml.Node) -> str:
    """Name what stands there; never its value, which may be a secret."""
    if isinstance(node, yaml.MappingNode):
        return "a section"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    kinds = {"null": "nothing", "bool": "true or false", "int": "a whole number", "float": "a number"}
    return kinds.get(node.tag.rpartition(":")[2], "text")
