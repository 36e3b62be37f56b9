"""Reads a client's request."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Literal

from msgspec import UNSET

from gateway.errors import BadRequest
from gateway.translation.conversation import Format, Reasoning, Request, Text, Tool, ToolChoice
from gateway.translation.gemini import asked
from gateway.translation.gemini.contents_in import Contents
from gateway.translation.gemini.schemas import to_json_schema
from gateway.wire import gemini_body

_HINTS = frozenset(
    {
        "labels", "store", "user", "safetyIdentifier", "metadata", "conversation", "partMetadata",
        "includeServerSideToolInvocations", "streamFunctionCallArguments", "behavior", "response",
        "responseJsonSchema", "enableEnhancedCivicAnswers", "scheduling", "willContinue",
    }
)  # fmt: skip
"""Fields, by the last name of their path, without which the answer says the same."""
_MODES: dict[str | int, Literal["auto", "required", "none"]] = {
    "AUTO": "auto",
    "ANY": "required",
    "NONE": "none",
    "VALIDATED": "auto",
    1: "auto",
    2: "required",
    3: "none",
    4: "auto",
}
_UNFILTERED = frozenset({"BLOCK_NONE", "OFF", "HARM_BLOCK_THRESHOLD_UNSPECIFIED", None, 0, 4, 5})
_LEVELS = {1: "low", 2: "medium", 3: "high", 4: "minimal"}
_TEXT_ONLY: tuple[list[str | int] | None, ...] = (None, [], ["TEXT"], [1])
_JSON = "application/json"
_PLAIN = ("", "text/plain")


def read_request(body: bytes, drop: AbstractSet[str]) -> Request:
    """Return what is asked; raise BadRequest."""
    said, unknown = asked.decode(body, drop)
    if not said.contents:
        raise gemini_body.missing("contents")
    contents = Contents()
    for at, content in enumerate(said.contents):
        contents.take(content, at)
    others, hints = _sorted(unknown)
    tools, choice = _tools(said)
    _safety(said, others, hints)
    return Request(
        messages=contents.messages(),
        system=_system(said, others),
        tools=tools,
        tool_choice=choice,
        service_tier=_tier(said.service_tier),
        **_settings(said.generation_config or asked.Config(), others),
        others=tuple(dict.fromkeys(others)),
        hints=tuple(dict.fromkeys(hints)),
    )


def _sorted(unknown: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return which of what is said beside changes the answer, and which does not; tools by their place."""
    others: list[str] = []
    hints: list[str] = []
    for path in unknown:
        parent, _, name = path.rpartition(".")
        if name in _HINTS:
            hints.append(path)
        elif parent.startswith("tools[") and "." not in parent:
            others.append(parent)
        else:
            others.append(path)
    return others, hints


def _system(said: asked.Body, others: list[str]) -> tuple[Text, ...]:
    given = said.system_instruction
    if isinstance(given, str):
        return (Text(given),) if given else ()
    parts = given.parts or [] if given is not None else []
    for at, part in enumerate(parts):
        if part.text is None and part != asked.Part():
            others.append(f"systemInstruction.parts[{at}]")
    return tuple(Text(part.text) for part in parts if part.text)


def _safety(said: asked.Body, others: list[str], hints: list[str]) -> None:
    """Note filters: nobody else has them, which is no loss to a client that wants none."""
    if said.safety_settings:
        wanted = [s for s in said.safety_settings if _hashable(s.threshold) not in _UNFILTERED]
        (others if wanted else hints).append("safetySettings")


def _hashable(value: object) -> object:
    return value if isinstance(value, str | int) else None


def _tier(said: str | None) -> str:
    tier = (said or "").lower()
    return "" if tier in ("unspecified", "standard") else tier


def _tools(said: asked.Body) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """Return the functions that may be called, and whether one must be."""
    declared = [d for tool in said.tools or () for d in tool.function_declarations or ()]
    config = said.tool_config.function_calling_config if said.tool_config else None
    config = config or asked.Calling()
    mode = _MODES.get(config.mode.upper() if isinstance(config.mode, str) else config.mode or 0)
    allowed = config.allowed_function_names or []
    if mode == "required" and len(allowed) == 1 and any(d.name == allowed[0] for d in declared):
        return tuple(map(_tool, declared)), ToolChoice(mode="tool", name=allowed[0])
    if allowed and mode != "none":
        declared = [d for d in declared if d.name in allowed]
    return tuple(map(_tool, declared)), None if mode is None else ToolChoice(mode=mode)


def _tool(said: asked.Declaration) -> Tool:
    if not said.name:
        raise BadRequest(
            "Missing required parameter: 'tools[].functionDeclarations[].name'.",
            code="missing_required_parameter",
            param="tools",
        )
    given = said.parameters_json_schema
    if given is not UNSET and bytes(given) != b"null":
        schema = asked.text_of(given)
    elif said.parameters is not UNSET and bytes(said.parameters) != b"null":
        schema = to_json_schema(said.parameters)
    else:
        schema = ""
    return Tool(name=said.name, description=said.description or "", schema=schema)


def _settings(said: asked.Config, others: list[str]) -> dict[str, Any]:
    """Return fields of a Request."""
    if said.candidate_count not in (None, 0, 1):
        others.append("generationConfig.candidateCount")
    if said.response_modalities not in _TEXT_ONLY:
        others.append("generationConfig.responseModalities")
    return {
        "max_tokens": said.max_output_tokens,
        "temperature": said.temperature,
        "top_p": said.top_p,
        "top_k": said.top_k,
        "stop": tuple(said.stop_sequences or ()),
        "seed": said.seed,
        "frequency_penalty": said.frequency_penalty,
        "presence_penalty": said.presence_penalty,
        "logprobs": said.response_logprobs or None,
        "top_logprobs": said.logprobs if said.response_logprobs else None,
        "format": _format(said, others),
        "reasoning": _reasoning(said.thinking_config),
    }


def _format(said: asked.Config, others: list[str]) -> Format | None:
    mime = said.response_mime_type or ""
    if mime not in (_JSON, *_PLAIN):
        others.append("generationConfig.responseMimeType")
        return None
    schema = said.response_json_schema
    if schema is not UNSET and bytes(schema) != b"null":
        return Format(kind="json_schema", schema=asked.text_of(schema))
    if said.response_schema is not UNSET and bytes(said.response_schema) != b"null":
        return Format(kind="json_schema", schema=to_json_schema(said.response_schema))
    return Format(kind="json_object") if mime == _JSON else None


def _reasoning(said: asked.Thinking | None) -> Reasoning | None:
    if said is None or said == asked.Thinking():
        return None
    level = said.thinking_level
    effort = _LEVELS.get(level, "") if isinstance(level, int) else (level or "").lower()
    return Reasoning(
        effort="" if effort == "thinking_level_unspecified" else effort,
        budget=said.thinking_budget,
        show=said.include_thoughts,
    )
