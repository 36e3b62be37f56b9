"""What a provider keeps for all keys of an installation, through a whole house: each project has its own."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from tests.fakes.account import Account
from tests.fakes.provider import Provider
from tests.fakes.tidegate import Tidegate, eventually

KEYS = {
    "shop": "tg-of-the-shop",
    "shop2": "tg-also-of-the-shop",
    "rival": "tg-of-the-rival",
    "boss": "tg-boss",
}


@pytest.fixture(scope="module")
def account() -> Account:
    return Account()


@pytest.fixture(scope="module")
def gate(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    with Provider(account).in_thread() as upstream:
        keys: list[dict[str, Any]] = [
            {"name": name, "hash": hashlib.sha256(key.encode()).hexdigest(), "project": name.rstrip("2")}
            for name, key in KEYS.items()
        ]
        keys[-1]["scopes"] = ["call", "read", "owner"]
        config: dict[str, Any] = {
            "providers": {
                "openai": {"base_url": f"{upstream.base_url}/v1", "api_key": "sk"},
                "anthropic": {"base_url": upstream.base_url, "api_key": "ak"},
                "gemini": {"base_url": upstream.base_url, "api_key": "gk"},
            },
            "keys": keys,
            "limits": {"few": {"per": ["key"], "tpm": 3000}},
        }
        with Tidegate(tmp_path_factory.mktemp("owned"), config) as house:
            eventually(lambda: house.get("/health/ready").status == 200, what="the price table")
            yield house


@pytest.fixture
def clients(gate: Tidegate) -> Iterator[dict[str, openai.OpenAI]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(openai.OpenAI(base_url=f"{gate.url}/v1", api_key=key, max_retries=0))
            for name, key in KEYS.items()
        }


@pytest.fixture
def event() -> dict[str, str]:
    return {"x-tidegate-event-id": str(uuid.uuid4())}


def calls(gate: Tidegate, name: str, count: int, event: dict[str, str]) -> list[dict[str, Any]]:
    key = {"authorization": f"Bearer {KEYS[name]}"}
    return gate.await_calls(count, key, event_id=event["x-tidegate-event-id"])


def calls_settled(gate: Tidegate, count: int, event: dict[str, str]) -> list[dict[str, Any]]:
    """Return the shop's calls once none of them waits for its cost."""

    def look() -> list[dict[str, Any]] | None:
        found = calls(gate, "shop", count, event)
        return found if "pending" not in {row["cost_reason"] for row in found} else None

    return eventually(look, what="the cost of a batch")


def upload(client: openai.OpenAI) -> str:
    return client.files.create(file=("rows.jsonl", b"rows"), purpose="batch").id


def batch(client: openai.OpenAI, file: str, **more: Any) -> str:
    made = client.batches.create(
        input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h", **more
    )
    return made.id


def test_a_file_is_its_projects_and_nobody_elses(clients: dict[str, openai.OpenAI], account: Account) -> None:
    mine, theirs = upload(clients["shop"]), upload(clients["rival"])
    strays = account.file(b"made elsewhere")

    assert clients["shop2"].files.retrieve(mine).id == mine
    assert clients["shop2"].files.content(mine).content == b"rows"
    before = len(account.asked)
    for stranger, name in (("rival", mine), ("shop", theirs), ("shop", strays)):
        with pytest.raises(openai.NotFoundError, match=f"No such object: {name}"):
            clients[stranger].files.retrieve(name)
        with pytest.raises(openai.NotFoundError):
            clients[stranger].files.delete(name)
        with pytest.raises(openai.NotFoundError):
            clients[stranger].files.content(name)
    with pytest.raises(openai.NotFoundError):
        batch(clients["rival"], mine)
    assert len(account.asked) == before

    assert mine in [file.id for file in clients["shop2"].files.list()]
    assert theirs not in [file.id for file in clients["shop2"].files.list()]
    assert {mine, theirs, strays} <= {file.id for file in clients["boss"].files.list()}
    assert clients["boss"].files.delete(theirs).deleted
    with pytest.raises(openai.NotFoundError):
        clients["rival"].files.retrieve(theirs)


