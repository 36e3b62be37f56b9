"""How likely the tokens of an answer were: `logprobsResult`."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.translation.conversation import Logprob
from gateway.translation.gemini.answered import Logprobs, Token, Tokens


def read(said: Logprobs | None) -> tuple[Logprob, ...]:
    """Return the tokens that were chosen, each with the likeliest in its place."""
    if said is None:
        return ()
    chosen, top = said.chosen_candidates or (), said.top_candidates or ()
    return tuple(
        Logprob(
            token=token.token or "",
            logprob=token.log_probability or 0.0,
            top=tuple(map(_one, top[at].candidates or ())) if at < len(top) else (),
        )
        for at, token in enumerate(chosen)
    )


def _one(token: Token) -> Logprob:
    return Logprob(token=token.token or "", logprob=token.log_probability or 0.0)


def write(logprobs: Sequence[Logprob]) -> tuple[Logprobs | None, float | None]:
    """Return the result and the average."""
    if not logprobs:
        return None, None
    result = Logprobs(
        chosen_candidates=[Token(one.token, one.logprob) for one in logprobs],
        top_candidates=[Tokens([Token(top.token, top.logprob) for top in one.top]) for one in logprobs],
    )
    return result, sum(one.logprob for one in logprobs) / len(logprobs)
