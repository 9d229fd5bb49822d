"""The OpenAPI 3.1 document, made from the table of endpoints and from nothing else.

What a schema promises is what is enforced: bodies and queries come from the models that check
them, answers from the types that their makers are held to, and the problems of an endpoint are
the codes it may answer with. Only prose and examples are written here.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

import quorate
from quorate.api.json_schemas import Json, Mode, described, not_null, plain, ref
from quorate.api.problem_schemas import problem_schemas, schema_name
from quorate.application.execution import IDEMPOTENCY_KEY_LENGTH_MAX
from quorate.application.operations import Endpoint, known_codes
from quorate.contracts.examples import ANSWERS, BODIES, QUERIES
from quorate.contracts.problems import CONNECTION_CODES, CONTENT_TYPE, KINDS
from quorate.contracts.requests import SEQUENCE_MAX, PageQuery

OPENAPI_VERSION = "3.1.0"
HTML = "text/html"
JSON = "application/json"
PROBLEM = CONTENT_TYPE.decode()
PATH_PARAMETER = re.compile(r"{(\w+)}")
_UNAVAILABLE = "unavailable"

DESCRIPTION = """\
Quorate lets many agents work for one tenant without stepping on each other: they take exclusive, \
time-boxed leases on contacts, and settle high-stakes actions by majority vote. Every command is \
an event of an append-only log.

Send your key as `Authorization: Bearer <key>` or as `X-API-Key: <key>`. The key names the \
tenant: `tenantId` may be left out, and must be the key's own where it is sent. An agent's key \
acts as that agent, which need not be named then.

Times are UTC. Bodies are strict: a field that is not listed is refused, and so are NUL, lone \
surrogates, numbers that are not finite and keys that stand twice.

Every command takes an `Idempotency-Key`. Asked again with the same key and the same body, it \
gives the same answer and does nothing more, so a request may be repeated whenever its answer was \
lost.

Errors are `application/problem+json` (RFC 9457). Decide by `code`, which is stable. What the code \
tells besides, such as who holds the lease, stands beside it."""

_HEADERS: dict[str, Json] = {
    "X-Request-Id": {
        "required": True,
        "description": "Names the request in our log: yours if you sent a plain one, else ours.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
    },
    "Quorate-Sequence": {
        "description": "The tenant's log up to here is what the answer reflects.",
        "schema": {"type": "integer", "minimum": 0, "maximum": SEQUENCE_MAX},
    },
    "Idempotent-Replayed": {
        "description": "This is the answer that was given before, under the same key.",
        "schema": {"const": "true"},
    },
    "Link": {
        "description": 'Where the next page is: rel="next". The last page has none.',
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before asking again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"required": True, "schema": {"type": "string", "pattern": "^Bearer "}},
    "Allow": {
        "required": True,
        "description": "The methods that this address takes.",
        "schema": {"type": "string"},
    },
}

IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same body gives the same answer, and nothing twice.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": IDEMPOTENCY_KEY_LENGTH_MAX,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
    },
}

_LAST_EVENT_ID: Json = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The sequence you have seen last; the stream goes on after it.",
    "schema": {"type": "integer", "minimum": 0, "maximum": SEQUENCE_MAX},
}


def document(endpoints: Sequence[Endpoint]) -> Json:
    refs, definitions = _schemas(endpoints)
    paths: dict[str, Json] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, refs)
        paths.setdefault(public_path(endpoint), {})[endpoint.method.lower()] = operation
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "Quorate",
            "version": quorate.__version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": _tags(endpoints),
        "paths": paths,
        "components": {
            "schemas": definitions | problem_schemas(_codes_of_any(endpoints)),
            "headers": _HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def public_path(endpoint: Endpoint) -> str:
    return PATH_PARAMETER.sub(lambda found: f"{{{to_camel(found[1])}}}", endpoint.path)


# -- Schemas -----------------------------------------------------------------


def _schemas(endpoints: Sequence[Endpoint]) -> tuple[dict[str, Json], Json]:
    """The schema of each endpoint's body and answer, by name, and the definitions they share."""
    types: dict[str, tuple[Mode, Any]] = {}
    for endpoint in endpoints:
        if endpoint.body is not None:
            types[_body(endpoint)] = ("validation", endpoint.body)
        if endpoint.answer is not None:
            types[_answer(endpoint)] = ("serialization", endpoint.answer)
    return described(types)


def _body(endpoint: Endpoint) -> str:
    return f"{endpoint.name} body"


def _answer(endpoint: Endpoint) -> str:
    return f"{endpoint.name} answer"


def _codes(endpoint: Endpoint) -> frozenset[str]:
    """A header section that comes too slowly is cut off before it asks for any address."""
    return known_codes(endpoint) | (CONNECTION_CODES - {"request_timeout"})


def _codes_of_any(endpoints: Sequence[Endpoint]) -> frozenset[str]:
    return frozenset(code for endpoint in endpoints for code in _codes(endpoint))


