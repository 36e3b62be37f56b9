"""What of a conversation is remembered: the user's own words, and nothing of anybody else's. No I/O."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from memory.chain import content_of
from memory.pictures import pictures_in
from memory.records import Draft, Evidence, Line, Said, Trust, Turn
from memory.render import scrubbed
from memory.scope import Scope
from memory.sparse import essence, terms
from memory.verify import is_planted

MAX_TEXT = 2000
"""Characters of a captured turn that are kept; what is longer is a document more than a statement."""
MOST_BEFORE = 6
MAX_BEFORE = 600
"""Messages before a turn, and characters of each, that are kept until the turn has been understood."""
_SPEAKERS: Mapping[str, str] = {"user": "user", "assistant": "assistant", "model": "assistant"}
"""Who says something, in the words of OpenAI, Anthropic and Gemini."""
_TEXT_PARTS = ("text", "input_text")
_NOTES = ("<system-reminder>",)
"""How Claude Code (2.1.197, November 2026) marks what it adds to a user's turn."""


class _Body(msgspec.Struct):
    messages: list[Any] = []
    contents: list[Any] = []
    """Gemini's."""
    input: Any = None
    """Of OpenAI's responses: words, or items."""


_BODY = msgspec.json.Decoder(_Body)

Redact = Callable[[str], str]
"""Takes a text, returns it without secrets."""


def heard(
    body: bytes,
    scope: Scope,
    *,
    call_id: str,
    occurred_at_us: int,
    thread_id: str = "",
    event_id: str = "",
) -> Said | None:
    """Read the body of a chat completion or response, or of one of Anthropic's or Gemini's calls, as the journal holds it.

    None if no user says anything in it.

    Never raises: a body may be cut, or be no chat at all, and capture must not stop at it.
    """
    try:
        read = _BODY.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    messages = [message for message in [*read.messages, *_items_of(read.input)] if isinstance(message, dict)]
    messages += [_message_of(content) for content in read.contents if isinstance(content, dict)]
    if not any(user_turns(messages)):
        return None
    return Said(
        call_id=call_id,
        scope=scope,
        occurred_at_us=occurred_at_us,
        messages=messages,
        thread_id=thread_id,
        event_id=event_id,
    )


def _items_of(said: object) -> list[Any]:
    """Return the input of a response as messages; its other items have no role."""
    if isinstance(said, str):
        return [{"role": "user", "content": said}]
    return said if isinstance(said, list) else []


def _message_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return one of Gemini's `contents` as a message. Without a role it is the user's."""
    parts = content.get("parts")
    texts = (
        [part for part in parts if isinstance(part, dict) and "text" in part]
        if isinstance(parts, list)
        else []
    )
    said = [{"type": "text", "text": part["text"]} for part in texts if not part.get("thought")]
    return {"role": content.get("role") or "user", "content": said}


def user_turns(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    """Yield index and text of each message in which the user says something."""
    for index, message in enumerate(messages):
        if message.get("role") == "user" and (text := text_of(message.get("content"))):
            yield index, text


def text_of(content: object) -> str:
    """Return the text of a message's content, which may come in parts; blocks of ours are left out."""
    if isinstance(content, str):
        return scrubbed(content).strip() if _is_said(content) else ""
    if not isinstance(content, list):
        return ""
    texts = [
        part["text"]
        for part in content
        if isinstance(part, dict) and part.get("type") in _TEXT_PARTS and isinstance(part.get("text"), str)
    ]
    said = (scrubbed(text).strip() for text in texts if _is_said(text))
    return "\n".join(text for text in said if text)


def _is_said(text: str) -> bool:
    """Say whether a text is the user's own, and not a program's note in the user's name."""
    return not text.lstrip().startswith(_NOTES)


def turns_of(said: Said, *, key: bytes, redact: Redact) -> list[Turn]:
    """Return the user's turns of one call, in order, ready to be chained and stored."""
    turns = []
    before: deque[Line] = deque(maxlen=MOST_BEFORE)
    for index, message in enumerate(said.messages):
        role = _SPEAKERS.get(str(message.get("role")))
        words = text_of(message.get("content")) if role else ""
        if not role or not words:
            continue
        if role == "user":
            text = cut(redact(words))
            evidence = Evidence(
                call_id=said.call_id, message_index=index, quote=text, thread_id=said.thread_id
            )
            draft = draft_of(text, key=key, occurred_at_us=said.occurred_at_us, evidence=evidence)
            turns.append(
                Turn(
                    content=content_of(key, words),
                    draft=draft,
                    before=tuple(before),
                    event_id=said.event_id,
                    pictures=pictures_in(message.get("content")),
                )
            )
            words = text
        before.append(Line(role, _ends(words)))
    return turns


def _ends(text: str) -> str:
    """Return the text, or its beginning and its end: both say what it is about."""
    return text if len(text) <= MAX_BEFORE else f"{text[: MAX_BEFORE // 2]} … {text[-MAX_BEFORE // 2 :]}"


def draft_of(
    text: str, *, key: bytes, occurred_at_us: int, evidence: Evidence | None = None, trust: Trust = "user"
) -> Draft:
    """Return a draft of a memory that says `text`. Its id is random; the ledger renames a turn by its node."""
    return Draft(
        id=str(uuid.uuid4()),
        text=text,
        terms=terms(text),
        same=same_of(key, text),
        occurred_at_us=occurred_at_us,
        evidence=evidence,
        trust=trust,
        quarantined=is_planted(text, trust),
    )


def same_of(key: bytes, text: str) -> bytes:
    """Return a digest that texts share which read the same, whatever their case and punctuation."""
    return content_of(key, essence(text) or text)


def cut(text: str) -> str:
    """Return the text, or its beginning up to a word's end if it is too long."""
    if len(text) <= MAX_TEXT:
        return text
    head = text[:MAX_TEXT]
    return (head.rsplit(None, 1)[0] if " " in head[-200:] else head) + " …"
