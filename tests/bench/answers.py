"""A provider that answers at once, always the same, for next to no CPU: `python -m tests.bench.answers <port>`.

`/json/...` gets a 0.6 KB document, `/sse/...` a stream of 50 content events as OpenAI sends it: each
event a chunk of its own (chunked transfer coding), all of them in one write. `/paced/...` gets the same
stream an event each 10 ms.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from typing_extensions import override

DOCUMENT = (
    '{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench-model",'
    '"choices":[{"index":0,"message":{"role":"assistant","content":"%s","refusal":null,"annotations":[]},'
    '"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":180,"completion_tokens":42,'
    '"total_tokens":222,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},'
    '"completion_tokens_details":{"reasoning_tokens":0}},"service_tier":"default"}'
) % ("lorem ipsum " * 8)


def _event(delta: str, finish: str = "null") -> str:
    return (
        'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,'
        '"model":"bench-model","service_tier":"default","system_fingerprint":"fp_bench","choices":[{"index":0,'
        f'"delta":{delta},"logprobs":null,"finish_reason":{finish}}}],"usage":null}}\n\n'
    )


EVENTS = [
    *(_event(f'{{"content":"token {number} "}}') for number in range(50)),
    _event("{}", '"stop"'),
    'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench-model",'
    '"choices":[],"usage":{"prompt_tokens":180,"completion_tokens":50,"total_tokens":230}}\n\n',
    "data: [DONE]\n\n",
]

JSON_ANSWER = (
    f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\n"
    f"openai-processing-ms: 12\r\ncontent-length: {len(DOCUMENT)}\r\n\r\n{DOCUMENT}"
).encode()
SSE_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_bench\r\n"
    b"openai-processing-ms: 12\r\ntransfer-encoding: chunked\r\n\r\n"
)
CHUNKS = [*(f"{len(event):x}\r\n{event}\r\n".encode() for event in EVENTS), b"0\r\n\r\n"]
SSE_ANSWER = SSE_HEAD + b"".join(CHUNKS)
PACE_S = 0.01


class Answers(asyncio.Protocol):
    """Waits for the end of each request and answers by its path."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None
        self._loop = asyncio.get_running_loop()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    @override
    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        while (head := received.find(b"\r\n\r\n") + 4) > 3:
            at = received[:head].lower().find(b"content-length:")
            length = int(received[at + 15 : received.index(b"\r\n", at)]) if at >= 0 else 0
            if len(received) < head + length:
                break
            assert self._transport is not None
            if received.startswith(b"POST /paced/"):
                self._transport.write(SSE_HEAD)
                self._pace(0)
            else:
                self._transport.write(SSE_ANSWER if received.startswith(b"POST /sse/") else JSON_ANSWER)
            received = received[head + length :]
        self._received = received

    def _pace(self, number: int) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(CHUNKS[number])
            if number + 1 < len(CHUNKS):
                self._loop.call_later(PACE_S, self._pace, number + 1)


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
