"""Generate the OpenAPI 3.1 document from the endpoint registry.

* Each schema matches what the service enforces: bodies and queries come from the models that
  validate them, and responses from the types that the type checker enforces.
* The problems of an endpoint are exactly the codes that it may return.
* Only descriptions and examples are written by hand.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

import quorate
from quorate.application.execution import IDEMPOTENCY_KEY_LENGTH_MAX
from quorate.application.operations import HANDLERS
from quorate.contracts.examples import BODIES, QUERIES, RESPONSES
from quorate.contracts.json_schemas import Json, Mode, generate_schemas, not_null, ref, simplify
from quorate.contracts.operations import AnyOperation, known_codes
from quorate.contracts.problem_schemas import problem_schemas, schema_name
from quorate.contracts.problems import CONNECTION_CODES, CONTENT_TYPE, KINDS
from quorate.contracts.wire_models import SEQUENCE_MAX, PageQuery

OPENAPI_VERSION = "3.1.0"
HTML = "text/html"
JSON = "application/json"
PROBLEM = CONTENT_TYPE.decode()
PATH_PARAMETER = re.compile(r"{(\w+)}")
_UNAVAILABLE = "unavailable"

DESCRIPTION = """\
Quorate coordinates the agents of a tenant: agents take exclusive, time-limited leases on \
contacts, and approve high-stakes actions by majority vote. The service records every command as \
an event in an append-only log.

Send your API key as `Authorization: Bearer <key>` or as `X-API-Key: <key>`. The key determines \
the tenant: `tenantId` is optional and must match the key. With an agent key, the agent is also \
optional.

Times are UTC. Bodies are validated strictly: the service rejects unknown fields, NUL bytes, \
unpaired surrogates, numbers that are not finite, and duplicate keys.

Every command accepts an `Idempotency-Key`. A repeated request with the same key and the same \
body returns the original response and has no further effect. You can therefore repeat a request \
after its response was lost.

