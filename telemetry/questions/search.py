r"""Finds words in what was said.

Bodies are kept as they passed, mostly JSON, so a word may stand behind `\n` and an umlaut may be `\u00fc`. A word
is found if it stands alone: no letter or digit touches it. What was streamed in pieces of words is found by its
beginning only, which the collector keeps put together as the preview.
"""

from __future__ import annotations

import re

import msgspec

from telemetry.answers import Refusal, iso
from telemetry.figures import Hit, Hits
from telemetry.questions.asker import bad_cursor, decoded, encoded
from telemetry.questions.calls import CallQuestions, stretches
from telemetry.questions.filters import Filters
from telemetry.questions.scope import END_OF_TIME_US, HOUR_US, Range, Scope
from telemetry.store.base import Parameter, Row

MOST_WORDS = 8
_LONGEST_WORD = 64
_WORDS = re.compile(r"[^\W_]+")

# Escapes of JSON that stand for no letter: line ends, punctuation, the halves of emoji.
_NO_LETTER = r"u(?:20[0-9a-f]{2}|00[0-9ab][0-9a-f]|300[0-3]|d[89a-f][0-9a-f]{2})"
_BEFORE = rf"(?:^|[^\pL\pN]|\\[nrtbf]|\\{_NO_LETTER})"
_AFTER = rf"(?:$|[^\pL\pN\\]|\\[^u]|\\{_NO_LETTER})"
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/nrtbf]))')
_PLAIN = {"n": " ", "r": " ", "t": " ", "b": " ", "f": " "}

_FOUND = """SELECT span_payloads.call_id AS call_id, toString(span_payloads.kind) AS part,
toUnixTimestamp64Micro(span_payloads.started_at) AS started_at_us
FROM span_payloads
WHERE {scope} AND {range} AND {calls} AND {words} AND {beyond}
ORDER BY span_payloads.started_at DESC, span_payloads.call_id DESC, part DESC
LIMIT {{limit:UInt32}}"""
_CALLS = "span_payloads.call_id IN (SELECT spans.call_id FROM {source} WHERE {where})"
_BEYOND = (
    "(span_payloads.started_at, span_payloads.call_id, toString(span_payloads.kind))"
    " < (fromUnixTimestamp64Micro({place_us:Int64}, 'UTC'), {place_id:String}, {place_part:String})"
)


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of hits ended."""

    started_at_us: int
    call_id: str
    part: str


class SearchQuestions(CallQuestions):
    """Asks where words were said."""

    def search(
        self, scope: Scope, text: str, filters: Filters, within: Range, *, limit: int, cursor: str
    ) -> Hits:
        """Return a page of the requests and answers that hold all the words, newest first."""
        words = words_of(text)
        place = _place(cursor) if cursor else None
        last_us = min(within.to_us, self.last_us() + 1, place.started_at_us + 1 if place else END_OF_TIME_US)
        found: list[Row] = []
        for stretch in stretches(Range(within.from_us, last_us), back=True):
            found += self._found(scope, words, filters, stretch, place, limit + 1 - len(found))
            if len(found) > limit:
                break
        page = found[:limit]
        last = page[-1] if len(found) > limit else None
        return Hits(
            from_=iso(within.from_us),
            to=iso(within.to_us),
            words=words,
            hits=self._hits(scope, words[0], page),
            next_cursor=encoded(_Place(last["started_at_us"], last["call_id"], last["part"]))
            if last
            else None,
        )

    def _found(
        self,
        scope: Scope,
        words: list[str],
        filters: Filters,
        within: Range,
        place: _Place | None,
        limit: int,
    ) -> list[Row]:
        where = self._in_calls(scope, within, filters)
        conditions = " AND ".join(_has(number, word) for number, word in enumerate(words))
        sql = _FOUND.format(
            scope=scope.condition("span_payloads"),
            range=Range.condition("span_payloads"),
            calls=_CALLS.format(source=where.source, where=where.text) if filters else "1",
            words=conditions,
            beyond=_BEYOND if place else "1",
        )
        parameters: dict[str, Parameter] = {**where.parameters, "limit": limit}
        parameters |= {f"word_{number}": word for number, word in enumerate(words)}
        parameters |= {f"pattern_{number}": pattern(word) for number, word in enumerate(words)}
        if place:
            parameters |= {
                "place_us": place.started_at_us,
                "place_id": place.call_id,
                "place_part": place.part,
            }
        return self._read(sql, parameters)

    def _hits(self, scope: Scope, word: str, found: list[Row]) -> list[Hit]:
        if not found:
            return []
        times = sorted({row["started_at_us"] // HOUR_US * HOUR_US for row in found})
        ids: list[str] = [row["call_id"] for row in found]
        around = rf"(?is).{{0,80}}{_BEFORE}{_spelt(word)}(?:$|.{{0,160}})"
        rows = self._ask("snippets", {**scope.parameters(), "ids": ids, "times": times, "around": around})
        snippets = {(row["call_id"], row["part"]): readable(row["snippet"]) for row in rows}
        once = list({row["call_id"]: row for row in found}.values())
        calls = {call.call_id: call for call in self._by_id(scope, once)}
        return [
            Hit(
                part=row["part"],
                snippet=snippets.get((row["call_id"], row["part"]), ""),
                call=calls[row["call_id"]],
            )
            for row in found
            if row["call_id"] in calls
        ]


def words_of(text: str) -> list[str]:
    """Return the words of a question, in lower case, each once; raise Refusal for none or too many."""
    words = list(dict.fromkeys(word.lower() for word in _WORDS.findall(text)))
    if not words or len(words) > MOST_WORDS or max(map(len, words)) > _LONGEST_WORD:
        told = f"q: 1 to {MOST_WORDS} words of letters and digits, none longer than {_LONGEST_WORD}"
        raise Refusal(400, "bad_words", told, param="q")
    return words


def pattern(word: str) -> str:
    """Return the regular expression (RE2) that finds a word standing alone."""
    return f"(?i){_BEFORE}{_spelt(word)}{_AFTER}"


def readable(snippet: str) -> str:
    """Return a piece of JSON's inside without its escapes."""
    plain = _ESCAPE.sub(
        lambda found: chr(int(found[1], 16)) if found[1] else _PLAIN.get(found[2], found[2]), snippet
    )
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _has(number: int, word: str) -> str:
    """Say that a payload holds a word; a plain search comes first as it is far quicker than the expression."""

    def in_column(column: str) -> str:
        exact = f"match(span_payloads.{column}, {{pattern_{number}:String}})"
        if not word.isascii():
            return exact
        return f"(positionCaseInsensitive(span_payloads.{column}, {{word_{number}:String}}) > 0 AND {exact})"

    return f"({in_column('body')} OR {in_column('preview')})"


def _spelt(word: str) -> str:
    """Return a word as an expression, its letters beyond ASCII also as JSON may write them."""
    return "".join(letter if letter.isascii() else f"(?:{'|'.join(_forms(letter))})" for letter in word)


def _forms(letter: str) -> list[str]:
    cases = dict.fromkeys((letter, letter.upper(), letter.lower()))
    return [form for case in cases if len(case) == 1 for form in (case, _escaped(case))]


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be").hex()
    return "".join(rf"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _place(cursor: str) -> _Place:
    place = decoded(cursor, _Place)
    if not 0 <= place.started_at_us <= END_OF_TIME_US:
        raise bad_cursor()
    return place
