from __future__ import annotations

from gateway.translation.conversation import Logprob
from gateway.translation.gemini import likelihood
from gateway.translation.gemini.answered import Logprobs, Token


def test_the_average_is_told():
    said = (Logprob(token="a", logprob=-1.0), Logprob(token="b", logprob=-3.0))

    result, average = likelihood.write(said)

    assert average == -2.0
    assert likelihood.read(result) == said


def test_nothing_is_said_of_nothing_and_missing_lists_are_empty():
    assert likelihood.write(()) == (None, None)
    assert likelihood.read(Logprobs(chosen_candidates=[Token("a")])) == (Logprob(token="a", logprob=0.0),)