Errors are `application/problem+json` (RFC 9457). Base decisions on `code`, which is stable. \
Additional fields give details, such as the holder of a lease."""

ROLES_LABEL = "Permitted roles: "

_HEADERS: dict[str, Json] = {
    "X-Request-Id": {
        "required": True,
        "description": (
            "Identifies the request in the service's logs. "
            "The id you sent if it has this form, otherwise a generated one."
        ),
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
    },
    "Quorate-Sequence": {
        "description": "The response reflects the tenant's log up to this sequence.",
        "schema": {"type": "integer", "minimum": 0, "maximum": SEQUENCE_MAX},
    },
    "Idempotent-Replayed": {
        "description": "The response to an earlier request with the same idempotency key.",
        "schema": {"const": "true"},
    },
    "Link": {
        "description": 'The next page, with rel="next". Absent on the last page.',
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before the next attempt.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"required": True, "schema": {"type": "string", "pattern": "^Bearer "}},
    "Allow": {
        "required": True,
        "description": "The methods that this path allows.",
        "schema": {"type": "string"},
    },
}

IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeated request with the same key and body has no further effect.",
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
    "description": "Sequence of the last event you received; the stream continues after it.",
    "schema": {"type": "integer", "minimum": 0, "maximum": SEQUENCE_MAX},
}


def document(endpoints: Sequence[AnyOperation]) -> Json:
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


def public_path(endpoint: AnyOperation) -> str:
    return PATH_PARAMETER.sub(lambda found: f"{{{to_camel(found[1])}}}", endpoint.path)


# -- Schemas -----------------------------------------------------------------


def _schemas(endpoints: Sequence[AnyOperation]) -> tuple[dict[str, Json], Json]:
    """Return the schemas of bodies and responses by name, and their shared definitions."""
    types: dict[str, tuple[Mode, Any]] = {}
    for endpoint in endpoints:
        if endpoint.body is not None:
            types[_body_name(endpoint)] = ("validation", endpoint.body)
        if endpoint.response is not None:
            types[_response_name(endpoint)] = ("serialization", endpoint.response)
    return generate_schemas(types)


def _body_name(endpoint: AnyOperation) -> str:
    return f"{endpoint.name} body"


def _response_name(endpoint: AnyOperation) -> str:
    return f"{endpoint.name} response"


def _codes(endpoint: AnyOperation) -> frozenset[str]:
    """Return all codes of an endpoint, including those of the connection.

    Slow headers time out before the request has a path, so ``request_timeout`` is not added.
    """
    return known_codes(endpoint) | (CONNECTION_CODES - {"request_timeout"})


def _codes_of_any(endpoints: Sequence[AnyOperation]) -> frozenset[str]:
    return frozenset(code for endpoint in endpoints for code in _codes(endpoint))


# -- Operations --------------------------------------------------------------


def _tags(endpoints: Sequence[AnyOperation]) -> list[Json]:
    """Return one tag per module, described by the first paragraph of its docstring."""
    modules = dict.fromkeys(HANDLERS[endpoint.name].__module__ for endpoint in endpoints)
    return [
        {"name": name.rpartition(".")[2], "description": _first_paragraph(name)} for name in modules
    ]


def _first_paragraph(module: str) -> str:
    text = sys.modules[module].__doc__ or ""
    return " ".join(text.split("\n\n")[0].split())


def _operation(endpoint: AnyOperation, refs: dict[str, Json]) -> Json:
    operation: Json = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [HANDLERS[endpoint.name].__module__.rpartition(".")[2]],
        "security": [{"bearer": []}, {"apiKey": []}] if endpoint.roles else [],
        "parameters": list(_parameters(endpoint)),
        "responses": _responses(endpoint, refs.get(_response_name(endpoint))),
    }
    if endpoint.roles:
        roles = sorted(endpoint.roles)
        permitted = f"{ROLES_LABEL}{', '.join(roles)}."
        operation["description"] = f"{endpoint.description}\n\n{permitted}".strip()
        operation["x-quorate-roles"] = roles
    elif endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.body is not None:
        content = {"schema": refs[_body_name(endpoint)], "example": BODIES[endpoint.name]}
        operation["requestBody"] = {"required": True, "content": {JSON: content}}
    return operation


def _parameters(endpoint: AnyOperation) -> Iterator[Json]:
    for name in PATH_PARAMETER.findall(endpoint.path):
        yield {
            "name": to_camel(name),
            "in": "path",
            "required": True,
            "description": id_description(name),
            "schema": {"type": "string", "minLength": 1},
        }
    if endpoint.query is not None:
        yield from _query_parameters(endpoint.query, QUERIES.get(endpoint.name, {}))
    if endpoint.command:
        yield IDEMPOTENCY_KEY
    if endpoint.streams:
        yield _LAST_EVENT_ID


def id_description(name: str) -> str:
    """Describe the path parameter of an id."""
    resource = name.removesuffix("_id").replace("consensus", "proposal").replace("key", "API key")
    return f"Id of the {resource}."


def _query_parameters(query: type[BaseModel], examples: Json) -> Iterator[Json]:
    schema = simplify(query.model_json_schema(by_alias=True))
    for name, found in schema["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ())}
        description = found.pop("description", None)
        if description is not None:
            parameter["description"] = description
        if name in examples:
            parameter["example"] = examples[name]
        yield parameter | {"schema": not_null(found)}


# -- Responses ---------------------------------------------------------------


def _responses(endpoint: AnyOperation, schema: Json | None) -> Json:
    responses = {"200": _success(endpoint, schema)}
    by_status: dict[int, list[str]] = {}
    for code in sorted(_codes(endpoint)):
        by_status.setdefault(KINDS[code].status, []).append(code)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = _problem_response(endpoint, status, codes)
    if schema is not None and _UNAVAILABLE in [error.code for error in endpoint.errors]:
        # An endpoint that declares this code also returns it with its own response model.
        responses[str(KINDS[_UNAVAILABLE].status)]["content"][JSON] = {"schema": schema}
    return responses


def _success(endpoint: AnyOperation, schema: Json | None) -> Json:
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
        "content": _content(endpoint, schema),
    }


def _description(endpoint: AnyOperation) -> str:
    if endpoint.streams:
        return "Server-sent events, each with its sequence as id."
    is_page = endpoint.response is None and endpoint.media == HTML
    return "An HTML page." if is_page else "Success."


def _content(endpoint: AnyOperation, schema: Json | None) -> Json:
    if endpoint.streams:
        return {"text/event-stream": {"schema": {"type": "string"}}}
    if schema is None:
        return {endpoint.media: {"schema": {"type": "string"}}}
    content: Json = {"schema": schema}
    if endpoint.name in RESPONSES:
        content["example"] = RESPONSES[endpoint.name]
    return {JSON: content}


def _problem_response(endpoint: AnyOperation, status: int, codes: Sequence[str]) -> Json:
    names = ["X-Request-Id", *_HEADERS_OF_STATUS.get(status, ())]
    if endpoint.command and status in _DECIDED:
        names += ["Quorate-Sequence", "Idempotent-Replayed"]
    schemas = [ref(schema_name(code)) for code in codes]
    return {
        "description": "\n\n".join(f"`{code}`: {KINDS[code].title}." for code in codes),
        "headers": _header_refs(names),
        "content": {PROBLEM: {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}}},
    }


_DECIDED = {403, 404, 409, 422}  # A rejection with one of these may come from the domain.
_HEADERS_OF_STATUS = {401: ("WWW-Authenticate",), 405: ("Allow",), 503: ("Retry-After",)}


def _header_refs(names: Sequence[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
