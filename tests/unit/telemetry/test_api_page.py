"""The page that describes the query API."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from fastapi import FastAPI, Response
from starlette.testclient import TestClient
from typing_extensions import override

from telemetry.api import build
from telemetry.api_page import page


class Links(HTMLParser):
    """What a browser would load or follow, which elements there are, and what they are called."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("href", "src", "action", "srcset", "data"):
                self.found.append(value or "")
            if name == "id":
                self.names.add(value or "")


def served() -> tuple[str, str]:
    answer = TestClient(build(lambda: None, now_us=lambda: 0, version="1.2.3")).get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text, answer.headers["content-security-policy"]


def test_nothing_comes_from_elsewhere_and_no_script_runs() -> None:
    text, policy = served()
    links = Links(text)

    assert {link for link in links.found if not link.startswith("#")} == {"openapi.json"}
    assert not links.tags & {"script", "link", "img", "iframe", "object", "form"}
    assert "url(" not in text
    assert "@import" not in text
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';")


def test_every_shape_that_is_named_is_described() -> None:
    links = Links(served()[0])
    named = {link.removeprefix("#") for link in links.found if link.startswith("#")}

    assert {"Page", "CallDetail", "Group", "UserCost", "CostRow", "Totals"} <= named
    assert named <= links.names


def test_a_path_is_told_with_its_parameters_and_its_answer() -> None:
    text = re.sub(r"<[^>]+>", " ", served()[0])
    words = " ".join(text.split())

    assert "GET /api/users/{user_id}/cost Tell what a user cost" in words
    assert "Answers UserCost . user_id string Required." in words
    assert "limit integer Rows per page. Default: 50. 1 to 1000." in words
    assert "1.2.3" in words


def test_text_of_the_description_is_never_markup() -> None:
    route = {
        "description": "<b>bold</b>",
        "parameters": [{"name": "<i>", "required": False, "schema": {"enum": ["<u>", ""]}}],
        "responses": {"200": {"content": {"application/json": {"schema": {}}}}},
    }
    document = {
        "info": {"title": "<s>", "version": "<q>", "description": "<em>"},
        "paths": {"/<p2>": {"get": route}},
        "components": {"schemas": {"<h3>": {"properties": {"<h4>": {"type": "<h5>"}}}}},
    }

    assert not Links(page(document)).tags & {"b", "i", "u", "s", "q", "em", "p2", "h3", "h4", "h5"}


def test_what_is_taken_for_later_or_answers_nothing_is_told_as_well() -> None:
    app = FastAPI(description="Some.")

    @app.post("/later", status_code=202)
    def later(id_: str) -> dict[str, str]:
        return {"id": id_}

    @app.delete("/one", status_code=204, response_class=Response)
    def gone(id_: str) -> None:
        del id_

    told = page(app.openapi())
    assert "/later" in told
    assert "Answers nothing." in told
