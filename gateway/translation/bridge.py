"""Between the format that a client speaks and the one in which a provider is asked."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.errors import BadRequest, BrokenAnswer, NotCarried
from gateway.translation.base import (
    HINTS,
    Answering,
    ClientFormat,
    ProviderFormat,
    StreamReader,
    StreamWriter,
)
from gateway.translation.conversation import Reply
from gateway.translation.events import CONTENT, Counted, Ended, Event, Failed, Started, Stopped
from gateway.translation.formats import CLIENTS, PROVIDERS
from gateway.wire.base import Finding, Reading, Wire

Headers = list[tuple[bytes, bytes]]

REQUEST_ID = b"request-id"
"""Where Anthropic's clients look for it."""

MOST_NAMES = 64
LONGEST_NAME = 64
_JSON = "application/json"
_OF_THE_BODY = frozenset({b"content-type", b"content-length", b"content-encoding"})
_QUERIES = {"gemini.generate": b"alt=sse"}
"""What makes a provider stream events, where that is not said in the body."""

PREFERRED = ("anthropic.messages", "gemini.generate", "bedrock.converse", "openai.responses", "openai.chat")
"""In which format to ask a provider that speaks several: where the most survives."""
OWN_IDS = "openai.responses"
"""Whoever speaks it comes back with an answer's id, which so must be one of ours."""


def reach(surface: str, speaks: Iterable[str], native: Iterable[str]) -> str:
    """Return the format in which to ask for what a client of `surface` wants; empty if there is no way.

    Responses are OpenAI's own: others that offer them are asked for chat completions.
    """
    if not any(surface == client for client, _ in CLIENTS):
        return ""
    spoken = set(speaks) - ({OWN_IDS} - set(native))
    return next((form for form in PREFERRED if form in spoken), "")


class Bridge:
    """One way over; the same for all calls that go it."""

    def __init__(self, surface: str, *, lenient: bool) -> None:
        self.surface = surface
        """In which the provider is asked."""
        self._lenient = lenient
        """What the provider's format has no place for is left out, and the client told."""
        self._provider = PROVIDERS[surface]

    def cross(
        self,
        wire: Wire,
        body: bytes,
        *,
        model: str,
        stream: bool,
        wants_usage: bool,
        include_usage: bool,
        drop: tuple[str, ...],
        call_id: str,
        created_s: int,
        previous: str = "",
    ) -> Crossing:
        """Translate a request; raise NotCarried naming what cannot be said to this provider."""
        client = CLIENTS[wire.surface, wire.stream_type] if stream else _plain(wire)
        try:
            request = client.read_request(body, drop=frozenset(drop))
        except BadRequest as error:
            raise NotCarried(str(error), code=error.code, param=error.param) from error
        if request.stream != stream:
            request = msgspec.structs.replace(request, stream=stream)
        written = self._provider.write_request(request, model=model, usage=include_usage)
        losses = [client.names.get(name, name) for name in written.lost if name not in HINTS]
        serious = _brief([*request.others, *losses])
        if serious and not self._lenient:
            raise NotCarried(
                f"{', '.join(serious)}: there is no place for this in the format {self.surface}, in which the model "
                f"{model} is asked. Leave it out, or set drop_unsupported on a route to this model.",
                code="unsupported_parameter",
                param=serious[0],
            )
        hints = [client.names.get(name, name) for name in written.lost if name in HINTS]
        return Crossing(
            wire,
            client,
            self._provider,
            written.body,
            dropped=tuple(_brief([*serious, *request.hints, *hints])),
            query=_QUERIES.get(self.surface, b"") if stream else b"",
            answering=Answering(
                call_id=call_id,
                created_s=created_s,
                model=model,
                wants_usage=wants_usage,
                previous=previous,
                request=request,
            ),
        )


def _brief(names: Iterable[str]) -> list[str]:
    """Return each name once; they come from the body and may be many and long."""
    return [name[:LONGEST_NAME] for name in dict.fromkeys(names)][:MOST_NAMES]


def _plain(wire: Wire) -> ClientFormat:
    """Return the client's format where nothing is streamed."""
    return next(form for (surface, _), form in CLIENTS.items() if surface == wire.surface)


class Crossing:
    """One call on its way: the request that goes out, and how its answer comes back."""

    def __init__(
        self,
        wire: Wire,
        client: ClientFormat,
        provider: ProviderFormat,
        body: bytes,
        *,
        dropped: tuple[str, ...],
        query: bytes,
        answering: Answering,
    ) -> None:
        self.body = body
        self.dropped = dropped
        """What was left out, in the client's words."""
        self.query = query
        self.surface = provider.surface
        self._wire = wire
        self._client = client
        self._provider = provider
        self._answering = answering

    def streams(self, content_type: str) -> bool:
        """Say whether an answer of this type is the stream that was asked for."""
        return self._answering.request.stream and content_type.startswith(self._provider.stream_type)

    def answered(self, headers: Headers, *, stream: bool) -> tuple[Headers, str]:
        """Return the headers for the client, and the type among them."""
        content_type = self._client.stream_type if stream else _JSON
        kept = [pair for pair in headers if pair[0] not in _OF_THE_BODY]
        kept.append((b"content-type", content_type.encode()))
        if not any(name == REQUEST_ID for name, _ in kept):
            kept.append((REQUEST_ID, self._answering.call_id.encode()))
        return kept, content_type

    def reading(self, *, stream: bool) -> Reading:
        """Return a reader of the provider's answer that gives the client's."""
        if not stream:
            return DocumentCrossing(self._provider, self._client, self._answering)
        return StreamCrossing(
            self._provider.stream_reader(),
            self._client.stream_writer(self._answering),
            self._wire,
            own_id=own_id(self._answering) if self._client.surface == OWN_IDS else "",
        )


