"""The query API's description as a page: rendered here, without scripts, and nothing in it from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Content-Security-Policy of the page: a browser would refuse what we promise not to load."""

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#14212b;background:#fff}
h2{margin:2.5rem 0 .2rem;font-size:1.05rem}code,h2{font-family:ui-monospace,monospace}
table{border-collapse:collapse;margin:.5rem 0;width:100%}p{margin:.2rem 0 .6rem}
td{border-top:1px solid #d8e0e6;padding:.25rem .9rem .25rem 0;vertical-align:top}td:first-child{width:16rem}
a{color:#0b66a8}.method{color:#0a7d4f}.note{color:#5a6b78}
@media(prefers-color-scheme:dark){body{color:#dbe4ea;background:#10181e}td{border-color:#2b3a45}
a{color:#6db8f0}.method{color:#5fcf9d}.note{color:#93a4b0}}
"""

Schema = Mapping[str, Any]


def page(document: Schema) -> str:
    """Render an OpenAPI document (3.x, as FastAPI makes it)."""
    info = document["info"]
    title, version = escape(info["title"]), escape(info["version"])
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{title}</title><style>{_STYLE}</style></head><body>",
            f'<h1>{title} <small class="note">{version}</small></h1>',
            f'<p>{escape(info["description"])} For programs: <a href="openapi.json">openapi.json</a>.</p>',
            *_routes(document["paths"]),
            "<h1>Answers</h1>",
            *_shapes(document["components"]["schemas"]),
            "</body></html>",
        ]
    )


def _routes(paths: Schema) -> Iterator[str]:
    for path, methods in paths.items():
        for method, told in methods.items():
            yield f'<h2><span class="method">{escape(method.upper())}</span> {escape(path)}</h2>'
            fine = next(said for status, said in told["responses"].items() if status.startswith("2"))
            answers = fine.get("content", {})
            json = answers.get("application/json")
            file = f"a file: {escape(', '.join(answers))}" if answers else "nothing"
            kind = _kind(json["schema"]) if json else file
            yield f"<p>{escape(told.get('description', ''))} Answers {kind}.</p>"
            yield _table(map(_parameter, told.get("parameters", [])))


def _parameter(told: Schema) -> tuple[str, str, str]:
    schema = told["schema"]
    notes = [told.get("description", "")]
    if told["required"]:
        notes.append("Required.")
    elif schema.get("default") not in (None, ""):
        notes.append(f"Default: {schema['default']}.")
    if "maximum" in schema:
        notes.append(f"{schema.get('minimum', 0)} to {schema['maximum']}.")
    return told["name"], _kind(schema), escape(" ".join(filter(None, notes)))


def _shapes(schemas: Schema) -> Iterator[str]:
    for name, schema in schemas.items():
        yield f'<h2 id="{escape(name)}">{escape(name)}</h2><p>{escape(schema.get("description", ""))}</p>'
        rows = [
            (field, _kind(told), escape(told.get("description", "")))
            for field, told in schema.get("properties", {}).items()
        ]
        yield _table(rows)


def _table(rows: Iterator[tuple[str, str, str]] | list[tuple[str, str, str]]) -> str:
    lines = [
        f'<tr><td><code>{escape(name)}</code></td><td>{kind} <span class="note">{note}</span></td></tr>'
        for name, kind, note in rows
    ]
    return f"<table>{''.join(lines)}</table>" if lines else ""


def _kind(schema: Schema) -> str:
    """What a value is, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(one)) or '(empty)'}</code>" for one in schema["enum"])
    inside = schema.get("items") or schema.get("additionalProperties")
    if isinstance(inside, Mapping):
        return f"{'list' if 'items' in schema else 'object'} of {_kind(inside)}"
    return escape(schema.get("type", "anything"))
