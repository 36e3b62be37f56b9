"""Counters for `/metrics`: cheap enough for the hot path, in Prometheus' text format, and mergeable.

Format: Prometheus text exposition 0.0.4. Names and labels are ours; values of labels are escaped.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds for durations."""

Number = int | float

_SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<rest>[-+.\w]+(?: -?\d+)?)"
)


class _Family(Protocol):
    def lines(self) -> Iterable[str]: ...


F = TypeVar("F", bound=_Family)


class Counter:
    """Only goes up. One number for each combination of label values."""

    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self._help = help_text
        self._labels = tuple(labels)
        self._values: dict[tuple[str, ...], Number] = {} if labels else {(): 0}

    def add(self, amount: Number = 1, *labels: str) -> None:
        """Count; `labels` are values in the order of the names."""
        self._values[labels] = self._values.get(labels, 0) + amount

    def value(self, *labels: str) -> Number:
        """Return the count so far."""
        return self._values.get(labels, 0)

    def lines(self) -> Iterable[str]:
        """Yield the exposition, head first."""
        yield from _head(self.name, self._help, self.kind)
        for values, number in self._values.items():
            yield f"{self.name}{_braced(self._labels, values)} {_number(number)}"


class Gauge(Counter):
    """Goes up and down."""

    kind = "gauge"

    def set(self, value: Number, *labels: str) -> None:
        """Say how much it is now."""
        self._values[labels] = value


class Histogram:
    """Counts observations by size."""

    def __init__(
        self, name: str, help_text: str, bounds: Sequence[float] = SECONDS, labels: Sequence[str] = ()
    ) -> None:
        self.name = name
        self._help = help_text
        self._bounds = tuple(sorted(bounds))
        self._labels = tuple(labels)
        self._buckets: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        if not labels:
            self._start(())

    def observe(self, value: float, *labels: str) -> None:
        """Count one observation."""
        buckets = self._buckets.get(labels) or self._start(labels)
        buckets[bisect_left(self._bounds, value)] += 1
        self._sums[labels] += value

    def merge(self, counts: Sequence[int], total: float, *labels: str) -> None:
        """Add observations counted elsewhere: how many fell into each bucket, and their sum."""
        buckets = self._buckets.get(labels) or self._start(labels)
        for place, count in enumerate(counts):
            buckets[place] += count
        self._sums[labels] += total

    def lines(self) -> Iterable[str]:
        """Yield the exposition, head first; buckets are cumulative."""
        yield from _head(self.name, self._help, "histogram")
        names = (*self._labels, "le")
        for values, buckets in self._buckets.items():
            total = 0
            for bound, count in zip((*map(_number, self._bounds), "+Inf"), buckets, strict=True):
                total += count
                yield f"{self.name}_bucket{_braced(names, (*values, bound))} {total}"
            yield f"{self.name}_sum{_braced(self._labels, values)} {_number(self._sums[values])}"
            yield f"{self.name}_count{_braced(self._labels, values)} {total}"

    def _start(self, labels: tuple[str, ...]) -> list[int]:
        self._sums[labels] = 0.0
        return self._buckets.setdefault(labels, [0] * (len(self._bounds) + 1))


class Registry:
    """The metrics of one process."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}
        self._before: list[Callable[[], None]] = []

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
        """Make a counter; its name ends in `_total`."""
        return self._add(name, Counter(name, help_text, labels))

    def gauge(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
        """Make a gauge."""
        return self._add(name, Gauge(name, help_text, labels))

    def histogram(
        self, name: str, help_text: str, bounds: Sequence[float] = SECONDS, labels: Sequence[str] = ()
    ) -> Histogram:
        """Make a histogram."""
        return self._add(name, Histogram(name, help_text, bounds, labels))

    def before(self, refresh: Callable[[], None]) -> None:
        """Call `refresh` whenever the text is asked for, to set gauges that nobody counts."""
        self._before.append(refresh)

    def text(self) -> str:
        """Return all of it in Prometheus' format."""
        for refresh in self._before:
            refresh()
        return "".join(f"{line}\n" for family in self._families.values() for line in family.lines())

    def _add(self, name: str, family: F) -> F:
        if name in self._families:
            raise ValueError(f"there is a metric {name} already")
        self._families[name] = family
        return family


def merge(texts: Mapping[str, str], *, label: str = "process") -> str:
    """Make one exposition of several processes': each sample gets its process, each name one head.

    Samples of a name stay together, as the format demands. Comments and lines that are no sample are left out.
    """
    heads: dict[str, dict[str, str]] = {}
    samples: dict[str, list[str]] = {}
    for process, text in texts.items():
        family = ""
        for line in text.splitlines():
            if line.startswith(("# HELP ", "# TYPE ")):
                _, what, family, *_ = line.split(" ", 3)
                heads.setdefault(family, {}).setdefault(what, line)
                samples.setdefault(family, [])
            elif line and not line.startswith("#"):
                marked = _marked(line, label, process)
                if marked is not None:
                    name = marked.partition("{")[0]
                    owner = family if family and name.startswith(family) else name
                    samples.setdefault(owner, []).append(marked)
    lines: list[str] = []
    for family, found in samples.items():
        if found:
            head = heads.get(family, {})
            lines += [head[what] for what in ("HELP", "TYPE") if what in head] + found
    return "".join(f"{line}\n" for line in lines)


def _marked(line: str, label: str, process: str) -> str | None:
    """Return the sample with one more label, first of all; None if it is no sample."""
    sample = _SAMPLE.fullmatch(line)
    if sample is None:
        return None
    labels = ",".join(filter(None, (f'{label}="{_escaped(process)}"', sample["labels"])))
    return f"{sample['name']}{{{labels}}} {sample['rest']}"


def _head(name: str, help_text: str, kind: str) -> tuple[str, str]:
    told = help_text.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {told}", f"# TYPE {name} {kind}"


def _braced(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: Number) -> str:
    return str(int(value)) if value == int(value) else repr(value)
