"""The OpenAPI document as a page for people, made from the document alone."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlencode

from quorate.api.html import (
    badge,
    example,
    field,
    field_rows,
    folded,
    listed,
    problem_links,
    problems,
    prose,
    table,
    text,
    told,
    whole,
)
from quorate.api.json_schemas import Json
from quorate.api.openapi import JSON, PROBLEM

_SET_UP = """\
export QUORATE_URL=http://127.0.0.1:8420   # "url" in credentials.json
export QUORATE_API_KEY=qk_...              # "apiKey" there; "adminKey" for /v1/tenants"""

# Fields whose values nobody else's tenant or log has. A key stands for its tenant anyway.
_NOT_TO_COPY = {"tenantId", "fence"}


def page(document: Json) -> bytes:
    opening = f"""\
<p>The same for programs: <a href="/openapi.json">/openapi.json</a>. Agents can ask over NATS too,
and hear there what happens: <a href="/asyncapi">/asyncapi</a>. To try the examples, put in where
the service is and your key:</p>
<pre>{text(_SET_UP)}</pre>"""
    sections = [_section(document, tag) for tag in document["tags"]]
    rest = "".join([*sections, problems(document)])
    return whole(document["info"], "API", _navigation(document), opening, rest)


def _navigation(document: Json) -> str:
    lines = []
    for tag in document["tags"]:
        links = "".join(
            f'<li><a href="#{text(operation["operationId"])}">{badge(method)}'
            f"<span>{text(operation['summary'])}</span></a>"
            for _, method, operation in _operations(document, tag["name"])
        )
        lines.append(f"<h2>{text(tag['name'])}</h2><ul>{links}</ul>")
    lines.append('<h2><a href="#problems">problems</a></h2>')
    return "".join(lines)


def _section(document: Json, tag: Mapping[str, str]) -> str:
    articles = [
        _article(document, path, method, operation)
        for path, method, operation in _operations(document, tag["name"])
    ]
    return (
        f"<section><h2>{text(tag['name'])}</h2>{prose(tag['description'])}"
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
    who = f"Roles: {listed(roles)}" if roles else "Public: no key is needed"
    parts = [
        f'<article id="{text(operation["operationId"])}">',
        f"<h3>{badge(method)}<code>{text(path)}</code></h3>",
        f'<p>{text(operation["summary"])}.</p><p class="who">{who}.</p>',
        table("Parameters", _parameter_rows(operation)),
        table("Body", _body_rows(document, operation)),
        f"<h4>Try it</h4><pre>{text(curl(path, method, operation))}</pre>",
        _answer(document, operation),
        _refusals(operation),
        "</article>\n",
    ]
    return "".join(parts)


def curl(path: str, method: str, operation: Json) -> str:
    """A command to copy; ids in the path are shell variables such as $LEASE_ID."""
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
        sent = operation["requestBody"]["content"][JSON]["example"]
        lines.append(f'-H "Content-Type: {JSON}"')
        lines.append(f"-d {shlex.quote(json.dumps(_copyable(sent)))}")
    return " \\\n  ".join(lines)


def _variable(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _copyable(sent: Json) -> Json:
    """What works for anybody: agents by their names, since ids are given by the service."""
    kept = {name: value for name, value in sent.items() if name not in _NOT_TO_COPY}
    if "agentId" in kept:
        kept = {"agentName": "outreach-agent", **kept}
        del kept["agentId"]
    return kept or sent


def _parameter_rows(operation: Json) -> Iterator[Sequence[str]]:
    for parameter in operation["parameters"]:
        yield (
            field(parameter["name"], "required" if parameter["required"] else ""),
            text(parameter["in"]),
            *told(parameter["schema"], parameter.get("description", "")),
        )


def _body_rows(document: Json, operation: Json) -> Iterator[Sequence[str]]:
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"][JSON]["schema"]
        yield from field_rows(document, schema, ("required", ""))


def _answer(document: Json, operation: Json) -> str:
    success = operation["responses"]["200"]
    [(media, content)] = success["content"].items()
    shown = example(content["example"]) if "example" in content else ""
    rows = field_rows(document, content["schema"], ("", "optional"))
    inside = f"{table('', rows)}<p>Headers: {listed(success['headers'])}.</p>"
    return (
        f"<h4>Answer <small>200 <code>{text(media)}</code></small></h4>{shown}"
        f"{folded('Fields and headers', inside)}"
    )


def _refusals(operation: Json) -> str:
    lines = []
    for status, response in operation["responses"].items():
        if PROBLEM in response["content"]:
            codes = re.findall(r"^`(\w+)`", response["description"], re.MULTILINE)
            lines.append(problem_links(status, codes))
    return folded("Problems", f"<table>{''.join(lines)}</table>") if lines else ""
