"""What our pages are made of: one file each, no script, nothing fetched from anywhere.

Whatever a document holds is escaped here, and nowhere is there another way into a page. The only
style a page may use is ours, named by hash in CONTENT_SECURITY_POLICY.
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
HEADING = "### "


def whole(info: Json, title: str, navigation: str, opening: str, rest: str) -> bytes:
    """A page; ``title`` stands after the product's name, ``rest`` after the opening words."""
    name = text(f"{info['title']} {title}")
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<style>{STYLE}</style>
<nav><a class="home" href="#top">{text(info["title"])} <small>{text(info["version"])}</small></a>
{navigation}</nav>
<main id="top"><header><h1>{name}</h1>
{prose(info["description"])}
{opening}</header>
{rest}</main>
</html>
""".encode()


# -- Schemas -----------------------------------------------------------------


def field_rows(
    document: Json, schema: Json, marks: tuple[str, str], prefix: str = "", nested: int = 0
) -> Iterator[Sequence[str]]:
    """A row for each field, marked as always there or not; what is inside of it follows."""
    schema, is_list = _resolved(document, schema)
    prefix = f"{prefix}[]." if is_list else prefix and f"{prefix}."
    required = schema.get("required", ())
    for name, found in schema.get("properties", {}).items():
        mark = marks[0] if name in required else marks[1]
        yield (field(prefix + name, mark), *told(found, found.get("description", "")))
        if nested < NESTED_MAX:
            yield from field_rows(document, found, marks, prefix + name, nested + 1)


def _resolved(document: Json, schema: Json) -> tuple[Json, bool]:
    is_list = schema.get("type") == "array"
    if is_list:
        schema = schema["items"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema, is_list


def told(schema: Json, description: str) -> Sequence[str]:
    """Three cells: the type, the bounds, and what it means."""
    notes = [_bounds(schema)]
    if "default" in schema:
        notes.append(f"default <code>{text(json.dumps(schema['default']))}</code>")
    return text(_type(schema)), "; ".join(note for note in notes if note), inline(description)


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
        notes.append(text(f"{_number(low)} to {_number(high)}"))
    short, long = schema.get("minLength"), schema.get("maxLength")
    if long is not None:
        notes.append(f"{short} to {long} characters" if short else f"at most {long} characters")
    if "pattern" in schema:
        notes.append(f"<code>{text(schema['pattern'])}</code>")
    return ", ".join(one for one in notes if one)


def _number(value: Any) -> str:  # noqa: ANN401 - a number of either kind, or none.
    return "any" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


# -- Problems ----------------------------------------------------------------


def problems(document: Json) -> str:
    """The section that explains every code of a document."""
    rows = []
    for code, status, description, own in _problem_schemas(document):
        facts = [name for name in own if name not in {"type", "status", "code"}]
        rows.append(
            f'<tr id="problem-{text(code)}"><td>{status}<td><code>{text(code)}</code>'
            f"<td>{text(description)}<td>{listed(facts)}"
        )
    return (
        '<section id="problems"><h2>problems</h2><table><thead><tr><th>Status<th>Code<th>Meaning'
        f"<th>Tells besides</thead>{''.join(rows)}</table></section>"
    )


def _problem_schemas(document: Json) -> Iterator[tuple[str, int, str, Json]]:
    for schema in document["components"]["schemas"].values():
        own = schema["allOf"][1]["properties"] if "allOf" in schema else {}
        if "code" in own:
            yield own["code"]["const"], own["status"]["const"], schema["description"], own


def problem_links(status: object, codes: Iterable[str]) -> str:
    links = " ".join(f'<a href="#problem-{text(c)}"><code>{text(c)}</code></a>' for c in codes)
    return f"<tr><td>{text(status)}<td>{links}"


# -- Pieces ------------------------------------------------------------------


def table(title: str, rows: Iterable[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<td>{cell}" for cell in row) for row in rows]
    if not lines:
        return ""
    heading = f"<h4>{text(title)}</h4>" if title else ""
    return f"{heading}<table>{''.join(lines)}</table>"


def folded(title: str, inside: str) -> str:
    return f"<details><summary>{text(title)}</summary>{inside}</details>" if inside else ""


def example(value: object) -> str:
    return f"<pre>{text(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def field(name: str, mark: str) -> str:
    noted = f' <small class="{mark}">{mark}</small>' if mark else ""
    return f"<code>{text(name)}</code>{noted}"


def badge(word: str) -> str:
    return f'<b class="{text(word)}">{text(word.upper())}</b>'


def listed(names: Iterable[str]) -> str:
    return ", ".join(f"<code>{text(name)}</code>" for name in names)


def prose(words: str) -> str:
    """Paragraphs; one that begins with ``### `` is a heading."""
    return "".join(_paragraph(one) for one in words.split("\n\n"))


def _paragraph(words: str) -> str:
    heading = words.removeprefix(HEADING)
    return f"<p>{inline(words)}</p>" if heading == words else f"<h4>{inline(heading)}</h4>"


def inline(words: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text(words))


def text(words: object) -> str:
    return html.escape(str(words))
