from __future__ import annotations

from gateway.wire.openai_models import Model, model, model_list


def test_the_list_has_openais_shape():
    assert model_list([Model(id="openai/gpt-5", owned_by="openai")]) == (
        b'{"object":"list","data":[{"id":"openai/gpt-5","object":"model","created":0,"owned_by":"openai"}]}'
    )


def test_one_model_has_openais_shape():
    assert model(Model(id="m", owned_by="o", created=5)) == (
        b'{"id":"m","object":"model","created":5,"owned_by":"o"}'
    )
