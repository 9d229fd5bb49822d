"""HTML building blocks for the reference pages.

* Each page is a single file without scripts and without external resources.
* Every text of a document is escaped here; there is no other way into a page.
* CONTENT_SECURITY_POLICY permits only the built-in style sheet, by its hash.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from quorate.api.docs_css import STYLE
from quorate.api.json_schemas import Json

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
NESTED_MAX = 3
_MEMBERS = {"type", "title", "status", "detail", "code", "requestId"}  # Of every problem.
HEADING = "### "


def render_page(info: Json, title: str, navigation: str, opening: str, rest: str) -> bytes:
    """Render a page; the heading is the product name followed by ``title``."""
    name = escape(f"{info['title']} {title}")
    product = f"{escape(info['title'])} <small>{escape(info['version'])}</small>"
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<style>{STYLE}</style>
<nav><a class="home" href="#top">{product}</a>
{navigation}</nav>
<main id="top"><header><h1>{name}</h1>
{paragraphs(info["description"])}
{opening}</header>
{rest}</main>
</html>
""".encode()


# -- Schemas -----------------------------------------------------------------


def field_rows(
    document: Json, schema: Json, marks: tuple[str, str], prefix: str = "", nested: int = 0
) -> Iterator[Sequence[str]]:
    """Yield a row for each field, with its mark, followed by the rows of its nested fields.

    ``marks`` are the labels of required and of optional fields.
    """
    schema, is_list = _resolved(document, schema)
    prefix = f"{prefix}[]." if is_list else prefix and f"{prefix}."
    required = schema.get("required", ())
    for name, found in schema.get("properties", {}).items():
        mark = marks[0] if name in required else marks[1]
        yield (field(prefix + name, mark), *schema_cells(found, found.get("description", "")))
        if nested < NESTED_MAX:
            yield from field_rows(document, found, marks, prefix + name, nested + 1)


def _resolved(document: Json, schema: Json) -> tuple[Json, bool]:
    is_list = schema.get("type") == "array"
    if is_list:
        schema = schema["items"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema, is_list


def schema_cells(schema: Json, description: str) -> Sequence[str]:
    """Return three cells: the type, the constraints, and the description."""
    notes = [_bounds(schema)]
    if "default" in schema:
        notes.append(f"default <code>{escape(json.dumps(schema['default']))}</code>")
    return (
        escape(_type(schema)),
        "; ".join(note for note in notes if note),
        render_inline(description),
    )


def _type(schema: Json) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return " | ".join(json.dumps(one) for one in schema.get("enum", [schema.get("const")]))
    if "$ref" in schema:
        return "object"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("type", "anything"))


def _bounds(schema: Json) -> str:
    notes = [_bounds(one) for one in schema.get("anyOf", ())]
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        notes.append(escape(f"{_number(low)} to {_number(high)}"))
    short, long = schema.get("minLength"), schema.get("maxLength")
    if long is not None:
        notes.append(f"{short} to {long} characters" if short else f"at most {long} characters")
    if "pattern" in schema:
        notes.append(f"<code>{escape(schema['pattern'])}</code>")
    return ", ".join(one for one in notes if one)


def _number(value: Any) -> str:  # noqa: ANN401 - int, float or None.
    return "any" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


# -- Problems ----------------------------------------------------------------


def problems(document: Json) -> str:
    """Render the section that explains every problem code of a document."""
    rows = []
    for code, status, description, own in _problem_schemas(document):
        details = [name for name in own if name not in _MEMBERS]
        rows.append(
            f'<tr id="problem-{escape(code)}"><td>{status}<td><code>{escape(code)}</code>'
            f"<td>{escape(description)}<td>{code_list(details)}"
        )
    return (
        '<section id="problems"><h2>problems</h2><table><thead><tr><th>Status<th>Code<th>Meaning'
        f"<th>Additional fields</thead>{''.join(rows)}</table></section>"
    )


def _problem_schemas(document: Json) -> Iterator[tuple[str, int, str, Json]]:
    for schema in document["components"]["schemas"].values():
        own = schema.get("properties", {})
        if own.keys() >= _MEMBERS:
            yield own["code"]["const"], own["status"]["const"], schema["description"], own


def problem_links(status: object, codes: Iterable[str]) -> str:
    links = " ".join(f'<a href="#problem-{escape(c)}"><code>{escape(c)}</code></a>' for c in codes)
    return f"<tr><td>{escape(status)}<td>{links}"


# -- Pieces ------------------------------------------------------------------


def table(title: str, rows: Iterable[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<td>{cell}" for cell in row) for row in rows]
    if not lines:
        return ""
    heading = f"<h4>{escape(title)}</h4>" if title else ""
    return f"{heading}<table>{''.join(lines)}</table>"


def collapsible(title: str, inside: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{inside}</details>" if inside else ""


def example(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def field(name: str, mark: str) -> str:
    noted = f' <small class="{mark}">{mark}</small>' if mark else ""
    return f"<code>{escape(name)}</code>{noted}"


def badge(word: str) -> str:
    return f'<b class="{escape(word)}">{escape(word.upper())}</b>'


def code_list(names: Iterable[str]) -> str:
    return ", ".join(f"<code>{escape(name)}</code>" for name in names)


def paragraphs(words: str) -> str:
    """Render paragraphs; a paragraph that begins with ``### `` is a heading."""
    return "".join(_paragraph(one) for one in words.split("\n\n"))


def _paragraph(words: str) -> str:
    heading = words.removeprefix(HEADING)
    return (
        f"<p>{render_inline(words)}</p>"
        if heading == words
        else f"<h4>{render_inline(heading)}</h4>"
    )


def render_inline(words: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(words))


def escape(words: object) -> str:
    return html.escape(str(words))
