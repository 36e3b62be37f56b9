from __future__ import annotations

import msgspec

from gateway.wire.anthropic_models import model, model_list

ONE = {
    "type": "model",
    "id": "a/m",
    "display_name": "a/m",
    "created_at": "1970-01-01T00:00:00Z",
    "lifecycle": "active",
}


def test_the_list_has_anthropics_shape():
    said = msgspec.json.decode(model_list(["a/m", "b/n"]))

    assert said["data"][0] == ONE
    assert {**said, "data": []} == {"data": [], "has_more": False, "first_id": "a/m", "last_id": "b/n"}


def test_an_empty_list_has_no_ends():
    assert msgspec.json.decode(model_list([])) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


def test_one_model_has_anthropics_shape():
    assert msgspec.json.decode(model("a/m")) == ONE
