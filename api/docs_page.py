"""The document as a page for people: one file, no script, nothing fetched from anywhere.

The page is made from the OpenAPI document alone. Whatever it shows is escaped; the only style it
may use is its own, named by hash in CONTENT_SECURITY_POLICY.
"""

import base64
import hashlib
import html
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from quorate.api.docs_style import STYLE
from quorate.api.openapi import JSON, PROBLEM
from quorate.api.problem_schemas import Json

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
NESTED_MAX = 3

_SET_UP = """\
export QUORATE_URL=http://127.0.0.1:8420   # "url" in credentials.json
export QUORATE_API_KEY=qk_...              # "apiKey" there; "adminKey" for /v1/tenants"""

# Fields whose values nobody else's tenant or log has. A key stands for its tenant anyway.
_NOT_TO_COPY = {"tenantId", "fence"}


def page(document: Json) -> bytes:
    sections = [_section(document, tag) for tag in document["tags"]]
    info = document["info"]
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(info["title"])} API</title>
<style>{STYLE}</style>
<nav><a class="home" href="#top">{_text(info["title"])} <small>{_text(info["version"])}</small></a>
{_navigation(document)}</nav>
<main id="top"><header><h1>{_text(info["title"])} API</h1>
{_prose(info["description"])}
<p>The same for programs: <a href="/openapi.json">/openapi.json</a>. To try the examples, put in
where the service is and your key:</p>
<pre>{_text(_SET_UP)}</pre></header>
{"".join(sections)}{_problems(document)}</main>
</html>
""".encode()


def _navigation(document: Json) -> str:
    lines = []
    for tag in document["tags"]:
        links = "".join(
            f'<li><a href="#{_text(operation["operationId"])}">{_method(method)}'
            f"<span>{_text(operation['summary'])}</span></a>"
            for _, method, operation in _operations(document, tag["name"])
        )
        lines.append(f"<h2>{_text(tag['name'])}</h2><ul>{links}</ul>")
    lines.append('<h2><a href="#problems">problems</a></h2>')
    return "".join(lines)


def _section(document: Json, tag: Mapping[str, str]) -> str:
    articles = [
        _article(document, path, method, operation)
        for path, method, operation in _operations(document, tag["name"])
    ]
    return (
        f"<section><h2>{_text(tag['name'])}</h2>{_prose(tag['description'])}"
        f"{''.join(articles)}</section>\n"
    )


def _operations(document: Json, tag: str) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield path, method, operation


# -- One endpoint ------------------------------------------------------------


def _article(document: Json, path: str, method: str, operation: Json) -> str:
    roles = operation.get("x-quorate-roles")
    who = f"Roles: {_list(roles)}" if roles else "Public: no key is needed"
    parts = [
        f'<article id="{_text(operation["operationId"])}">',
        f"<h3>{_method(method)}<code>{_text(path)}</code></h3>",
        f'<p>{_text(operation["summary"])}.</p><p class="who">{who}.</p>',
        _table("Parameters", _parameter_rows(operation)),
        _table("Body", _body_rows(document, operation)),
        f"<h4>Try it</h4><pre>{_text(curl(path, method, operation))}</pre>",
        _answer(document, operation),
        _refusals(operation),
        "</article>\n",
    ]
    return "".join(parts)


def curl(path: str, method: str, operation: Json) -> str:
    """A command to copy; ids in the path are shell variables such as $LEASE_ID."""
    address = re.sub(r"{(\w+)}", lambda found: f"${_variable(found[1])}", path)
    words = ["curl"]
    if "text/event-stream" in operation["responses"]["200"]["content"]:
        words.append("-N")
    if method != "get":
        words.append(f"-X {method.upper()}")
    lines = [f'{" ".join(words)} "$QUORATE_URL{address}"']
    if operation["security"]:
        lines.append('-H "Authorization: Bearer $QUORATE_API_KEY"')
    if "requestBody" in operation:
        example = operation["requestBody"]["content"][JSON]["example"]
        lines.append(f'-H "Content-Type: {JSON}"')
        lines.append(f"-d {shlex.quote(json.dumps(_copyable(example)))}")
    return " \\\n  ".join(lines)


def _variable(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _copyable(example: Json) -> Json:
    """What works for anybody: agents by their names, since ids are given by the service."""
    kept = {name: value for name, value in example.items() if name not in _NOT_TO_COPY}
    if "agentId" in kept:
        kept = {"agentName": "outreach-agent", **kept}
        del kept["agentId"]
    return kept or example


def _parameter_rows(operation: Json) -> Iterator[Sequence[str]]:
    for parameter in operation["parameters"]:
        yield (
            _field(parameter["name"], "required" if parameter["required"] else ""),
            _text(parameter["in"]),
            *_told(parameter["schema"], parameter.get("description", "")),
        )


def _body_rows(document: Json, operation: Json) -> Iterator[Sequence[str]]:
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"][JSON]["schema"]
        yield from _field_rows(document, schema, ("required", ""))


def _answer(document: Json, operation: Json) -> str:
    success = operation["responses"]["200"]
    [(media, content)] = success["content"].items()
    headers = _list(success["headers"])
    example = ""
    if "example" in content:
        shown = json.dumps(content["example"], indent=2, ensure_ascii=False)
        example = f"<pre>{_text(shown)}</pre>"
    rows = _field_rows(document, content["schema"], ("", "optional"))
    return (
        f"<h4>Answer <small>200 <code>{_text(media)}</code></small></h4>{example}"
        f"<details><summary>Fields and headers</summary>{_table('', rows)}"
        f"<p>Headers: {headers}.</p></details>"
    )


def _refusals(operation: Json) -> str:
    lines = []
    for status, response in operation["responses"].items():
        if PROBLEM in response["content"]:
            codes = re.findall(r"^`(\w+)`", response["description"], re.MULTILINE)
            links = " ".join(f'<a href="#problem-{code}"><code>{code}</code></a>' for code in codes)
            lines.append(f"<tr><td>{_text(status)}<td>{links}")
    return (
        f"<details><summary>Problems</summary><table>{''.join(lines)}</table></details>"
        if lines
        else ""
    )


# -- Schemas -----------------------------------------------------------------


def _field_rows(
    document: Json, schema: Json, marks: tuple[str, str], prefix: str = "", nested: int = 0
) -> Iterator[Sequence[str]]:
    """A row for each field, marked as always there or not; what is inside of it follows."""
    schema, is_list = _resolved(document, schema)
    prefix = f"{prefix}[]." if is_list else prefix and f"{prefix}."
    required = schema.get("required", ())
    for name, found in schema.get("properties", {}).items():
        mark = marks[0] if name in required else marks[1]
        yield (_field(prefix + name, mark), *_told(found, found.get("description", "")))
        if nested < NESTED_MAX:
            yield from _field_rows(document, found, marks, prefix + name, nested + 1)


def _resolved(document: Json, schema: Json) -> tuple[Json, bool]:
    is_list = schema.get("type") == "array"
    if is_list:
        schema = schema["items"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema, is_list


def _told(schema: Json, description: str) -> Sequence[str]:
    notes = [_bounds(schema)]
    if "default" in schema:
        notes.append(f"default <code>{_text(json.dumps(schema['default']))}</code>")
    told = "; ".join(note for note in notes if note)
    return _text(_type(schema)), told, _inline(description)


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
    told = [_bounds(one) for one in schema.get("anyOf", ())]
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        told.append(_text(f"{_number(low)} to {_number(high)}"))
    short, long = schema.get("minLength"), schema.get("maxLength")
    if long is not None:
        told.append(f"{short} to {long} characters" if short else f"at most {long} characters")
    if "pattern" in schema:
        told.append(f"<code>{_text(schema['pattern'])}</code>")
    return ", ".join(one for one in told if one)


def _number(value: Any) -> str:  # noqa: ANN401 - a number of either kind, or none.
    return "any" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


# -- Pieces ------------------------------------------------------------------


def _problems(document: Json) -> str:
    rows = []
    for schema in document["components"]["schemas"].values():
        if "allOf" in schema:
            own = schema["allOf"][1]["properties"]
            facts = [name for name in own if name not in {"type", "status", "code"}]
            code = own["code"]["const"]
            rows.append(
                f'<tr id="problem-{_text(code)}"><td>{own["status"]["const"]}'
                f"<td><code>{_text(code)}</code><td>{_text(schema['description'])}<td>"
                + _list(facts)
            )
    return (
        '<section id="problems"><h2>problems</h2><table><thead><tr><th>Status<th>Code<th>Meaning'
        f"<th>Tells besides</thead>{''.join(rows)}</table></section>"
    )


def _table(title: str, rows: Iterator[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<td>{cell}" for cell in row) for row in rows]
    if not lines:
        return ""
    heading = f"<h4>{_text(title)}</h4>" if title else ""
    return f"{heading}<table>{''.join(lines)}</table>"


def _field(name: str, mark: str) -> str:
    told = f' <small class="{mark}">{mark}</small>' if mark else ""
    return f"<code>{_text(name)}</code>{told}"


def _method(method: str) -> str:
    return f'<b class="{_text(method)}">{_text(method.upper())}</b>'


def _list(names: Any) -> str:  # noqa: ANN401 - anything that holds names.
    return ", ".join(f"<code>{_text(name)}</code>" for name in names)


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(paragraph)}</p>" for paragraph in text.split("\n\n"))


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text))


def _text(text: object) -> str:
    return html.escape(str(text))
