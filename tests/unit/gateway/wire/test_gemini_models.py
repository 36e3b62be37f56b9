from __future__ import annotations

import msgspec

from gateway.wire import gemini_models


def test_names_are_resources():
    listed = msgspec.json.decode(gemini_models.model_list(["smart", "openai/gpt-4o"]))["models"]

    assert [entry["name"] for entry in listed] == ["models/smart", "models/openai/gpt-4o"]
    assert listed[0]["displayName"] == "smart"
    assert "generateContent" in listed[0]["supportedGenerationMethods"]
    assert msgspec.json.decode(gemini_models.model("smart")) == listed[0]
