"""Requests that an OpenAPI document allows, and some that it does not: as many for each operation, always the same."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import jsonschema  # type: ignore[import-untyped]
import msgspec
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.core import NotSet
from schemathesis.core.result import Ok


class Request(NamedTuple):
    """One of them, ready to send."""

    route: str
    method: str
    target: str
    body: bytes | None


def requests(document: Mapping[str, Any], *, examples: int, ids: Sequence[str] = ()) -> Iterator[Request]:
    """Yield them; every other path has one of the ids in it."""
    for found in schemathesis.openapi.from_dict(dict(document)).get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            made = _made(operation.as_strategy(generation_mode=mode), examples)
            for number, case in enumerate(made):
                path = str(case.formatted_path)
                if ids and number % 2:
                    path = re.sub(r"\{\w+\}", quote(ids[number % len(ids)], safe=""), operation.path)
                query = urlencode({str(k): v for k, v in dict(case.query or {}).items()}, doseq=True)
                yield Request(
                    operation.path, case.method, f"{path}?{query}" if query else path, _body(case.body)
                )


def _made(cases: SearchStrategy[Any], examples: int) -> list[Any]:
    made: list[Any] = []

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(cases)
    def collect(case: Any) -> None:
        made.append(case)

    with contextlib.suppress(Unsatisfiable):  # nothing of it can be wrong
        collect()
    return made


def _body(said: Any) -> bytes | None:
    if isinstance(said, NotSet):
        return None
    return said if isinstance(said, bytes) else msgspec.json.encode(said)


def check_described(document: Mapping[str, Any], request: Request, status: int, answer: Any) -> None:
    """Fail unless the document says that this may be answered."""
    responses = document["paths"][request.route][request.method.lower()]["responses"]
    kind = next(
        (responses[name] for name in (str(status), f"{status // 100}XX", "default") if name in responses),
        None,
    )
    assert kind is not None, f"{request}: {status} is not described"
    schema = kind.get("content", {}).get("application/json", {}).get("schema", {})
    jsonschema.validate(answer, {**schema, "components": document.get("components", {})})
