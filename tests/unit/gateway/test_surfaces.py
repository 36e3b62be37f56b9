from __future__ import annotations

import pytest

from gateway import surfaces


@pytest.mark.parametrize("prefix", ["", "/v1", "/api"])
def test_a_base_url_works_with_and_without_its_usual_prefix(prefix):
    chat, embeddings = surfaces.find(f"{prefix}/chat/completions"), surfaces.find(f"{prefix}/embeddings")

    assert chat is not None
    assert chat.wire.surface == "openai.chat"
    assert embeddings is not None
    assert embeddings.wire.surface == "openai.embeddings"


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/chat/completions", "/v1/chat/completions/", "/api/calls"])
def test_other_paths_are_no_surface(path):
    assert surfaces.find(path) is None
