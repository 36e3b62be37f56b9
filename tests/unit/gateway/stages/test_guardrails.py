"""The stage: what it takes out of a request, what it notes, and that others are left alone."""

from __future__ import annotations

import msgspec
import pytest

from gateway.clock import SystemClock
from gateway.errors import BadRequest, GuardrailBlocked
from gateway.exchange import Exchange
from gateway.guardrails.rules import Rules
from gateway.guardrails.screen import DocumentScreen, StreamScreen
from gateway.settings import Guardrail
from gateway.stages.guardrails import Guardrails
from gateway.surfaces import KEPT
from gateway.wire.openai_embeddings import OpenAIEmbeddings
from gateway.wire.passthrough_paths import Place
from tests.fakes.exchanges import chat, exchange

MAIL = Guardrail(name="mail", check="pii", when=("request",), action="redact")
WORDS = Guardrail(name="words", check="words", words=("email",), when=("request",), action="redact")
OUT = Guardrail(name="out", check="pii", when=("answer",))


async def checked(call: Exchange, *rules: Guardrail) -> Exchange:
    stage = Guardrails(Rules(rules, {}), SystemClock())
    await stage.check(call, stage.of(call))
    return call


async def test_only_the_words_of_a_request_change() -> None:
    body = b'{ "model":"m",\n "messages" : [{"role":"user","content":"to ada@example.com"}], "user":"ada@example.com"}'
    call = await checked(exchange(body), MAIL)
    assert call.body == body.replace(b'"to ada@example.com"', b'"to [email]"')
    (line,) = call.checks
    assert (line.verdict, line.kinds, line.phase, line.action) == (
        "redacted",
        ("email",),
        "request",
        "redact",
    )


async def test_what_has_nothing_to_hide_stays_the_same_object() -> None:
    body = chat("nothing here")
    call = await checked(exchange(body), MAIL, Guardrail(name="s", check="secrets"))
    assert call.body is body
    assert [line.verdict for line in call.checks] == ["passed", "passed"]


async def test_each_guardrail_sees_what_the_one_before_it_left() -> None:
    call = await checked(exchange(chat("to ada@example.com")), MAIL, WORDS)
    assert msgspec.json.decode(call.body)["messages"][0]["content"] == "to [[denied]]"


async def test_what_a_route_added_is_looked_at_and_what_the_client_sent_is_kept_clean_as_well() -> None:
    call = exchange(chat("to ada@example.com"))
    call.adapted = chat("to ada@example.com", system="x", history="bob@example.com", input="bob@example.com")
    await checked(call, MAIL)
    for body in (call.body, call.adapted):
        assert b"ada@" not in body
    assert msgspec.json.decode(call.adapted)["input"] == "[email]"
    assert "input" not in msgspec.json.decode(call.body)


async def test_a_request_that_is_blocked_says_which_guardrail_did_it_and_keeps_the_words_to_itself() -> None:
    call = exchange(chat("my key is sk-proj-" + "Ab1" * 12))
    with pytest.raises(GuardrailBlocked) as blocked:
        await checked(call, MAIL, Guardrail(name="no-secrets", check="secrets"))
    assert (blocked.value.status, blocked.value.code) == (400, "guardrail_blocked")
    assert "`no-secrets`" in str(blocked.value)
    assert "Ab1" not in str(blocked.value)
    assert [(line.guardrail, line.verdict) for line in call.checks] == [
        ("mail", "passed"),
        ("no-secrets", "blocked"),
    ]


async def test_a_long_request_is_looked_through_beside_the_loop() -> None:
    call = await checked(exchange(chat("word " * 30_000 + "ada@example.com")), MAIL)
    assert call.body.endswith(b'[email]"}]}')


async def test_words_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadRequest):
        await checked(exchange(b'{"model":"m","messages":[{"content":"\xff"}]}'), MAIL)


@pytest.mark.parametrize(("limit", "verdict"), [(3, "flagged"), (4, "passed")])
async def test_the_length_of_all_texts_together_counts(limit: int, verdict: str) -> None:
    rule = Guardrail(name="n", check="prompt_tokens", when=("request",), max_tokens=limit, action="flag")
    call = await checked(exchange(chat("0123456789abcdef")), rule)
    assert call.checks[0].verdict == verdict


async def test_answers_are_looked_at_where_there_are_words_in_them() -> None:
    call = await checked(exchange(), OUT, MAIL)
    assert call.screen is not None
    assert isinstance(call.screen(True), StreamScreen)
    assert isinstance(call.screen(False), DocumentScreen)
    assert {(line.guardrail, line.phase) for line in call.checks} == {("mail", "request"), ("out", "answer")}
    assert (await checked(exchange(), MAIL)).screen is None
    asking = b'{"model":"m","input":"to ada@example.com"}'
    embedding = await checked(exchange(asking, wire=OpenAIEmbeddings()), MAIL, OUT)
    assert embedding.screen is None
    assert b"[email]" in embedding.body
    kept = exchange(wire=KEPT["GET", ""])
    kept.body = b""
    assert (await checked(kept, MAIL, OUT)).screen is not None


def test_what_is_only_passed_on_and_calls_of_others_have_no_guardrails() -> None:
    stage = Guardrails(Rules((MAIL,), {}), SystemClock())
    passed = exchange()
    passed.place = Place(family="openai", method="POST", path="/images")
    assert stage.of(passed) == ()
    assert stage.of(exchange()) != ()
    assert Guardrails(Rules((), {}), SystemClock()).of(exchange()) == ()


async def test_what_looked_through_the_answer_before_still_does() -> None:
    seen: list[bytes] = []

    class Before:
        clear = True

        async def feed(self, out: bytes, *, last: bool) -> bytes:
            seen.append(out)
            return out

    call = exchange()
    call.screen = lambda stream: Before()
    await checked(call, OUT)
    assert call.screen is not None
    answer = msgspec.json.encode({"choices": [{"message": {"role": "assistant", "content": "hi"}}]})
    assert await call.screen(False).feed(answer, last=True) == answer
    assert seen == [answer]
