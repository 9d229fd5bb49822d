"""Render the AsyncAPI document as an HTML reference page."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence

from quorate.api.html import (
    badge,
    code_list,
    collapsible,
    escape,
    example,
    field_rows,
    paragraphs,
    problem_links,
    problems,
    render_page,
    table,
)
from quorate.api.json_schemas import Json

# AsyncAPI names the action of the service; callers perform the opposite action.
_BADGES = {"receive": "request", "send": "subscribe"}
_INBOX = "_INBOX_${QUORATE_TENANT}_$QUORATE_AGENT_ID"

_SET_UP = """\
export NATS_URL=nats://127.0.0.1:4222  # "natsUrl" in credentials.json
export NATS_USER=qk_...                # "key" in the response of POST /v1/keys
export QUORATE_TENANT=tenant_...       # "tenantId" in the same response
export QUORATE_AGENT_ID=agent_...      # "agentId" in the same response"""


def render(document: Json) -> bytes:
    opening = f"""\
<p>Machine-readable document: <a href="/asyncapi.json">/asyncapi.json</a>. HTTP API:
<a href="/docs">/docs</a>. To run the examples with the <code>nats</code> command-line client, set
the address of the NATS server, your API key, and the ids of your tenant and agent:</p>
<pre>{escape(_SET_UP)}</pre>"""
    tags = document["info"]["tags"]
    sections = [_section(document, tag) for tag in tags]
    return render_page(
        document["info"],
        "over NATS",
        _navigation(document),
        opening,
        "".join([*sections, problems(document)]),
    )


def _navigation(document: Json) -> str:
    lines = []
    for tag in document["info"]["tags"]:
        links = "".join(
            f'<li><a href="#{escape(name)}">{badge(_BADGES[operation["action"]])}'
            f"<span>{escape(operation['summary'])}</span></a>"
            for name, operation in _operations(document, tag["name"])
        )
        lines.append(f"<h2>{escape(tag['name'])}</h2><ul>{links}</ul>")
    lines.append('<h2><a href="#problems">problems</a></h2>')
    return "".join(lines)


def _section(document: Json, tag: Json) -> str:
    articles = [
        _article(document, name, operation)
        for name, operation in _operations(document, tag["name"])
    ]
    return (
        f"<section><h2>{escape(tag['name'])}</h2>{paragraphs(tag['description'])}"
        f"{''.join(articles)}</section>\n"
    )


def _operations(document: Json, tag: str) -> Iterator[tuple[str, Json]]:
    for name, operation in document["operations"].items():
        if {"name": tag} in operation["tags"]:
            yield name, operation


# -- One operation -----------------------------------------------------------


def _article(document: Json, name: str, operation: Json) -> str:
    address = document["channels"][_ref_name(operation["channel"])]["address"]
    render_parts = _request_parts if "reply" in operation else _subscription_parts
    parts = [
        f'<article id="{escape(name)}">',
        f"<h3>{badge(_BADGES[operation['action']])}<code>{escape(address)}</code></h3>",
        f"<p>{escape(operation['summary'])}.</p>",
        paragraphs(operation["description"]) if "description" in operation else "",
        f'<p class="access">Roles: {code_list(operation["x-quorate-roles"])}.</p>',
        *render_parts(document, address, operation),
        "</article>\n",
    ]
    return "".join(parts)


def _request_parts(document: Json, address: str, operation: Json) -> Iterator[str]:
    request = _message(document, operation["messages"][0])
    response, problem = (_message(document, one) for one in operation["reply"]["messages"])
    yield table("Payload", field_rows(document, request["payload"], ("required", "")))
    yield f"<p>Headers: {code_list(request['headers']['properties'])}.</p>"
    yield f"<h4>Try it</h4><pre>{escape(request_command(address, request))}</pre>"
    yield "<h4>Response</h4>" + "".join(example(one["payload"]) for one in _examples(response))
    rows = table("", field_rows(document, response["payload"], ("", "optional")))
    yield collapsible("Fields and headers", f"{rows}{_header_list(response)}")
    yield collapsible("Problems", _problems(document, problem))


def _subscription_parts(document: Json, address: str, operation: Json) -> Iterator[str]:
    message = _message(document, operation["messages"][0])
    envelope = _schema(document, message["payload"])
    data = envelope["allOf"][1]["properties"]["data"]["oneOf"][0]
    yield f"<h4>Try it</h4><pre>{escape(subscribe_command(address))}</pre>"
    yield "<h4>Message</h4>" + "".join(example(one["payload"]) for one in _examples(message))
    yield paragraphs(_schema(document, data).get("description", ""))
    rows = table("", field_rows(document, data, ("", "optional"), "data"))
    yield collapsible("Fields and headers", f"{rows}{_header_list(message)}")


def request_command(address: str, request: Json) -> str:
    """Build a nats command for copying; ids are shell variables such as $LEASE_ID."""
    payload = dict(request["examples"][0]["payload"])
    payload.pop("fence", None)  # The example's token belongs to no lease of the reader.
    ids = {name: f"${_variable(name)}" for name in payload if name in {"leaseId", "consensusId"}}
    words = _quoted(json.dumps(payload | ids), list(ids.values()))
    return f'nats request --inbox-prefix "{_INBOX}" \\\n  "{_subject(address)}" \\\n  {words}'


def subscribe_command(address: str) -> str:
    return f'nats subscribe "{_subject(address)}"'


def _quoted(words: str, variables: Sequence[str]) -> str:
    """Quote as one shell word in which the shell still expands variables."""
    if not variables:
        return shlex.quote(words)
    return '"' + re.sub(r'(["\\`])', r"\\\1", words) + '"'


def _subject(address: str) -> str:
    known = {"tenant": "$QUORATE_TENANT", "agentId": "$QUORATE_AGENT_ID", "eventType": "*"}
    return re.sub(r"{(\w+)}", lambda found: known[found[1]], address)


def _variable(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _problems(document: Json, problem: Json) -> str:
    by_status: dict[int, list[str]] = {}
    for one in problem["payload"]["oneOf"]:
        own = _schema(document, one)["properties"]
        by_status.setdefault(own["status"]["const"], []).append(own["code"]["const"])
    lines = [problem_links(status, codes) for status, codes in by_status.items()]
    return f"<table>{''.join(lines)}</table>{_header_list(problem)}"


def _header_list(message: Json) -> str:
    return f"<p>Headers: {code_list(message['headers']['properties'])}.</p>"


# -- References --------------------------------------------------------------


def _message(document: Json, found: Json) -> Json:
    """Return the message that a reference to a channel's message names."""
    message: Json = document["components"]["messages"][_ref_name(found)]
    return message


def _examples(message: Json) -> Sequence[Json]:
    examples: Sequence[Json] = message.get("examples", ())
    return examples


def _schema(document: Json, found: Json) -> Json:
    schema: Json = document["components"]["schemas"][_ref_name(found)]
    return schema


def _ref_name(found: Json) -> str:
    return str(found["$ref"]).rpartition("/")[2]
