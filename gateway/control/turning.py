"""Turns the pages of a list that begins with what the configuration file says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

from gateway.errors import BadRequest


class _Listed(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Listed)


class Turning(NamedTuple):
    """Which page: those after the one whose id is `before`, so many at most."""

    before: str = ""
    limit: int = sys.maxsize

    def page(self, everything: Sequence[T]) -> tuple[list[T], str | None]:
        """Return it, and the next `before` if there are more; raise BadRequest if it is none of them any more."""
        ids = ["", *(one.id for one in everything)]
        if self.before not in ids:
            raise BadRequest("before: this one is gone: begin with the first page again", param="before")
        first = ids.index(self.before)
        shown = list(everything[first : first + self.limit])
        more = first + len(shown) < len(everything)
        return shown, shown[-1].id if more else None


ALL = Turning()
