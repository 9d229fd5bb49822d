"""Render the OpenAPI document as an HTML reference page."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlencode

from quorate.api.html import (
    badge,
    code_list,
    collapsible,
    escape,
    example,
    field,
    field_rows,
    paragraphs,
    problem_links,
    problems,
    render_page,
    schema_cells,
    table,
)
from quorate.api.openapi import JSON, PROBLEM, ROLES_LABEL
from quorate.contracts.json_schemas import Json

_SET_UP = """\
export QUORATE_URL=http://127.0.0.1:8420   # "url" in credentials.json
export QUORATE_API_KEY=qk_...              # "apiKey" there; "adminKey" for /v1/tenants"""

# Example values of these fields do not exist in another tenant. The key determines the tenant.
_EXAMPLE_ONLY_FIELDS = {"tenantId", "fence"}


def render(document: Json) -> bytes:
    opening = f"""\
<p>Machine-readable document: <a href="/openapi.json">/openapi.json</a>. Agents can also send
requests and receive notifications over NATS: <a href="/asyncapi">/asyncapi</a>. To run the
examples, set the address of the service and your API key:</p>
<pre>{escape(_SET_UP)}</pre>"""
    sections = [_section(document, tag) for tag in document["tags"]]
    rest = "".join([*sections, problems(document)])
    return render_page(document["info"], "API", _navigation(document), opening, rest)


def _navigation(document: Json) -> str:
    lines = []
    for tag in document["tags"]:
        links = "".join(
            f'<li><a href="#{escape(operation["operationId"])}">{badge(method)}'
            f"<span>{escape(operation['summary'])}</span></a>"
            for _, method, operation in _operations(document, tag["name"])
        )
        lines.append(f"<h2>{escape(tag['name'])}</h2><ul>{links}</ul>")
    lines.append('<h2><a href="#problems">problems</a></h2>')
    return "".join(lines)


def _section(document: Json, tag: Mapping[str, str]) -> str:
    articles = [
        _article(document, path, method, operation)
        for path, method, operation in _operations(document, tag["name"])
    ]
    return (
        f"<section><h2>{escape(tag['name'])}</h2>{paragraphs(tag['description'])}"
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
    access = f"Roles: {code_list(roles)}" if roles else "Public: no API key required"
    parts = [
        f'<article id="{escape(operation["operationId"])}">',
        f"<h3>{badge(method)}<code>{escape(path)}</code></h3>",
        f"<p>{escape(operation['summary'])}.</p>{_description(operation)}",
        f'<p class="access">{access}.</p>',
        table("Parameters", _parameter_rows(operation)),
        table("Body", _body_rows(document, operation)),
        f"<h4>Try it</h4><pre>{escape(curl_command(path, method, operation))}</pre>",
        _response(document, operation),
        _problem_list(operation),
        "</article>\n",
    ]
    return "".join(parts)


def _description(operation: Json) -> str:
    """Render the description without its last paragraph, which repeats the roles."""
    description, _, _ = operation.get("description", "").rpartition(ROLES_LABEL)
    return paragraphs(description.strip()) if description else ""


def curl_command(path: str, method: str, operation: Json) -> str:
    """Build a curl command for copying; ids in the path are shell variables such as $LEASE_ID."""
    address = re.sub(r"{(\w+)}", lambda found: f"${_variable(found[1])}", path)
    query = {one["name"]: one["example"] for one in operation["parameters"] if "example" in one}
    if query:
        address += f"?{urlencode(query)}"
    words = ["curl"]
    if "text/event-stream" in operation["responses"]["200"]["content"]:
        words.append("-N")
    if method != "get":
        words.append(f"-X {method.upper()}")
    lines = [f'{" ".join(words)} "$QUORATE_URL{address}"']
    if operation["security"]:
        lines.append('-H "Authorization: Bearer $QUORATE_API_KEY"')
    if "requestBody" in operation:
        body = operation["requestBody"]["content"][JSON]["example"]
        lines.append(f'-H "Content-Type: {JSON}"')
        lines.append(f"-d {shlex.quote(json.dumps(_copyable(body)))}")
    return " \\\n  ".join(lines)


def _variable(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _copyable(example: Json) -> Json:
    """Drop fields that only work in the example's tenant; name agents instead of using ids."""
    kept = {name: value for name, value in example.items() if name not in _EXAMPLE_ONLY_FIELDS}
    if "agentId" in kept:
        kept = {"agentName": "outreach-agent", **kept}
        del kept["agentId"]
    return kept or example


def _parameter_rows(operation: Json) -> Iterator[Sequence[str]]:
    for parameter in operation["parameters"]:
        yield (
            field(parameter["name"], "required" if parameter["required"] else ""),
            escape(parameter["in"]),
            *schema_cells(parameter["schema"], parameter.get("description", "")),
        )


def _body_rows(document: Json, operation: Json) -> Iterator[Sequence[str]]:
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"][JSON]["schema"]
        yield from field_rows(document, schema, ("required", ""))


def _response(document: Json, operation: Json) -> str:
    success = operation["responses"]["200"]
    [(media, content)] = success["content"].items()
    shown = example(content["example"]) if "example" in content else ""
    rows = field_rows(document, content["schema"], ("", "optional"))
    inside = f"{table('', rows)}<p>Headers: {code_list(success['headers'])}.</p>"
    return (
        f"<h4>Response <small>200 <code>{escape(media)}</code></small></h4>{shown}"
        f"{collapsible('Fields and headers', inside)}"
    )


def _problem_list(operation: Json) -> str:
    lines = []
    for status, response in operation["responses"].items():
        if PROBLEM in response["content"]:
            codes = re.findall(r"^`(\w+)`", response["description"], re.MULTILINE)
            lines.append(problem_links(status, codes))
    return collapsible("Problems", f"<table>{''.join(lines)}</table>") if lines else ""
