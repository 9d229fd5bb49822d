"""The AsyncAPI document as a page for people, made from the document alone."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence

from quorate.api.html import (
    badge,
    example,
    field_rows,
    folded,
    listed,
    problem_links,
    problems,
    prose,
    table,
    text,
    whole,
)
from quorate.api.json_schemas import Json

# By what the service does: callers do the opposite.
_BADGES = {"receive": "ask", "send": "hear"}
_INBOX = "_INBOX_${QUORATE_TENANT}_$QUORATE_AGENT_ID"

_SET_UP = """\
export NATS_URL=nats://127.0.0.1:4222  # "natsUrl" in credentials.json
export NATS_USER=qk_...                # "key" in the answer of POST /v1/keys
export QUORATE_TENANT=tenant_...       # "tenantId" there
export QUORATE_AGENT_ID=agent_...      # "agentId" there"""


def page(document: Json) -> bytes:
    opening = f"""\
<p>The same for programs: <a href="/asyncapi.json">/asyncapi.json</a>. The same over HTTP:
<a href="/docs">/docs</a>. To try the examples with the <code>nats</code> command line, put in
where the server is and who you are:</p>
<pre>{text(_SET_UP)}</pre>"""
    tags = document["info"]["tags"]
    sections = [_section(document, tag) for tag in tags]
    return whole(
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
            f'<li><a href="#{text(name)}">{badge(_BADGES[operation["action"]])}'
            f"<span>{text(operation['summary'])}</span></a>"
            for name, operation in _operations(document, tag["name"])
        )
        lines.append(f"<h2>{text(tag['name'])}</h2><ul>{links}</ul>")
    lines.append('<h2><a href="#problems">problems</a></h2>')
    return "".join(lines)


def _section(document: Json, tag: Json) -> str:
    articles = [
        _article(document, name, operation)
        for name, operation in _operations(document, tag["name"])
    ]
    return (
        f"<section><h2>{text(tag['name'])}</h2>{prose(tag['description'])}"
        f"{''.join(articles)}</section>\n"
    )


def _operations(document: Json, tag: str) -> Iterator[tuple[str, Json]]:
    for name, operation in document["operations"].items():
        if {"name": tag} in operation["tags"]:
            yield name, operation


# -- One operation -----------------------------------------------------------


def _article(document: Json, name: str, operation: Json) -> str:
    address = document["channels"][_last(operation["channel"])]["address"]
    parts = [
        f'<article id="{text(name)}">',
        f"<h3>{badge(_BADGES[operation['action']])}<code>{text(address)}</code></h3>",
        f"<p>{text(operation['summary'])}.</p>",
        f'<p class="who">Roles: {listed(operation["x-quorate-roles"])}.</p>',
        *(_asked if "reply" in operation else _heard)(document, address, operation),
        "</article>\n",
    ]
    return "".join(parts)


def _asked(document: Json, address: str, operation: Json) -> Iterator[str]:
    request = _message(document, operation["messages"][0])
    answer, problem = (_message(document, one) for one in operation["reply"]["messages"])
    yield table("Payload", field_rows(document, request["payload"], ("required", "")))
    yield f"<p>Headers: {listed(request['headers']['properties'])}.</p>"
    yield f"<h4>Try it</h4><pre>{text(command(address, request))}</pre>"
    yield "<h4>Answer</h4>" + "".join(example(one["payload"]) for one in _examples(answer))
    rows = table("", field_rows(document, answer["payload"], ("", "optional")))
    yield folded("Fields and headers", f"{rows}{_header_list(answer)}")
    yield folded("Problems", _problems(document, problem))


def _heard(document: Json, address: str, operation: Json) -> Iterator[str]:
    said = _message(document, operation["messages"][0])
    envelope = _schema(document, said["payload"])
    facts = envelope["allOf"][1]["properties"]["data"]["oneOf"][0]
    yield f"<h4>Try it</h4><pre>{text(subscription(address))}</pre>"
    yield "<h4>What is heard</h4>" + "".join(example(one["payload"]) for one in _examples(said))
    yield prose(_schema(document, facts).get("description", ""))
    rows = table("", field_rows(document, facts, ("", "optional"), "data"))
    yield folded("Fields and headers", f"{rows}{_header_list(said)}")


def command(address: str, request: Json) -> str:
    """A command to copy; ids are shell variables such as $LEASE_ID."""
    payload = dict(request["examples"][0]["payload"])
    payload.pop("fence", None)  # Nobody else's lease has it.
    ids = {name: f"${_variable(name)}" for name in payload if name in {"leaseId", "consensusId"}}
    words = _quoted(json.dumps(payload | ids), list(ids.values()))
    return f'nats request --inbox-prefix "{_INBOX}" \\\n  "{_subject(address)}" \\\n  {words}'


def subscription(address: str) -> str:
    return f'nats subscribe "{_subject(address)}"'


def _quoted(words: str, variables: Sequence[str]) -> str:
    """As one word of a shell command in which variables are still replaced."""
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
        own = _schema(document, one)["allOf"][1]["properties"]
        by_status.setdefault(own["status"]["const"], []).append(own["code"]["const"])
    lines = [problem_links(status, codes) for status, codes in by_status.items()]
    return f"<table>{''.join(lines)}</table>{_header_list(problem)}"


def _header_list(message: Json) -> str:
    return f"<p>Headers: {listed(message['headers']['properties'])}.</p>"


# -- Looking up --------------------------------------------------------------


def _message(document: Json, found: Json) -> Json:
    """The message that a channel's message stands for."""
    message: Json = document["components"]["messages"][_last(found)]
    return message


def _examples(message: Json) -> Sequence[Json]:
    examples: Sequence[Json] = message.get("examples", ())
    return examples


def _schema(document: Json, found: Json) -> Json:
    schema: Json = document["components"]["schemas"][_last(found)]
    return schema


def _last(found: Json) -> str:
    return str(found["$ref"]).rpartition("/")[2]
