"""Every failure a client of the gateway can see.

* GatewayError                      .status .code .type .param .retry_after_s
  - BadRequest                 400  the body or a header is not what the endpoint takes
    + GuardrailBlocked         400  the call, or its answer, says what the installation does not let pass
  - Unauthenticated            401  no key, or a key nobody issued
  - Forbidden                  403  a key, a Host or an Origin that may not do this
    + NoPriceBound             403  nobody can say what this may cost, and a hard budget must know
  - UnknownModel               404  no route, provider or deployment has this name
  - UnknownResponse            404  no response of this id is kept for whoever asks
  - UnknownUrl                 404  nothing lives at this path
  - MethodNotAllowed           405  something lives at this path, but not for this method
  - TooSlow                    408  the request did not arrive in time
  - TooLarge                   413  the body is over the limit
  - OverLimit                  429  so many requests, tokens, or calls at once are not allowed
  - OverBudget                 429  it might cost more than is left of a hard budget
  - Unavailable                503  a part that this answer needs is away, or the gateway is stopping
    + JournalFull              503  the disk that must remember this call is full
  - UpstreamFailed                  the provider did not answer as it should
    + Unreachable              502  no connection, or it broke before an answer
    + UpstreamTimeout          504  one of the four clocks ran out
    + BrokenAnswer             502  the answer broke off or made no sense
    + NotCarried               400  it was not asked: its API has no place for a part of the request
    + Refused             its own  the provider answered with an error status; its bytes go to the client
      - StreamRefused      200  the same, said in the first event of a stream
"""

from __future__ import annotations

from typing import ClassVar


class GatewayError(Exception):
    """Base of the errors that become an HTTP answer; anything else is a bug and a 500."""

    status: int = 500
    code: str = "internal_error"
    type: ClassVar[str] = "server_error"
    request_id: str = ""
    """Of the request it answers, for formats that repeat it in the body."""

    def __init__(
        self, message: str, *, code: str = "", param: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.param = param
        self.retry_after_s = retry_after_s
        if code:
            self.code = code


class BadRequest(GatewayError):
    """The body or a header is not what this endpoint takes."""

    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class GuardrailBlocked(BadRequest):
    """The call, or its answer, says what the installation does not let pass."""

    code = "guardrail_blocked"


class Unauthenticated(GatewayError):
    """No key was sent, or one that was never issued."""

    status = 401
    code = "invalid_api_key"
    type = "invalid_request_error"


class Forbidden(GatewayError):
    """A key, a Host or an Origin that may not do this."""

    status = 403
    code = "forbidden"
    type = "invalid_request_error"


class NoPriceBound(Forbidden):
    """Nobody can say what this may cost at most, and a hard budget must know."""

    code = "no_price_bound"


class OverLimit(GatewayError):
    """So many requests, tokens, or calls at once are not allowed."""

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"


class OverBudget(GatewayError):
    """It might cost more than is left of a hard budget."""

    status = 429
    code = "budget_exceeded"
    type = "insufficient_quota"


class UnknownModel(GatewayError):
    """No route, provider or deployment has this name."""

    status = 404
    code = "model_not_found"
    type = "invalid_request_error"


class UnknownResponse(GatewayError):
    """No response of this id is kept for whoever asks."""

    status = 404
    code = ""
    """OpenAI gives this refusal none."""
    type = "invalid_request_error"


class UnknownUrl(GatewayError):
    """Nothing lives at this path."""

    status = 404
    code = "unknown_url"
    type = "invalid_request_error"


class MethodNotAllowed(GatewayError):
    """Something lives at this path, but not for this method."""

    status = 405
    code = "method_not_allowed"
    type = "invalid_request_error"


class TooSlow(GatewayError):
    """The request did not arrive in time."""

    status = 408
    code = "request_timeout"
    type = "invalid_request_error"


class TooLarge(GatewayError):
    """The body is over the limit."""

    status = 413
    code = "request_too_large"
    type = "invalid_request_error"


class Unavailable(GatewayError):
    """A part that this answer needs is away, or the gateway is stopping."""

    status = 503
    code = "unavailable"


class JournalFull(Unavailable):
    """The disk that must remember this call is full."""

    code = "journal_full"


class UpstreamFailed(GatewayError):
    """The provider did not answer as it should; `retryable` if another deployment may do better."""

    status = 502
    code = "upstream_error"

    def __init__(self, message: str, *, retryable: bool = True, code: str = "") -> None:
        super().__init__(message, code=code)
        self.retryable = retryable


class Unreachable(UpstreamFailed):
    """No connection, or it broke before anything of an answer came."""

    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamFailed):
    """One of the four clocks ran out; `code` is `upstream_timeout_{connect,first_byte,idle,total}`."""

    status = 504
    code = "upstream_timeout"


class BrokenAnswer(UpstreamFailed):
    """The answer broke off or made no sense."""

    code = "upstream_broken_answer"


class NotCarried(UpstreamFailed):
    """The provider was not asked: its API has no place for a part of the request."""

    status = 400
    code = "unsupported_parameter"
    type = "invalid_request_error"

    def __init__(self, message: str, *, code: str = "", param: str = "") -> None:
        super().__init__(message, code=code)
        self.param = param


class Refused(UpstreamFailed):
    """The provider answered with an error status; the client gets its status, headers and bytes."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        retryable: bool,
        code: str = "",
    ) -> None:
        super().__init__(message, retryable=retryable, code=code)
        self.status = status
        self.headers = headers
        self.body = body


class StreamRefused(Refused):
    """The provider began a stream with an error instead of an answer."""

    code = "provider_stream_error"