def test_what_a_batch_used_is_counted_once_when_its_output_is_seen(
    gate: Tidegate, clients: dict[str, openai.OpenAI], event: dict[str, str]
) -> None:
    shop = clients["shop"]
    made = batch(shop, upload(shop), extra_headers=event)
    assert calls(gate, "shop", 1, event)[0]["cost_reason"] == "pending"
    output = shop.batches.retrieve(made).output_file_id
    assert output is not None
    with pytest.raises(openai.NotFoundError):
        clients["rival"].files.content(output)

    shop.files.content(output, extra_headers={**event, "range": "bytes=0-9"})
    for _ in range(2):
        assert shop.files.content(output, extra_headers=event).content.count(b"\n") == 3

    rows = calls_settled(gate, 4, event)
    (waited,) = [row for row in rows if row["cost_reason"]]
    (settled,) = [row for row in rows if row["usage"]]
    assert (waited["cost_reason"], waited["price_version"]) == ("settled", settled["call_id"])
    assert (waited["cost_nano_usd"], waited["response_id"]) == (0, made)
    assert settled["usage"] == {"input_uncached": 3000, "output_text": 300}
    assert (settled["service_tier"], settled["response_model"]) == ("batch", "gpt-4o-mini-2024-07-18")
    assert settled["cost_nano_usd"] == 3000 * 75 + 300 * 300
    assert settled["properties"] == {"batch": made, "settles": waited["call_id"]}
    assert sorted(row["cost_nano_usd"] or 0 for row in rows) == [0, 0, 0, settled["cost_nano_usd"]]
    assert shop.files.list().data  # 3,300 tokens of long ago take nothing of this minute's 3,000


def test_anthropics_results_are_counted_too(gate: Tidegate, event: dict[str, str]) -> None:
    def ask(name: str, method: str, path: str, body: object = None) -> int:
        headers = {"x-api-key": KEYS[name], "anthropic-version": "2023-06-01", **event}
        return gate.request(method, path, body, headers).status

    assert ask("shop", "POST", "/v1/messages/batches", {"requests": []}) == 200
    assert ask("rival", "GET", "/v1/messages/batches/msgbatch_1/results") == 404
    assert ask("shop", "GET", "/v1/messages/batches/msgbatch_1/results") == 200

    (settled,) = [row for row in calls(gate, "shop", 2, event) if row["usage"]]
    assert settled["usage"] == {"input_uncached": 3000, "output_text": 300}
    assert settled["cost_nano_usd"] == 3000 * 1500 + 300 * 7500


def test_a_gemini_batch_settles_when_its_answers_are_seen_in_it(
    gate: Tidegate, event: dict[str, str]
) -> None:
    def ask(name: str, method: str, path: str, body: object = None) -> int:
        return gate.request(method, f"/v1beta/{path}", body, {"x-goog-api-key": KEYS[name], **event}).status

    model = "models/gemini-2.5-flash"
    assert ask("shop", "POST", f"{model}:batchGenerateContent", {"batch": {}}) == 200
    assert ask("rival", "GET", "batches/b1") == 404
    for _ in range(2):
        assert ask("shop", "GET", "batches/b1") == 200

    rows = calls_settled(gate, 3, event)
    (waited,) = [row for row in rows if row["cost_reason"]]
    (settled,) = [row for row in rows if row["usage"]]
    assert settled["usage"] == {"input_uncached": 3000, "output_text": 300}
    assert settled["cost_nano_usd"] == 3000 * 150 + 300 * 1250
    assert (waited["cost_reason"], waited["price_version"]) == ("settled", settled["call_id"])
    assert sum(row["cost_nano_usd"] for row in rows) == settled["cost_nano_usd"]

    assert ask("shop", "POST", "cachedContents", {"model": model}) == 200
    cached = {"contents": [{"parts": [{"text": "hi"}]}], "cachedContent": "cachedContents/c1"}
    assert ask("shop2", "POST", f"{model}:generateContent", cached) == 200
    assert ask("rival", "POST", f"{model}:generateContent", cached) == 404


@pytest.mark.parametrize(
    "how", [{}, {"stream": True}, {"background": True}], ids=["whole", "stream", "later"]
)
def test_a_container_is_of_whoever_had_code_run_in_it(
    clients: dict[str, openai.OpenAI], how: dict[str, Any]
) -> None:
    code: Any = [{"type": "code_interpreter", "container": {"type": "auto"}}]
    shop = clients["shop"].responses
    said = shop.create(model="openai/gpt-4o-mini", input="1+1", tools=code, **how)
    if "stream" in how:
        *_, last = said
        made = last.response
    else:
        made = shop.retrieve(said.id) if "background" in how else said
    container = made.output[-1].container_id

    assert clients["shop2"].containers.retrieve(container).id == container
    again: Any = [{"type": "code_interpreter", "container": container}]
    for ask in (
        lambda: clients["rival"].containers.retrieve(container),
        lambda: clients["rival"].responses.create(model="openai/gpt-4o-mini", input="x", tools=again),
    ):
        with pytest.raises(openai.NotFoundError, match=f"No such object: {container}"):
            ask()
