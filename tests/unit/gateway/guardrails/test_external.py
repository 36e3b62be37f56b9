"""A service of somebody else's, on a real socket: asked with a deadline, believed only when it makes sense."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.clock import SystemClock
from gateway.errors import GuardrailBlocked, Unavailable
from gateway.guardrails.base import Match
from gateway.guardrails.external import About, CannotSay, External, Opinion
from gateway.guardrails.judging import checked_by, judge
from gateway.guardrails.rules import Guard, Rules
from gateway.guardrails.screen import StreamScreen
from gateway.settings import Guardrail, Network
from gateway.upstream import Upstream
from tests.fakes.provider import Provider, Received, Script
from tests.fakes.screens import SURFACES, spoken

ABOUT = About(call_id="c", surface="openai.chat", project="p", user_id="ada", model="m")
CLOCK = SystemClock()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream(CLOCK, Network())
    yield made
    await made.close()


def guard(upstream: Upstream, url: str, **more: object) -> Guard:
    settings = Guardrail(name="g", check="http", url=f"{url}/check", headers={"X-Key": "k"}, timeout_s=0.5)
    settings = Guardrail(**{**{name: getattr(settings, name) for name in settings.__struct_fields__}, **more})
    return Rules((settings,), {"http": upstream}).of("p", "k", "m")[0]


def external(upstream: Upstream, url: str) -> External:
    found = guard(upstream, url).external
    assert found is not None
    return found


PASS = Script(body=b'{"verdict":"pass"}')
FAIL = Script(
    body=b'{"verdict":"fail","reason":"rude","matches":[{"text":1,"start":0,"end":3,"kind":"slur"}]}'
)


async def test_it_is_sent_the_words_and_whose_they_are(upstream: Upstream) -> None:
    async with Provider(PASS) as service:
        assert await external(upstream, service.base_url).ask(ABOUT, "request", ["a", "b"]) == Opinion(True)
        (request,) = service.requests
    assert (request.method, request.path, request.headers["x-key"]) == ("POST", "/check", "k")
    said = request.json()
    assert (said["guardrail"], said["phase"], said["texts"]) == ("g", "request", ["a", "b"])
    assert (said["call_id"], said["surface"], said["model"]) == ("c", "openai.chat", "m")
    assert (said["project"], said["user_id"]) == ("p", "ada")


async def test_it_says_where_what_it_found_stands(upstream: Upstream) -> None:
    async with Provider(FAIL) as service:
        opinion = await external(upstream, service.base_url).ask(ABOUT, "answer", ["a", "bad b"])
    assert opinion == Opinion(False, "rude", {1: [Match(0, 3, "slur")]})


@pytest.mark.parametrize(
    "script",
    [
        Script(status=500, body=b'{"verdict":"pass"}'),
        Script(body=b"<html>"),
        Script(body=b'{"verdict":"maybe"}'),
        Script(body=b'{"verdict":"fail","matches":[{"text":7,"start":0,"end":1}]}'),
        Script(body=b'{"verdict":"fail","matches":[{"text":0,"start":0,"end":99}]}'),
        Script(body=b'{"verdict":"fail","matches":[{"text":0,"start":-1,"end":1}]}'),
        Script(body=b'{"verdict":"pass"}', delay_s=5),
        Script(body=b'{"verdict":"pass"}', cut_at=20),
    ],
)
async def test_whatever_else_it_does_it_cannot_say(upstream: Upstream, script: Script) -> None:
    async with Provider(script) as service:
        with pytest.raises(CannotSay):
            await external(upstream, service.base_url).ask(ABOUT, "request", ["word"])


async def test_a_service_that_is_away_refuses_or_lets_pass_as_its_settings_say(upstream: Upstream) -> None:
    url = "http://127.0.0.1:9"
    strict, lenient = guard(upstream, url), guard(upstream, url, on_error="allow")
    checked = checked_by(strict, "request")
    with pytest.raises(Unavailable, match="`g` could not check this request"):
        await judge(strict, checked, ["word"], ABOUT, CLOCK)
    assert checked.verdict == "failed"
    checked = checked_by(lenient, "request")
    assert await judge(lenient, checked, ["word"], ABOUT, CLOCK) == [[]]
    assert (checked.verdict, checked.reason) == ("failed", "upstream_unreachable")


async def test_what_it_fails_is_blocked_redacted_or_flagged(upstream: Upstream) -> None:
    async with Provider(FAIL) as service:
        url = service.base_url
        blocking = guard(upstream, url)
        checked = checked_by(blocking, "request")
        with pytest.raises(GuardrailBlocked, match="found slur"):
            await judge(blocking, checked, ["a", "bad"], ABOUT, CLOCK)
        assert (checked.verdict, checked.reason, checked.kinds) == ("blocked", "rude", ("slur",))
        redacting = guard(upstream, url, action="redact")
        checked = checked_by(redacting, "request")
        assert await judge(redacting, checked, ["a", "bad"], ABOUT, CLOCK) == [[], [Match(0, 3, "slur")]]
        assert checked.verdict == "redacted"
        flagging = guard(upstream, url, action="flag")
        checked = checked_by(flagging, "request")
        await judge(flagging, checked, ["a", "bad"], ABOUT, CLOCK)
        assert checked.verdict == "flagged"


async def test_without_matches_nothing_can_be_redacted_and_the_call_is_blocked(upstream: Upstream) -> None:
    async with Provider(Script(body=b'{"verdict":"fail"}')) as service:
        redacting = guard(upstream, service.base_url, action="redact")
        with pytest.raises(GuardrailBlocked):
            await judge(redacting, checked_by(redacting, "request"), ["a"], ABOUT, CLOCK)


async def test_a_stream_is_shown_part_by_part_and_what_is_found_never_leaves(upstream: Upstream) -> None:
    def find(request: Received) -> Script:
        (text,) = request.json()["texts"]
        at = text.find("secret word")
        if at < 0:
            return PASS
        return Script(
            body=b'{"verdict":"fail","matches":[{"text":0,"start":%d,"end":%d,"kind":"w"}]}' % (at, at + 11)
        )

    text = "nothing of note here, " * 60 + "the secret word is out, " + "and so it goes, " * 60
    async with Provider(find) as service:
        redacting = guard(upstream, service.base_url, action="redact")
        screen = StreamScreen([(redacting, checked_by(redacting, "answer"))], ABOUT, CLOCK)
        out = [await screen.feed(event, last=False) for event in SURFACES[0].stream(text, [7, 11])]
        out.append(await screen.feed(b"", last=True))
        asked = len(service.requests)
    assert spoken(SURFACES[0], b"".join(out)) == text.replace("secret word", "[w]")
    assert 3 <= asked <= 6
    assert sum(map(bool, out)) >= 4
