from __future__ import annotations

import msgspec

from gateway.wire.claiming import Claiming, claimed


class Body(Claiming):
    model: str = ""


def body(text: bytes) -> Body:
    return msgspec.json.decode(text, type=Body)


def test_a_body_that_claims_nothing_costs_no_more_than_a_look() -> None:
    assert claimed(body(b'{"model":"m","prompt_cache_key":"k"}')) == (None, ())


def test_what_is_a_gateways_is_to_be_taken_out_and_the_rest_goes_on() -> None:
    found, control = claimed(
        body(b'{"user":"ada","metadata":{"a":"b"},"customer_identifier":null,"tensorzero::tags":{"x":"y"}}')
    )

    assert found is not None
    assert found.ids == {"user_id": "ada"}
    assert found.properties == {"a": "b", "x": "y"}
    assert control == ("customer_identifier", "tensorzero::tags")