def own_id(answering: Answering) -> str:
    """Return the id of an answer whose client may come back with it."""
    return "resp_" + answering.call_id.replace("-", "")


class DocumentCrossing:
    """Gathers an answer that is one document and gives it at the end, in the client's format."""

    def __init__(self, provider: ProviderFormat, client: ClientFormat, answering: Answering) -> None:
        self._provider = provider
        self._client = client
        self._answering = answering
        self._pieces: list[bytes] = []
        self._out: bytes | None = None
        self._finding = Finding()

    @property
    def began(self) -> bool:
        """Whether any byte of the document has been seen."""
        return bool(self._pieces)

    def feed(self, chunk: bytes) -> bytes:
        """Keep the chunk."""
        if chunk:
            self._pieces.append(chunk)
        return b""

    def end(self) -> bytes:
        """Return the client's document; raise BrokenAnswer if the provider's is none."""
        return self.translated() if self._out is None else self._out

    def translated(self) -> bytes:
        """Do the same; a long document may so be translated beside the loop, before its end is asked for."""
        try:
            reply = self._provider.read_reply(b"".join(self._pieces))
        except (ValueError, RecursionError) as error:
            raise BrokenAnswer(f"the provider's answer is not what was asked for: {error}") from error
        if self._client.surface == OWN_IDS:
            reply = msgspec.structs.replace(reply, id=own_id(self._answering))
        self._finding = _found(reply)
        self._out = self._client.write_reply(reply, self._answering)
        return self._out

    def finding(self) -> Finding:
        """Say what the document says, once it was read."""
        return self._finding


def _found(reply: Reply) -> Finding:
    return Finding(
        complete=True,
        usage=reply.usage,
        raw_usage=reply.raw_usage,
        finish_reason=reply.stop,
        response_model=reply.model,
        response_id=reply.id,
        service_tier=reply.service_tier,
    )


_CONTENT = frozenset(CONTENT)


class StreamCrossing:
    """Gives the client's stream as the provider's comes. The last events are held back until its end."""

    def __init__(self, reader: StreamReader, writer: StreamWriter, wire: Wire, *, own_id: str) -> None:
        self._reader = reader
        self._writer = writer
        self._wire = wire
        self._own_id = own_id
        self._began = False
        self._last = b""
        self._id = own_id
        self._model = ""
        self._stop = ""
        self._error = ""
        self._complete = False
        self._counted: Counted | None = None

    @property
    def began(self) -> bool:
        """Whether any part of the answer has been seen."""
        return self._began

    def feed(self, chunk: bytes) -> bytes:
        """Return what may go to the client now."""
        events = self._reader.feed(chunk)
        return self._tell(events) if events else b""

    def end(self) -> bytes:
        """Return what was held back."""
        events = self._reader.end()
        out = self._tell(events) if events else b""
        last, self._last = self._last, b""
        return out + last

    def finding(self) -> Finding:
        """Say what was seen so far."""
        counted = self._counted
        return Finding(
            complete=self._complete,
            usage=counted.usage if counted else None,
            raw_usage=counted.raw_usage if counted else b"",
            output_uncounted=counted is not None and counted.output_uncounted,
            finish_reason=self._stop,
            response_model=self._model,
            response_id=self._id,
            error=self._error,
            service_tier=counted.service_tier if counted else "",
        )

    def _tell(self, events: list[Event]) -> bytes:
        for place, event in enumerate(events):
            if type(event) in _CONTENT:
                self._began = True
            else:
                events[place] = self._note(event)
        if self._complete:  # Ended is the last of all
            out = self._writer.write(events[:-1])
            self._last = self._writer.write(events[-1:])
            return out
        out = self._writer.write(events)
        if self._error:
            code = next((event.code for event in events if isinstance(event, Failed)), "")
            out += self._wire.broken(BrokenAnswer(self._error, code=code))
        return out

    def _note(self, event: Event) -> Event:
        """Take what says more than words; return it as the client is to hear it."""
        match event:
            case Started():
                self._id = self._own_id or event.id
                self._model = event.model
                return Started(self._id, event.model)
            case Stopped():
                self._stop = event.stop
            case Counted():
                self._counted = event
            case Failed():
                self._error = event.message or "error"
            case Ended():
                self._complete = True
            case _:
                pass
        return event
