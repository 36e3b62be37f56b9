"""Answers on their way to the client: however a stream is cut, what may not be seen is not, and no more is held."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.clock import SystemClock
from gateway.errors import GuardrailBlocked
from gateway.guardrails.base import redacted
from gateway.guardrails.external import About
from gateway.guardrails.judging import checked_by
from gateway.guardrails.pii import Pii
from gateway.guardrails.rules import Rules
from gateway.guardrails.screen import DocumentScreen, StreamScreen, Watch
from gateway.settings import Guardrail
from tests.fakes.screens import SURFACES, Surface, spoken

ABOUT = About(call_id="c", surface="s", project="p", user_id="u", model="m")
MAIL = "Write to ada@example.com or to 4111 1111 1111 1111, thanks a lot; "
KEY = "sk-proj-" + "Ab1" * 12


def watches(*rules: Guardrail) -> list[Watch]:
    guards = Rules(rules, {}).of("p", "k", "m")
    return [(guard, checked_by(guard, "answer")) for guard in guards]


def screened(events: Iterable[bytes], watched: Sequence[Watch]) -> list[bytes]:
    """Return what each event let out, and at last what its end did."""

    async def run() -> list[bytes]:
        screen = StreamScreen(watched, ABOUT, SystemClock())
        out = [await screen.feed(event, last=False) for event in events]
        return [*out, await screen.feed(b"", last=True)]

    return asyncio.run(run())


PII = Guardrail(name="pii", check="pii", action="redact")
SECRETS = Guardrail(name="secrets", check="secrets", action="redact")
WORDS = Guardrail(name="words", check="words", words=("bad word", "foo"), action="redact")


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_however_a_stream_is_cut_its_words_are_those_of_the_whole_text_redacted(
    surface: Surface, cuts: list[int]
) -> None:
    text = (MAIL + "and a BAD word here, " + KEY + " for you. \u6211\u7684foo@bar.com\u8c22\u8c22 ") * 3
    out = screened(surface.stream(text, cuts), watches(PII, SECRETS, WORDS))
    want = text
    for guard, _ in watches(PII, SECRETS, WORDS):
        assert guard.text is not None
        want = redacted(want, guard.text.find(want))
    assert spoken(surface, b"".join(out)) == want


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=300), cuts=st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_what_nobody_looks_for_passes_byte_for_byte(surface: Surface, text: str, cuts: list[int]) -> None:
    events = list(surface.stream(text, cuts))
    watched = watches(SECRETS, Guardrail(name="w", check="words", words=("never said",)))
    assert b"".join(screened(events, watched)) == b"".join(events)
    assert all(checked.verdict == "passed" for _, checked in watched)


def test_no_more_is_held_than_may_become_a_match() -> None:
    surface = SURFACES[0]
    events = list(surface.pieces(["nothing ", "to ", "see ", "here ", "at ", "all ", "just ", "words "]))
    out = screened(events, watches(PII))
    late = max(index - len([part for part in out[: index + 1] if part]) for index in range(len(events)))
    assert late <= 1


def test_a_stream_that_says_what_it_must_not_ends_before_it_is_said() -> None:
    block = msgspec.structs.replace(PII, action="block")
    watched = watches(block)
    sent: list[bytes] = []

    async def run() -> None:
        screen = StreamScreen(watched, ABOUT, SystemClock())
        for event in SURFACES[0].stream("Dear reader, " * 5 + MAIL * 2, [3]):
            out = await screen.feed(event, last=False)
            sent.append(out)

    with pytest.raises(GuardrailBlocked, match=r"`pii` does not let this answer pass: found email"):
        asyncio.run(run())
    said = spoken(SURFACES[0], b"".join(sent))
    assert said.startswith("Dear reader, Dear")
    assert "ada@" not in said
    assert watched[0][1].verdict == "blocked"


def test_flagging_holds_nothing_back() -> None:
    flag = msgspec.structs.replace(PII, action="flag")
    watched = watches(flag)
    events = list(SURFACES[0].stream(MAIL * 3, [4]))
    assert screened(events, watched) == [*events, b""]
    assert (watched[0][1].verdict, watched[0][1].kinds) == ("flagged", ("card", "email"))


def test_two_choices_that_speak_in_turns_are_told_apart() -> None:
    surface = SURFACES[0]
    first = surface.stream("to ada@example.com now", [3])
    second = surface.stream("all well here", [3], number=1)
    mixed = [event for pair in zip(first, second, strict=False) for event in pair]
    out = b"".join(screened([*mixed, *first[len(second) :]], watches(PII)))
    assert spoken(surface, out) == "to [email] now"
    assert spoken(surface, out, number=1) == "all well here"


def test_a_thought_ends_where_the_answer_begins() -> None:
    def event(field: str, part: str) -> bytes:
        choice = {"index": 0, "delta": {field: part}}
        return b"data: " + msgspec.json.encode({"choices": [choice]}) + b"\n\n"

    events = [event("reasoning_content", "so it is ada@exa"), event("content", "mple.com, and more. ")]
    out = screened(events, watches(PII))
    assert out == [b"", b"".join(events), b""]


def test_arguments_of_a_call_stay_json_when_a_number_in_them_goes() -> None:
    arguments = '{"to": "ada@example.com", "card": 4111111111111111, "n": 1}'
    parts = [arguments[at : at + 5] for at in range(0, len(arguments), 5)]
    events = [
        b"data: "
        + msgspec.json.encode(
            {
                "choices": [
                    {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": part}}]}}
                ]
            }
        )
        + b"\n\n"
        for part in parts
    ]
    out = b"".join(screened(events, watches(PII)))
    said = ""
    for event in out.split(b"\n\n"):
        if event:
            choice = msgspec.json.decode(event.removeprefix(b"data: "))["choices"][0]
            said += choice["delta"]["tool_calls"][0]["function"]["arguments"]
    assert msgspec.json.decode(said) == {"to": "[email]", "card": "[card]", "n": 1}


async def test_a_document_is_changed_in_its_words_only() -> None:
    body = b'{"id": "x",  "choices": [{"message": {"content": "to ada@example.com"}}], "usage": {"n": 1.50}}'
    watched = watches(PII)
    out = await DocumentScreen(watched, ABOUT, SystemClock()).feed(body, last=True)
    assert out == body.replace(b"ada@example.com", b"[email]")
    clean = body.replace(b"@", b" at ")
    assert await DocumentScreen(watched, ABOUT, SystemClock()).feed(clean, last=True) == clean


def test_the_checks_used_here_find_what_the_text_holds() -> None:
    assert [match.kind for match in Pii().find(MAIL)] == ["email", "card"]
