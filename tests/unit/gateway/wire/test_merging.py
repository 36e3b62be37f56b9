from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.wire.merging import merge

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


def merge_patch(target: object, patch: object) -> object:
    """RFC 7396, section 2, as it is written there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


@given(objects, objects)
def test_changes_are_merged_as_the_standard_says(body, changes):
    assert msgspec.json.decode(merge(msgspec.json.encode(body), changes)) == merge_patch(body, changes)


def test_what_is_not_changed_keeps_its_bytes():
    body = b'{"model": "m", "seed": 1.50, "messages": [ {"role" : "user"} ], "options": {"a": 1e2, "b": 2}}'

    merged = merge(body, {"temperature": 0, "options": {"b": 3}})

    assert b'[ {"role" : "user"} ]' in merged
    assert b"1.50" in merged
    assert b'"options":{"a":1e2,"b":3}' in merged
    assert b'"temperature":0' in merged


def test_a_body_that_is_no_object_is_refused():
    with pytest.raises(BadRequest):
        merge(b"[]", {"a": 1})