# -- Operations --------------------------------------------------------------


def _tags(endpoints: Sequence[Endpoint]) -> list[Json]:
    """A tag per module: its docstring's first paragraph says what it is about."""
    modules = dict.fromkeys(endpoint.handler.__module__ for endpoint in endpoints)
    return [
        {"name": name.rpartition(".")[2], "description": _first_paragraph(name)} for name in modules
    ]


def _first_paragraph(module: str) -> str:
    text = sys.modules[module].__doc__ or ""
    return " ".join(text.split("\n\n")[0].split())


def _operation(endpoint: Endpoint, refs: dict[str, Json]) -> Json:
    operation: Json = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [endpoint.handler.__module__.rpartition(".")[2]],
        "security": [{"bearer": []}, {"apiKey": []}] if endpoint.roles else [],
        "parameters": list(_parameters(endpoint)),
        "responses": _responses(endpoint, refs.get(_answer(endpoint))),
    }
    if endpoint.roles:
        roles = sorted(endpoint.roles)
        operation["description"] = f"For keys of role {', '.join(roles)}."
        operation["x-quorate-roles"] = roles
    if endpoint.body is not None:
        content = {"schema": refs[_body(endpoint)], "example": BODIES[endpoint.name]}
        operation["requestBody"] = {"required": True, "content": {JSON: content}}
    return operation


def _parameters(endpoint: Endpoint) -> Iterator[Json]:
    for name in PATH_PARAMETER.findall(endpoint.path):
        yield {
            "name": to_camel(name),
            "in": "path",
            "required": True,
            "description": f"The {name.removesuffix('_id').replace('_', ' ')}'s id.",
            "schema": {"type": "string", "minLength": 1},
        }
    if endpoint.query is not None:
        yield from _query_parameters(endpoint.query, QUERIES.get(endpoint.name, {}))
    if endpoint.command:
        yield IDEMPOTENCY_KEY
    if endpoint.streams:
        yield _LAST_EVENT_ID


def _query_parameters(query: type[BaseModel], examples: Json) -> Iterator[Json]:
    schema = plain(query.model_json_schema(by_alias=True))
    for name, found in schema["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ())}
        description = found.pop("description", None)
        if description is not None:
            parameter["description"] = description
        if name in examples:
            parameter["example"] = examples[name]
        yield parameter | {"schema": not_null(found)}


# -- Responses ---------------------------------------------------------------


def _responses(endpoint: Endpoint, answer: Json | None) -> Json:
    responses = {"200": _success(endpoint, answer)}
    by_status: dict[int, list[str]] = {}
    for code in sorted(_codes(endpoint)):
        by_status.setdefault(KINDS[code].status, []).append(code)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = _refusal(endpoint, status, codes)
    if answer is not None and _UNAVAILABLE in endpoint.problems:
        # One that names this code itself also says it in its own words.
        responses[str(KINDS[_UNAVAILABLE].status)]["content"][JSON] = {"schema": answer}
    return responses


def _success(endpoint: Endpoint, answer: Json | None) -> Json:
    names = ["X-Request-Id"]
    if endpoint.roles and not endpoint.streams:
        names.append("Quorate-Sequence")
    if endpoint.command:
        names.append("Idempotent-Replayed")
    if endpoint.query is not None and issubclass(endpoint.query, PageQuery):
        names.append("Link")
    return {
        "description": _description(endpoint),
        "headers": _header_refs(names),
        "content": _content(endpoint, answer),
    }


def _description(endpoint: Endpoint) -> str:
    if endpoint.streams:
        return "Events, each with its sequence as id, until either side ends."
    is_page = endpoint.answer is None and endpoint.media == HTML
    return "A page for people." if is_page else "Done."


def _content(endpoint: Endpoint, answer: Json | None) -> Json:
    if endpoint.streams:
        return {"text/event-stream": {"schema": {"type": "string"}}}
    if answer is None:
        return {endpoint.media: {"schema": {"type": "string"}}}
    content: Json = {"schema": answer}
    if endpoint.name in ANSWERS:
        content["example"] = ANSWERS[endpoint.name]
    return {JSON: content}


def _refusal(endpoint: Endpoint, status: int, codes: Sequence[str]) -> Json:
    names = ["X-Request-Id", *_HEADERS_OF_STATUS.get(status, ())]
    if endpoint.command and status in _DECIDED:
        names += ["Quorate-Sequence", "Idempotent-Replayed"]
    schemas = [ref(schema_name(code)) for code in codes]
    return {
        "description": "\n\n".join(f"`{code}`: {KINDS[code].title}." for code in codes),
        "headers": _header_refs(names),
        "content": {PROBLEM: {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}}},
    }


_DECIDED = {403, 404, 409, 422}  # A refusal with one of these may be the log's own.
_HEADERS_OF_STATUS = {401: ("WWW-Authenticate",), 405: ("Allow",), 503: ("Retry-After",)}


def _header_refs(names: Sequence[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
