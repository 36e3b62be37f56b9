"""What users of instructor do, and what they must see: `instructor_python.py <url> <event>`. Prints `ok` or dies."""

from __future__ import annotations

import sys

import instructor
import pytest
from anthropic import Anthropic
from instructor import Mode
from instructor.core import InstructorRetryException
from openai import OpenAI
from pydantic import BaseModel, field_validator

HEADERS: dict[str, str] = {}


class City(BaseModel):
    """What is asked for."""

    name: str
    people: int


class Village(City):
    """What no first answer can be: it takes a second one, which knows the limit."""

    @field_validator("people")
    @classmethod
    def _is_small(cls, people: int) -> int:
        if people > 500:
            raise ValueError("a village has at most 500 people")
        return people


def openai_of(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="sk-of-a-test", max_retries=0, default_headers=HEADERS)


def ask(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def of_openai(url: str) -> None:
    for mode in (Mode.TOOLS, Mode.JSON_SCHEMA, Mode.RESPONSES_TOOLS):
        client = instructor.from_openai(openai_of(url), mode=mode)
        city = client.create(model="gpt-4o-mini", messages=ask("'Oslo' has 700 people"), response_model=City)
        assert isinstance(city, City), mode
        if mode is not Mode.JSON_SCHEMA:
            assert (city.name, city.people) == ("Oslo", 700), (mode, city)


def of_anthropic(url: str) -> None:
    plain = Anthropic(base_url=url, api_key="sk-of-a-test", max_retries=0, default_headers=HEADERS)
    client = instructor.from_anthropic(plain)
    messages = ask("'Oslo' has 700 people")
    city = client.create(model="claude-sonnet-4-6", max_tokens=64, messages=messages, response_model=City)
    assert (city.name, city.people) == ("Oslo", 700)


def stream(url: str) -> None:
    client = instructor.from_openai(openai_of(url))
    messages = ask("'Oslo' has 700 people")
    *_, last = client.create_partial(model="gpt-4o-mini", messages=messages, response_model=City)
    assert (last.name, last.people) == ("Oslo", 700)


def retries(url: str) -> None:
    client = instructor.from_openai(openai_of(url))
    attempts = []
    client.on("completion:response", attempts.append)
    messages = ask("'Flåm' has 700 people")
    village = client.create(model="gpt-4o-mini", messages=messages, response_model=Village, max_retries=2)
    assert village.people <= 500
    assert len(attempts) == 2


def error(url: str) -> None:
    client = instructor.from_openai(openai_of(url))
    with pytest.raises(InstructorRetryException, match="429 - scripted"):
        client.create(model="gpt-4o-mini", messages=ask("fail with 429"), response_model=City, max_retries=0)


def main() -> None:
    url, HEADERS["x-tidegate-event-id"] = sys.argv[1:]
    for check in (of_openai, of_anthropic, stream, retries, error):
        check(url)
    sys.stdout.write("ok\n")


main()
