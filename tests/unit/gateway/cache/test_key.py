"""Names of answers: one for what is the same, another for whatever could make it another one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.key import key_of
from gateway.exchange import Exchange
from gateway.settings import Guardrail
from gateway.wire.openai_completions import OpenAICompletions
from tests.fakes.exchanges import chat, exchange

NONE: tuple[Guardrail, ...] = ()


def changed(call: Exchange, **fields: Any) -> Exchange:
    for name, value in fields.items():
        setattr(call, name, value)
    return call


def test_the_order_of_fields_and_what_is_meant_for_a_gateway_do_not_matter() -> None:
    first = exchange(b'{"model":"m","messages":[],"temperature":1}')
    second = exchange(b'{"temperature":1,"messages":[],"model":"m","litellm_trace_id":"t"}')
    assert second.peek is not None
    second.peek = msgspec.structs.replace(second.peek, control=("litellm_trace_id",))
    assert key_of(first, NONE) == key_of(second, NONE)


@pytest.mark.parametrize(
    "other",
    [
        exchange(chat("hi!")),
        exchange(chat(temperature=0)),
        exchange(chat(stream=True)),
        exchange(project="q"),
        exchange(environment="test"),
        exchange(open=True),
        exchange(headers={b"openai-organization": b"o"}),
        exchange(wire=OpenAICompletions()),
        changed(exchange(), variant="b"),
        changed(exchange(), route="other"),
        changed(exchange(), query=b"alt=sse"),
        changed(exchange(), enriched=chat("hi, and what is remembered")),
        changed(exchange(), memory_switch="read"),
    ],
)
def test_whatever_could_change_the_answer_changes_its_name(other: Exchange) -> None:
    assert key_of(exchange(), NONE) != key_of(other, NONE)


def test_a_guardrail_makes_another_answer_of_it() -> None:
    names = {
        key_of(exchange(), rules)
        for rules in (
            NONE,
            (Guardrail(name="g", check="pii"),),
            (Guardrail(name="g", check="pii", action="redact"),),
        )
    }
    assert len(names) == 3


def test_users_share_an_answer_only_while_no_memory_is_read() -> None:
    ada, bob = exchange(user="ada"), exchange(user="bob")
    assert key_of(ada, NONE) == key_of(bob, NONE)
    ada.memory_switch = bob.memory_switch = "on"
    assert key_of(ada, NONE) != key_of(bob, NONE)


def test_two_keys_of_one_open_house_are_two_tenants() -> None:
    one, other = exchange(open=True, key_id="a"), exchange(open=True, key_id="b")
    assert key_of(one, NONE) != key_of(other, NONE)
    assert key_of(exchange(key_id="a"), NONE) == key_of(exchange(key_id="b"), NONE)


def test_a_body_that_is_no_object_has_no_name() -> None:
    assert key_of(changed(exchange(), enriched=b"["), NONE) is None


WORD = st.text(max_size=6)


@given(st.tuples(WORD, WORD, WORD), st.tuples(WORD, WORD, WORD))
def test_no_two_tenants_ever_have_the_same_name(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    def name(tenant: tuple[str, str, str]) -> bytes | None:
        project, environment, user = tenant
        call = exchange(project=project, environment=environment, user=user)
        return key_of(changed(call, memory_switch="on"), NONE)

    assert (name(one) == name(other)) == (one == other)
