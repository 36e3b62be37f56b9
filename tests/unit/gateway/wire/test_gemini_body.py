from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.wire.gemini_body import rewrite

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
named = st.dictionaries(st.text(max_size=5), values, max_size=3).flatmap(
    lambda rest: st.sampled_from([rest, {**rest, "model": "models/old"}])
)


def test_a_body_that_names_no_model_is_the_same_object():
    body = b'{ "contents" : [ {"role": "model", "parts": []} ] }'

    assert rewrite(body, model="new") is body


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "models/new", "content": {}}',
        b'{"model": "new"}',
        b'{"requests": [{"model": "models/new"}]}',
        b'{"tools": [{"model": "x"}]}',
        b'{"model": 7, "requests": 7, "generateContentRequest": 7}',
        b'{"model": null, "requests": null, "generateContentRequest": null}',
    ],
)
def test_a_body_in_which_nothing_changes_keeps_its_bytes(body):
    assert rewrite(body, model="new") is body


def test_the_model_changes_wherever_it_is_named():
    body = (
        b'{"model": "models/old", "x": 1.00, "requests": [{"model": "models/old", "y": 2e3}, {"z": 1}],'
        b' "generateContentRequest": {"model": "models/old", "contents": [{"a":  1}]}}'
    )

    assert rewrite(body, model="new") == (
        b'{"model":"models/new","x":1.00,"requests":[{"model":"models/new","y":2e3},{"z": 1}],'
        b'"generateContentRequest":{"model":"models/new","contents":[{"a":  1}]}}'
    )


def test_a_tuned_model_keeps_its_own_name():
    assert rewrite(b'{"model":"models/old"}', model="tunedModels/mine") == b'{"model":"tunedModels/mine"}'


def test_fields_are_dropped():
    assert rewrite(b'{"contents": [], "respan_params": {}}', model="new", drop=("respan_params", "no")) == (
        b'{"contents":[]}'
    )


def test_keys_that_are_not_text_are_a_bad_request():
    with pytest.raises(BadRequest):
        rewrite(b'{"model": "models/old", "\xff": 1}', model="new")


@given(named, st.none() | st.lists(named | scalars, max_size=3), st.none() | named)
def test_renaming_the_model_changes_nothing_else(top, requests, inner):
    said: dict[str, Any] = dict(top)
    if requests is not None:
        said["requests"] = requests
    if inner is not None:
        said["generateContentRequest"] = inner

    after = msgspec.json.decode(rewrite(msgspec.json.encode(said), model="new"))

    def renamed(value: Any) -> Any:
        old = isinstance(value, dict) and value.get("model") == "models/old"
        return {**value, "model": "models/new"} if old else value

    expected = renamed(said)
    if requests is not None:
        expected = {**expected, "requests": [renamed(request) for request in requests]}
    if inner is not None:
        expected = {**expected, "generateContentRequest": renamed(inner)}
    assert after == expected
